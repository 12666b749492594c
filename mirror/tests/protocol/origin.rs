//! What Docker Hub has is Docker Hub's under any name, and what is not stays served: while the policy turns, from memory and from
//! disk, by tag and by digest.

use crate::fixture::{ALL, Image, Stage, digest};
use proptest::prelude::*;
use serde_json::json;

const NO_HUB: &str = r#"{ "version": 1, "registries": [{ "host": "ghcr.io" }] }"#;
const NO_GHCR: &str = r#"{ "version": 1, "registries": [{ "host": "docker.io" }] }"#;
const BY_NAME: &str =
    r#"{ "version": 1, "origins-by-digest": false, "registries": [{ "host": "ghcr.io" }] }"#;
const AUDIT: &str = r#"{ "version": 1, "mode": "audit", "registries": [{ "host": "ghcr.io" }] }"#;

/// `docker.io/evil/tool`, copied to ghcr.io as it is and packed anew; an image built on it; and one that has nothing to do with it.
struct World {
    stage: Stage,
    of_copies: Vec<String>,
    of_others: Vec<String>,
    of_hub: Vec<String>,
}

async fn world() -> World {
    let stage = Stage::new(ALL).await;
    let tool = Image::new("tool", &["base"]);
    let derived = Image::new("derived", &["base", "on top"]);
    let own = Image::new("own", &["alone"]);
    let tool_digest = stage.hub.image("evil/tool", "1", &tool);
    stage
        .hub
        .put("/v2/evil/tool/tags/list", 200, &[], "{\"tags\":[\"1\"]}");
    stage.ghcr.image("acme/copy", "1", &tool);
    let repacked_digest = stage.ghcr.image("acme/copy", "repacked", &tool.repacked());
    let derived_digest = stage.ghcr.image("acme/app", "1", &derived);
    let own_digest = stage.ghcr.image("acme/app", "own", &own);
    let config = digest(&tool.config);
    let base = digest(b"base");
    let list = json!({ "manifests": [{ "mediaType": crate::fixture::MANIFEST, "size": 1, "digest": tool_digest }] });
    stage.ghcr.put(
        &format!("/v2/acme/app/referrers/{derived_digest}"),
        200,
        &[],
        list.to_string(),
    );

    let paths = |repository: &str, tails: &[String]| -> Vec<String> {
        tails
            .iter()
            .map(|tail| format!("/v2/{repository}/{tail}"))
            .collect()
    };
    let of_copies = paths(
        "ghcr.io/acme/copy",
        &[
            "manifests/1".to_owned(),
            "manifests/repacked".to_owned(),
            format!("manifests/{tool_digest}"),
            format!("manifests/{repacked_digest}"),
            format!("blobs/{config}"),
            format!("referrers/{tool_digest}"),
        ],
    );
    let of_others = paths(
        "ghcr.io/acme/app",
        &[
            "manifests/1".to_owned(),
            "manifests/own".to_owned(),
            format!("manifests/{derived_digest}"),
            format!("manifests/{own_digest}"),
            format!("blobs/{base}"),
            format!("blobs/{}", digest(&derived.config)),
            format!("blobs/{}", digest(b"alone")),
            format!("referrers/{derived_digest}"),
        ],
    );
    let of_hub = paths(
        "docker.io/evil/tool",
        &[
            "manifests/1".to_owned(),
            format!("manifests/{tool_digest}"),
            format!("blobs/{config}"),
            format!("blobs/{base}"),
            format!("referrers/{tool_digest}"),
            "tags/list".to_owned(),
        ],
    );
    World {
        stage,
        of_copies,
        of_others,
        of_hub,
    }
}

// === impl World ===

impl World {
    async fn check(&self, paths: &[String], status: u16) {
        for path in paths {
            for method in ["GET", "HEAD"] {
                let got = self.stage.ask(method, path, &[]).await;
                assert_eq!(got.status.as_u16(), status, "{method} {path}: {got:?}");
            }
        }
    }
}

