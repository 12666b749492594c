//! The registrar before an engine that says what it is told to.

use std::path::{Path, PathBuf};

use axum::Router;
use axum::http::{StatusCode, Uri};
use ramgate_provenance::Canaries;
use tokio::net::UnixListener;

use super::*;

const CONTAINERD: &str = r#"{"DriverStatus":[["driver-type","io.containerd.snapshotter.v1"]]}"#;
const SECOND: u64 = 1_000_000_000;

fn id(digit: char) -> Digest {
    format!("sha256:{}", digit.to_string().repeat(64))
        .parse()
        .unwrap()
}

/// A registrar for an engine that says this of itself, and this of every image but `sha256:9…`.
fn registrar(directory: &Path, info: &'static str, image: String) -> Registrar {
    registrar_beside(directory, info, image, "[]".to_owned())
}

/// As [`registrar`], where these containers are.
fn registrar_beside(
    directory: &Path,
    info: &'static str,
    image: String,
    containers: String,
) -> Registrar {
    let socket = directory.join("engine.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let answer = move |uri: Uri| async move {
        match uri.path() {
            "/info" => (StatusCode::OK, info.to_owned()),
            "/containers/json" => (StatusCode::OK, containers),
            path if path.contains(id('9').as_str()) => (StatusCode::NOT_FOUND, String::new()),
            path if path.starts_with("/images/") => (StatusCode::OK, image),
            // No event is remembered.
            _ => (StatusCode::OK, String::new()),
        }
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    let engine = Engine::new(&socket);
    let canaries = Canaries::default();
    let gates = Gates::new(engine.clone(), None, None, PathBuf::new(), canaries);
    let ledger = Arc::new(Ledger::in_memory().unwrap());
    Registrar::new(engine, gates, ledger).unwrap()
}

/// Of an image that goes by the name `alpine:3`, whatever it is.
fn image(repo_digests: &str, tagged: &str) -> String {
    let id = id('a');
    format!(
        r#"{{"Id":"{id}","RepoTags":["alpine:3"],"RepoDigests":[{repo_digests}],"Metadata":{{"LastTagTime":"{tagged}"}}}}"#
    )
}

fn commit_of(image: &Digest) -> Event {
    serde_json::from_str(&format!(
        r#"{{"Type":"container","Action":"commit","Actor":{{"ID":"c","Attributes":{{"imageID":"{image}"}}}},"timeNano":{}}}"#,
        100 * SECOND
    ))
    .unwrap()
}

async fn check_pull(info: &'static str, image: String, expected: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    let registrar = registrar(directory.path(), info, image.clone());
    let event =
        r#"{"Type":"image","Action":"pull","Actor":{"ID":"alpine:3"},"timeNano":5000000000}"#;
    let event = serde_json::from_str(event).unwrap();
    registrar.take_in(&event).await.unwrap();
    let record = registrar.ledger().record(&id('a'));
    let origins = record.map(|record| record.origins.clone());
    let origins = origins.iter().flatten().map(ToString::to_string);
    assert_eq!(origins.collect::<Vec<_>>(), expected, "{image}");
}

#[tokio::test]
async fn a_pull_says_where_an_image_is_from_only_if_it_is_the_one_that_was_pulled() {
    let alpine = ["docker.io/library/alpine"];
    let own = format!("\"alpine@{}\"", id('a'));
    // The name has moved to what was built, or to what was pulled as another.
    check_pull("{}", image("", ""), &[]).await;
    check_pull("{}", image(&own.replace("alpine", "evil/tool"), ""), &[]).await;
    check_pull("{}", image(&own, ""), &alpine).await;
    // Here every name has a digest; but none was given after the pull.
    check_pull(CONTAINERD, image(&own, "1970-01-01T00:00:05.1Z"), &[]).await;
    check_pull(CONTAINERD, image(&own, "1970-01-01T00:00:04.9Z"), &alpine).await;
}

#[tokio::test]
async fn a_commit_says_nothing_of_an_image_that_was_there_before() {
    let directory = tempfile::tempdir().unwrap();
    let registrar = registrar(directory.path(), "{}", image("", ""));
    let ledger = registrar.ledger();
    let way = || ledger.record(&id('a')).map(|record| record.way);
    for (way_before, since) in [(Way::Unknown, 100), (Way::Load, 100), (Way::Build, 50)] {
        ledger
            .learn(&id('a'), Record::new(way_before, since))
            .unwrap();
        registrar.take_in(&commit_of(&id('a'))).await.unwrap();
        assert_eq!(way(), Some(way_before));
        ledger.forget(&id('a')).unwrap();
    }
    // Nor of one that is not there yet.
    registrar.take_in(&commit_of(&id('9'))).await.unwrap();
    assert!(ledger.record(&id('9')).is_none());
}

#[tokio::test]
async fn a_commit_is_told_from_a_build_that_was_concluded_before_its_event() {
    let directory = tempfile::tempdir().unwrap();
    let registrar = registrar(directory.path(), "{}", image("", ""));
    let ledger = registrar.ledger();
    ledger.learn(&id('a'), Record::new(Way::Build, 99)).unwrap();
    registrar.take_in(&commit_of(&id('a'))).await.unwrap();
    assert_eq!(ledger.record(&id('a')).unwrap().way, Way::Commit);
}

#[tokio::test]
async fn nothing_is_concluded_from_events_that_the_engine_no_longer_remembers() {
    let directory = tempfile::tempdir().unwrap();
    let registrar = registrar(directory.path(), "{}", "[]".to_owned());
    registrar.catch_up().await.unwrap();
    // None was seen yet, so none can have been missed.
    registrar.catch_up().await.unwrap();
    registrar.advance(SECOND).unwrap();
    let behind = registrar.catch_up().await;
    assert!(matches!(behind, Err(RegistrarError::Behind)));
    registrar.note_gap();
    registrar.catch_up().await.unwrap();
}

#[tokio::test]
async fn what_was_known_of_a_removed_image_goes_with_its_last_container() {
    let event = |id: Digest| {
        let event = format!(
            r#"{{"Type":"image","Action":"delete","Actor":{{"ID":"{id}"}},"timeNano":{SECOND}}}"#
        );
        serde_json::from_str::<Event>(&event).unwrap()
    };
    let of_it = format!(r#"[{{"Id":"c","ImageID":"{}"}}]"#, id('9'));
    for (containers, known) in [(of_it.as_str(), true), ("[]", false)] {
        let directory = tempfile::tempdir().unwrap();
        let image = image("", "");
        let registrar = registrar_beside(directory.path(), "{}", image, containers.to_owned());
        let ledger = registrar.ledger();
        for digit in ['a', '9'] {
            ledger.learn(&id(digit), Record::new(Way::Load, 1)).unwrap();
            registrar.take_in(&event(id(digit))).await.unwrap();
        }
        assert!(ledger.record(&id('a')).is_some(), "it is there again");
        assert_eq!(ledger.record(&id('9')).is_some(), known, "{containers}");
    }
}
