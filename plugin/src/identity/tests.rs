//! Containers before an engine that says what it is told to.

use std::path::{Path, PathBuf};

use axum::Router;
use axum::http::{StatusCode, Uri};
use ramgate_provenance::{Canaries, Ledger, Mount, Record, Way};
use tokio::net::UnixListener;

use super::*;
use crate::engine::Engine;
use crate::gates::Gates;

fn id(digit: char) -> Digest {
    format!("sha256:{}", digit.to_string().repeat(64))
        .parse()
        .unwrap()
}

/// Containers by ID, the images they were made from and what is mounted into them: `a` is allowed, `e` denied.
const CONTAINERS: [(&str, &str, char, &str); 4] = [
    ("beef01", "/web", 'a', ""),
    ("cafe02", "/bad", 'e', ""),
    ("0003", "/cafe", 'a', ""),
    (
        "0004",
        "/mounting",
        'a',
        r#"{"Type":"image","Name":"acme/x","Source":"/4/merged","Destination":"/x"}"#,
    ),
];

fn container((id, _, image, mounts): (&str, &str, char, &str)) -> String {
    let image = self::id(image);
    format!(r#"{{"Id":"{id}","Image":"{image}","Config":{{"Image":"x"}},"Mounts":[{mounts}]}}"#)
}

/// As dockerd finds them: by ID, by name, by the start of an ID.
fn found(name: &str) -> Option<String> {
    let by = |is: &dyn Fn(&str, &str) -> bool| {
        let found = CONTAINERS.into_iter().find(|(id, own, _, _)| is(id, own));
        found.map(container)
    };
    by(&|id, own| id == name || own == format!("/{name}"))
        .or_else(|| by(&|id, _| id.starts_with(name)))
}

fn identity(directory: &Path) -> Identity {
    let socket = directory.join("engine.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let answer = async move |uri: Uri| {
        let name = uri.path().strip_prefix("/containers/");
        match name.and_then(|name| name.strip_suffix("/json")) {
            Some(name) => match found(name) {
                Some(container) => (StatusCode::OK, container),
                None => (StatusCode::NOT_FOUND, String::new()),
            },
            None if name == Some("json") => {
                let all = CONTAINERS.map(|(id, ..)| format!(r#"{{"Id":"{id}"}}"#));
                (StatusCode::OK, format!("[{}]", all.join(",")))
            }
            None => (StatusCode::NOT_FOUND, String::new()),
        }
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    let engine = Engine::new(&socket);
    let gates = Gates::new(
        engine.clone(),
        None,
        None,
        PathBuf::new(),
        Canaries::default(),
    );
    let ledger = Ledger::in_memory().unwrap();
    for (image, origin) in [('a', "alpine"), ('e', "evil/tool")] {
        let mut record = Record::new(Way::Pull, 1);
        record.origins.insert(origin.parse().unwrap());
        ledger.learn(&id(image), record).unwrap();
    }
    Identity::new(Registrar::new(engine, gates, Arc::new(ledger)).unwrap())
}

async fn denied(identity: &Identity, name: &str) -> Vec<String> {
    let text = r#"{ "version": 1, "docker-hub": { "official": "allow" } }"#;
    let policy = Policy::parse(text).unwrap();
    let judged = identity.judge_container(name, &policy, &Subject::Anonymous);
    let judged = judged.await.unwrap().unwrap();
    judged.denials().map(|denial| denial.rule()).collect()
}

#[tokio::test]
async fn a_name_is_judged_by_what_it_would_stand_for_if_its_container_were_renamed() {
    let directory = tempfile::tempdir().unwrap();
    let identity = identity(directory.path());
    for (name, rules) in [
        ("web", &[][..]),
        ("beef", &[]),
        ("bad", &["docker-hub.community"]),
        ("cafe02", &["docker-hub.community"]),
        // A container of this name is allowed; one whose ID begins so is not.
        ("cafe", &["docker-hub.community"]),
    ] {
        assert_eq!(denied(&identity, name).await, rules, "{name}");
    }
}

#[tokio::test]
async fn what_is_mounted_is_judged_by_what_was_seen_when_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let identity = identity(directory.path());
    assert_eq!(
        denied(&identity, "mounting").await,
        ["local-images.unknown"]
    );
    let note = |image| {
        let mount = Mount {
            container: "0004".to_owned(),
            image: id(image),
        };
        let ledger = identity.registrar.ledger();
        ledger.note_mount("/4/merged", &mount).unwrap();
    };
    note('a');
    assert!(denied(&identity, "mounting").await.is_empty());
    note('e');
    assert_eq!(
        denied(&identity, "mounting").await,
        ["docker-hub.community"]
    );
}