#[tokio::test]
async fn once_docker_hub_is_denied_nothing_of_it_comes_under_any_name_and_all_else_does() {
    let mut world = world().await;
    for paths in [&world.of_hub, &world.of_copies, &world.of_others] {
        world.check(paths, 200).await;
    }
    world.stage.policy(NO_HUB);
    world.stage.hub.requests();
    world.stage.ghcr.requests();
    for _ in ["from memory", "from disk"] {
        world.check(&world.of_hub, 403).await;
        world.check(&world.of_copies, 403).await;
        world.check(&world.of_others, 200).await;
        world.stage.restart();
    }
    assert!(world.stage.hub.requests().is_empty());
    let asked = world.stage.ghcr.requests();
    assert!(
        !asked.iter().any(|request| request.contains("acme/copy")),
        "{asked:?}"
    );

    // What is denied is said as what it is.
    let denied = world.stage.get(&world.of_copies[0]).await;
    let (code, message) = denied.is(403).error();
    assert_eq!(code, "DENIED");
    assert!(
        message.contains("Access to docker.io has been restricted by your administrators"),
        "{message}"
    );
    assert!(
        message.contains("ghcr.io/acme/copy serves content of another origin"),
        "{message}"
    );
    // And what is known of it is not in a list either.
    let referrers = world.stage.get(&world.of_others[7]).await;
    assert_eq!(referrers.is(200).json()["manifests"], json!([]));

    // Allowed again, it is there again without being fetched.
    world.stage.policy(ALL);
    world.check(&world.of_copies[..5], 200).await;
    let asked = world.stage.ghcr.requests();
    assert!(
        !asked
            .iter()
            .any(|request| request.contains("GET") && !request.contains("referrers")),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_copy_that_was_never_cached_is_refused_as_well() {
    let world = world().await;
    world.check(&world.of_hub, 200).await;
    world.stage.policy(NO_HUB);
    world.check(&world.of_copies, 403).await;
    world.check(&world.of_others, 200).await;
}

#[tokio::test]
async fn what_docker_hub_is_not_known_to_have_is_its_own_registrys() {
    let world = world().await;
    world.stage.policy(NO_HUB);
    world.check(&world.of_copies, 200).await;
    // Then Docker Hub is seen to have it.
    world.stage.policy(ALL);
    world.check(&world.of_hub, 200).await;
    world.stage.policy(NO_HUB);
    world.check(&world.of_copies, 403).await;
}

#[tokio::test]
async fn copies_are_judged_by_name_where_the_policy_says_so_and_only_noted_in_audit_mode() {
    let world = world().await;
    world.check(&world.of_hub, 200).await;
    for policy in [BY_NAME, AUDIT] {
        world.stage.policy(policy);
        world.check(&world.of_copies, 200).await;
    }
    world.stage.policy(BY_NAME);
    world.check(&world.of_hub, 403).await;
}

#[tokio::test]
async fn a_blob_is_served_only_where_its_repository_has_it() {
    let world = world().await;
    let base = digest(b"base");
    world
        .check(&[format!("/v2/docker.io/evil/tool/blobs/{base}")], 200)
        .await;
    // The bytes are in the store; ghcr.io/acme/empty does not have them.
    world
        .check(&[format!("/v2/ghcr.io/acme/empty/blobs/{base}")], 404)
        .await;
    world.stage.policy(NO_HUB);
    world
        .check(&[format!("/v2/ghcr.io/acme/empty/blobs/{base}")], 404)
        .await;
    world
        .check(&[format!("/v2/ghcr.io/acme/app/blobs/{base}")], 200)
        .await;
}

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    Policy(&'static str),
    Ask(usize, bool),
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let policy = prop::sample::select(vec![ALL, NO_HUB, NO_GHCR]).prop_map(Step::Policy);
    let ask = (0..20_usize, any::<bool>()).prop_map(|(path, head)| Step::Ask(path, head));
    let step = prop_oneof![2 => policy, 8 => ask, 1 => Just(Step::Restart)];
    prop::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happened_before_the_policy_of_now_holds(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = world().await;
            let (mut policy, mut seen_manifest, mut seen_config) = (ALL, false, false);
            for step in steps {
                match step {
                    Step::Restart => world.stage.restart(),
                    Step::Policy(text) => {
                        policy = text;
                        world.stage.policy(text);
                    }
                    Step::Ask(number, head) => {
                        let all = [&world.of_hub, &world.of_copies, &world.of_others];
                        let Some(path) = all.into_iter().flatten().nth(number) else { continue };
                        let of_hub = number < world.of_hub.len();
                        let of_copy = !of_hub && number < world.of_hub.len() + world.of_copies.len();
                        let by_config = path.contains("repacked") || path.contains("/blobs/") || path == &world.of_copies[3];
                        let known = if by_config { seen_config } else { seen_manifest };
                        let allowed = match policy {
                            NO_HUB => !(of_hub || of_copy && known),
                            NO_GHCR => of_hub,
                            _ => true,
                        };
                        let method = if head { "HEAD" } else { "GET" };
                        let got = world.stage.ask(method, path, &[]).await;
                        assert_eq!(got.status.as_u16(), if allowed { 200 } else { 403 }, "{method} {path} under {policy}");
                        if of_hub && allowed && path.contains("/manifests/") {
                            (seen_manifest, seen_config) = (true, true);
                        }
                    }
                }
            }
        });
    }
}
