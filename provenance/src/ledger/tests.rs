//! Ledgers on disk.

use std::collections::BTreeSet;
use std::path::Path;

use ramgate_policy::Repository;

use super::*;
use crate::record::{Base, Way};

fn digest(digit: char) -> Digest {
    format!("sha256:{}", digit.to_string().repeat(64))
        .parse()
        .unwrap()
}

fn open(path: &Path) -> Ledger {
    let opened = Ledger::open(path).unwrap();
    assert_eq!(opened.damaged, None);
    opened.ledger
}

fn with_layers(way: Way, layers: &[char]) -> Record {
    Record {
        layers: layers.iter().copied().map(digest).collect(),
        ..Record::new(way, 1)
    }
}

#[test]
fn what_is_gone_is_dropped_unless_something_rests_on_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.redb");
    let ledger = open(&path);
    let learn = |id: char, layers: &[char], base: &[char]| {
        let mut record = with_layers(Way::Load, layers);
        record.base.images = base.iter().copied().map(digest).collect();
        ledger.learn(&digest(id), record).unwrap();
    };
    learn('a', &['1'], &[]);
    learn('b', &['1', '2'], &['a']);
    learn('c', &['1', '2', '3'], &['b']);
    learn('d', &['4'], &[]);
    let all: BTreeSet<Digest> = ['a', 'b', 'd', 'f'].into_iter().map(digest).collect();
    assert_eq!(
        ledger.drop_gone(&all).unwrap(),
        1,
        "`c` rests on `b`, and that on `a`"
    );
    assert!(ledger.record(&digest('a')).is_some());
    assert!(ledger.record(&digest('d')).is_none());
    assert_eq!(
        ledger.base(&digest('e'), &[digest('4')]).unwrap(),
        Base::default()
    );
    let all = ['a', 'b', 'c'].into_iter().map(digest).collect();
    assert_eq!(ledger.drop_gone(&all).unwrap(), 3);
    drop(ledger);
    assert!(open(&path).is_empty());
}

#[test]
fn what_was_learned_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state/ledger.redb");
    let ledger = open(&path);
    ledger
        .learn(&digest('a'), with_layers(Way::Pull, &['1', '2']))
        .unwrap();
    let alpine: Repository = "alpine".parse().unwrap();
    ledger.saw(&alpine, &[&digest('b'), &digest('c')]).unwrap();
    ledger.set_watched_until(7).unwrap();
    ledger.set_judged_until(5).unwrap();
    assert!(matches!(Ledger::open(&path), Err(LedgerError::InUse)));
    drop(ledger);

    let ledger = open(&path);
    assert_eq!(ledger.record(&digest('a')).unwrap().way, Way::Pull);
    assert_eq!(
        ledger.repositories(&digest('c')).unwrap(),
        [alpine.clone()].into()
    );
    let before = ledger.sightings();
    ledger.saw(&alpine, &[&digest('c')]).unwrap();
    assert_eq!(ledger.sightings(), before);
    ledger.saw(&alpine, &[&digest('e')]).unwrap();
    assert!(ledger.sightings() > before);
    assert!(ledger.repositories(&digest('d')).unwrap().is_empty());
    assert_eq!(ledger.watched_until().unwrap(), Some(7));
    assert_eq!(ledger.judged_until().unwrap(), Some(5));
    assert!(ledger.forget(&digest('a')).unwrap());
    assert!(!ledger.forget(&digest('e')).unwrap());
    drop(ledger);
    // Not gone: what has no record is taken for something new.
    let forgotten = open(&path).record(&digest('a')).unwrap();
    assert_eq!((forgotten.way, forgotten.layers.len()), (Way::Unknown, 2));
}

