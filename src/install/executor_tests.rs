//! Changes of real files in a real directory, with something in the way of each.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::entry::Entry;
use super::executor::Executor;
use super::journal::Journal;
use super::json_file::{Edit, JsonFile};
use super::level::Level;
use super::step::{Content, Part, Step, below};
use super::undo::Extent;

struct System {
    root: tempfile::TempDir,
    state: tempfile::TempDir,
}

impl System {
    /// One with a `daemon.json` of its own.
    fn new() -> Self {
        let system = Self {
            root: tempfile::tempdir().unwrap(),
            state: tempfile::tempdir().unwrap(),
        };
        let path = system.real("/etc/docker/daemon.json");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, THEIRS).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        fs::File::open(&path)
            .unwrap()
            .set_modified(std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000, 5))
            .unwrap();
        system
    }

    fn real(&self, path: &str) -> PathBuf {
        below(self.root.path(), Path::new(path))
    }

    /// As a process would that has just been started.
    fn executor(&self) -> Executor {
        let journal = Journal::open(self.state.path()).unwrap();
        Executor::new(self.root.path().to_owned(), journal)
    }

    /// All that there is.
    fn trace(&self) -> BTreeMap<PathBuf, Entry> {
        let mut trace = BTreeMap::new();
        let mut directories = vec![self.root.path().to_owned()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                let entry = Entry::read(&path).unwrap();
                if entry == Entry::Directory {
                    directories.push(path.clone());
                }
                trace.insert(path, entry);
            }
        }
        trace
    }

    fn steps(&self) -> Vec<Step> {
        let step = |path: &str, part, after| Step {
            path: path.into(),
            part,
            before: Entry::read(&self.real(path)).unwrap(),
            after,
            edits: Vec::new(),
            purpose: String::new(),
        };
        let file = |text: &str| Content::File {
            content: text.as_bytes().to_vec(),
            mode: 0o755,
        };
        let link = Content::Link {
            target: "/etc/systemd/system/ramgate.service".into(),
        };
        let mut daemon = step("/etc/docker/daemon.json", Part::Engine, file(""));
        let json = JsonFile::read(daemon.before.content().unwrap_or_default()).unwrap();
        let edit = Edit::Add {
            key: "authorization-plugins",
            item: "ramgate".into(),
        };
        daemon.edits = json.edit(&edit).unwrap().into_iter().collect();
        daemon.after = Content::File {
            content: json.bytes(),
            mode: 0o644,
        };
        vec![
            step("/usr/local/bin/ramgate", Part::Gates, file("program")),
            step(
                "/etc/systemd/system/ramgate.service",
                Part::Gates,
                file("unit"),
            ),
            step(
                "/etc/systemd/system/a.wants/ramgate.service",
                Part::Gates,
                link,
            ),
            step(
                "/var/log/ramgate",
                Part::Gates,
                Content::Directory { mode: 0o700 },
            ),
            step(
                "/etc/docker/certs.d/_default/hosts.toml",
                Part::Engine,
                file("server"),
            ),
            daemon,
        ]
    }
}

fn unmake(executor: &mut Executor, extent: Extent) -> Vec<String> {
    let mut notes = executor.unmake(Part::Engine, extent).unwrap();
    notes.extend(executor.unmake(Part::Gates, extent).unwrap());
    notes
}

#[test]
fn what_was_made_is_unmade_to_the_byte() {
    let system = System::new();
    let before = system.trace();
    let mut executor = system.executor();
    for step in system.steps() {
        executor.make(&step).unwrap();
    }
    executor.journal.commit(Level::Standard).unwrap();
    drop(executor);
    let daemon = system.real("/etc/docker/daemon.json");
    assert!(fs::read_to_string(&daemon).unwrap().contains("ramgate"));
    assert_eq!(
        fs::metadata(&daemon).unwrap().permissions().mode() & 0o777,
        0o640
    );

    // There is nothing pending.
    let mut executor = system.executor();
    assert!(unmake(&mut executor, Extent::Pending).is_empty());
    assert_ne!(system.trace(), before);
    assert!(unmake(&mut executor, Extent::Everything).is_empty());
    assert_eq!(system.trace(), before);
}