#[test]
fn a_base_is_what_has_the_longest_chain() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(&directory.path().join("ledger.redb"));
    let base = |layers: &[char]| {
        let layers: Vec<Digest> = layers.iter().copied().map(digest).collect();
        ledger.base(&digest('f'), &layers).unwrap()
    };
    assert!(base(&['1']).is_empty());
    let alpine: Repository = "alpine".parse().unwrap();
    ledger.saw_layers(&alpine, &[digest('1')]).unwrap();
    ledger
        .learn(&digest('a'), with_layers(Way::Pull, &['1', '2']))
        .unwrap();
    ledger
        .learn(&digest('f'), with_layers(Way::Build, &['1', '2', '3']))
        .unwrap();
    assert_eq!(base(&['1']).repositories, [alpine].into());
    assert_eq!(base(&['1', '2', '3']).images, [digest('a')].into());
    assert_eq!(base(&['1', '2', '4']).images, [digest('a')].into());
    assert!(base(&['2', '1']).is_empty());
    // An image that only has other metadata than its base has its whole chain.
    assert_eq!(base(&['1', '2']).images, [digest('a')].into());
}

#[test]
fn of_images_with_one_chain_the_lowest_is_the_base() {
    let ledger = Ledger::in_memory().unwrap();
    let layers = [digest('1')];
    ledger
        .learn(&digest('a'), with_layers(Way::Unknown, &['1']))
        .unwrap();
    for upper in ['b', 'c', 'd'] {
        let base = ledger.base(&digest(upper), &layers).unwrap();
        assert_eq!(base.images, [digest('a')].into());
        let mut record = with_layers(Way::Build, &['1']);
        record.base = base;
        ledger.learn(&digest(upper), record).unwrap();
    }
    // Learned again, it does not rest on what rests on it.
    assert!(ledger.base(&digest('a'), &layers).unwrap().is_empty());
    // What comes from a repository decides alone.
    let mut pulled = with_layers(Way::Pull, &['1']);
    pulled.origins.insert("evil/tool".parse().unwrap());
    ledger.learn(&digest('e'), pulled).unwrap();
    let base = ledger.base(&digest('f'), &layers).unwrap();
    assert_eq!(base.images, [digest('e')].into());
}

#[test]
fn a_damaged_ledger_is_put_aside_and_nothing_is_known() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.redb");
    let ledger = open(&path);
    for digit in '0'..='9' {
        ledger
            .learn(&digest(digit), with_layers(Way::Pull, &[digit]))
            .unwrap();
    }
    drop(ledger);
    let sound = std::fs::read(&path).unwrap();
    let zeroed = vec![0; sound.len()];
    let mut scribbled = sound.clone();
    scribbled.iter_mut().skip(64).for_each(|byte| *byte ^= 0x5a);
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(Ledger::open(&path).is_err() && path.is_dir(), "no damage");
    std::fs::remove_dir(&path).unwrap();
    for damage in [&b"not a ledger"[..], &zeroed, &scribbled, &sound[..4096]] {
        std::fs::write(&path, damage).unwrap();
        let opened = Ledger::open(&path).unwrap();
        assert!(opened.damaged.is_some_and(|aside| aside.exists()));
        assert!(opened.ledger.records().is_empty());
    }
}

#[test]
fn what_is_mounted_is_known_until_its_container_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.redb");
    let ledger = open(&path);
    let mount = |container: &str, image: char| Mount {
        container: container.to_owned(),
        image: digest(image),
    };
    ledger.note_mount("/a/merged", &mount("c1", 'a')).unwrap();
    ledger.note_mount("/b/merged", &mount("c2", 'b')).unwrap();
    drop(ledger);
    let ledger = open(&path);
    assert_eq!(ledger.mount("/a/merged").unwrap(), Some(mount("c1", 'a')));
    assert_eq!(ledger.mount("/c/merged").unwrap(), None);
    assert_eq!(
        ledger.mounted_images().unwrap(),
        [digest('a'), digest('b')].into()
    );
    assert_eq!(
        ledger.forget_mounts(|container| container == "c1").unwrap(),
        1
    );
    assert_eq!(ledger.mount("/a/merged").unwrap(), None);
    assert_eq!(
        ledger.forget_mounts(|container| container == "c1").unwrap(),
        0
    );
    assert_eq!(ledger.mounted_images().unwrap(), [digest('b')].into());
}