#[test]
fn a_process_that_dies_after_any_step_leaves_enough_to_go_back_or_on() {
    let count = System::new().steps().len();
    for made in 0..=count {
        let system = System::new();
        let before = system.trace();
        let steps = system.steps();
        let mut executor = system.executor();
        for step in &steps[..made] {
            executor.make(step).unwrap();
        }
        drop(executor); // without a commit
        let mut executor = system.executor();
        if made % 2 == 0 {
            unmake(&mut executor, Extent::Pending);
        } else {
            for step in &steps[made..] {
                executor.make(step).unwrap();
            }
            executor.journal.commit(Level::Standard).unwrap();
            unmake(&mut executor, Extent::Everything);
        }
        assert_eq!(system.trace(), before, "{made}");
    }
}

#[test]
fn a_change_that_was_written_down_and_not_made_is_no_trouble() {
    let system = System::new();
    let before = system.trace();
    let mut executor = system.executor();
    for step in system.steps() {
        let real = below(system.root.path(), &step.path);
        let was = Entry::read(&real).unwrap();
        executor.make(&step).unwrap();
        // Back to what it was, as if the power had failed between the journal and the file.
        match was {
            Entry::Absent if real.is_dir() => fs::remove_dir(&real).unwrap(),
            Entry::Absent => fs::remove_file(&real).unwrap(),
            Entry::File { content, .. } => fs::write(&real, content).unwrap(),
            other @ (Entry::Directory | Entry::Link { .. } | Entry::Other) => panic!("{other:?}"),
        }
    }
    let notes = unmake(&mut executor, Extent::Pending);
    assert!(notes.is_empty(), "{notes:?}");
    let names = |trace: BTreeMap<PathBuf, Entry>| trace.into_keys().collect::<Vec<_>>();
    assert_eq!(names(system.trace()), names(before));
}

#[test]
fn a_write_that_was_cut_short_leaves_nothing_behind() {
    let system = System::new();
    let before = system.trace();
    let mut executor = system.executor();
    for step in &system.steps() {
        executor.make(step).unwrap();
        let real = below(system.root.path(), &step.path);
        let name = real.file_name().unwrap().to_string_lossy().into_owned();
        fs::write(real.with_file_name(format!(".{name}.ramgate-new")), "half").unwrap();
    }
    unmake(&mut executor, Extent::Pending);
    let names = |trace: BTreeMap<PathBuf, Entry>| trace.into_keys().collect::<Vec<_>>();
    assert_eq!(names(system.trace()), names(before));
}

#[test]
fn something_in_the_way_of_any_step_is_an_error_and_changes_nothing() {
    for index in 0..System::new().steps().len() {
        let system = System::new();
        let steps = system.steps();
        let step = &steps[index];
        let real = below(system.root.path(), &step.path);
        // A file in the place of the directory, or a directory in the place of the file that is written first.
        let parent = real.parent().unwrap();
        if parent.exists() {
            let name = real.file_name().unwrap().to_string_lossy().into_owned();
            fs::create_dir(parent.join(format!(".{name}.ramgate-new"))).unwrap();
        } else {
            fs::create_dir_all(parent.parent().unwrap()).unwrap();
            fs::write(parent, "in the way").unwrap();
        }
        let before = system.trace();
        let mut executor = system.executor();
        let failed = steps.iter().position(|step| executor.make(step).is_err());
        assert!(failed.is_some(), "{}", step.path.display());
        unmake(&mut executor, Extent::Pending);
        assert_eq!(system.trace(), before, "{}", step.path.display());
    }
}

#[test]
fn a_file_that_changed_after_it_was_looked_at_is_left_alone() {
    let system = System::new();
    let steps = system.steps();
    let daemon = system.real("/etc/docker/daemon.json");
    fs::write(&daemon, "{\"debug\": true}").unwrap();
    let mut executor = system.executor();
    let error = executor.make(&steps[5]).unwrap_err();
    assert!(
        format!("{error:#}").contains("changed since the plan"),
        "{error:#}"
    );
    assert_eq!(fs::read_to_string(daemon).unwrap(), "{\"debug\": true}");
}

#[test]
fn what_others_changed_since_keeps_their_changes() {
    let system = System::new();
    let mut executor = system.executor();
    for step in system.steps() {
        executor.make(&step).unwrap();
    }
    executor.journal.commit(Level::Standard).unwrap();
    let daemon = system.real("/etc/docker/daemon.json");
    let theirs = fs::read_to_string(&daemon).unwrap();
    fs::write(
        &daemon,
        theirs.replace("\"debug\": false", "\"debug\": true"),
    )
    .unwrap();
    fs::write(
        system.real("/etc/docker/certs.d/_default/hosts.toml"),
        "theirs",
    )
    .unwrap();
    fs::write(system.real("/etc/systemd/system/ramgate.service"), "theirs").unwrap();
    fs::remove_file(system.real("/usr/local/bin/ramgate")).unwrap();

    let notes = unmake(&mut executor, Extent::Everything);
    // That the program is gone is as it was before.
    assert_eq!(notes.len(), 3, "{notes:?}");
    assert_eq!(
        fs::read_to_string(&daemon).unwrap(),
        THEIRS.replace("\"debug\": false", "\"debug\": true")
    );
    let aside = system.real("/etc/docker/certs.d/_default/hosts.toml.ramgate-kept");
    assert_eq!(fs::read_to_string(aside).unwrap(), "theirs");
    let unit = system.real("/etc/systemd/system/ramgate.service");
    assert_eq!(fs::read_to_string(unit).unwrap(), "theirs");
}

/// Others' changes between two installations are not lost with the second one's backup.
#[test]
fn changes_between_two_installations_stay() {
    let system = System::new();
    let mut executor = system.executor();
    executor.make(&system.steps()[5]).unwrap();
    executor.journal.commit(Level::Plugin).unwrap();
    let daemon = system.real("/etc/docker/daemon.json");
    let theirs = fs::read_to_string(&daemon).unwrap();
    fs::write(
        &daemon,
        theirs.replace("\"debug\": false", "\"debug\": true"),
    )
    .unwrap();

    let json = JsonFile::read(&fs::read(&daemon).unwrap()).unwrap();
    let edit = Edit::Set {
        key: &["registry-mirrors"],
        value: serde_json::json!(["http://127.0.0.1:5050"]),
    };
    let edits: Vec<_> = json.edit(&edit).unwrap().into_iter().collect();
    let step = Step {
        path: "/etc/docker/daemon.json".into(),
        part: Part::Engine,
        before: Entry::read(&daemon).unwrap(),
        after: Content::File {
            content: json.bytes(),
            mode: 0o644,
        },
        edits,
        purpose: String::new(),
    };
    executor.make(&step).unwrap();
    executor.journal.commit(Level::Standard).unwrap();
    unmake(&mut executor, Extent::Everything);
    assert_eq!(
        fs::read_to_string(&daemon).unwrap(),
        THEIRS.replace("\"debug\": false", "\"debug\": true")
    );
}

#[test]
fn only_one_installation_runs_at_a_time() {
    let system = System::new();
    let first = system.executor();
    let second = Journal::open(system.state.path()).unwrap_err();
    assert!(second.to_string().contains("under way"), "{second}");
    drop(first);
    Journal::open(system.state.path()).unwrap();
}

const THEIRS: &str = "{\n  \"log-level\": \"info\",\n  \"debug\": false\n}\n";
