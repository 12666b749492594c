//! The direction of dependencies: `ramgate → {plugin, mirror, egress} → {catalog, provenance} → policy`, and a policy that knows
//! nothing of the world.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::Path;

/// The crates of the workspace that `crate_folder` depends on outside its tests, and all others it names.
fn dependencies(crate_folder: &str) -> BTreeSet<String> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(crate_folder)
        .join("Cargo.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let mut within = false;
    let mut names = BTreeSet::new();
    for line in text.lines() {
        if line.starts_with('[') {
            within = line == "[dependencies]" || line == "[build-dependencies]";
        } else if within && let Some((name, _)) = line.split_once(['.', ' ', '=']) {
            names.insert(name.to_owned());
        }
    }
    assert!(
        !names.is_empty(),
        "{} has no dependencies; is it read right?",
        manifest.display()
    );
    names
}

#[track_caller]
fn check_own(crate_folder: &str, allowed: &[&str]) {
    for name in dependencies(crate_folder)
        .iter()
        .filter(|name| name.starts_with("ramgate-"))
    {
        assert!(
            allowed.contains(&name.as_str()),
            "{crate_folder} must not depend on {name}"
        );
    }
}

#[test]
fn the_gates_know_what_lies_below_them_and_not_one_another() {
    check_own("policy", &[]);
    check_own("provenance", &["ramgate-policy"]);
    check_own("catalog", &["ramgate-policy"]);
    for gate in ["plugin", "mirror", "egress"] {
        check_own(
            gate,
            &["ramgate-catalog", "ramgate-policy", "ramgate-provenance"],
        );
    }
}

#[test]
fn the_policy_is_pure() {
    let allowed = [
        "jsonc-parser",
        "schemars",
        "serde",
        "serde_json",
        "thiserror",
    ];
    for name in dependencies("policy") {
        assert!(
            allowed.contains(&name.as_str()),
            "policy/ must not depend on {name}"
        );
    }
    let mut sources = Vec::new();
    collect(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("policy/src"),
        &mut sources,
    );
    assert!(sources.len() > 10);
    for path in sources {
        let text = std::fs::read_to_string(&path).unwrap();
        for outside in [
            "std::fs",
            "std::env",
            "std::time",
            "std::process",
            "std::thread",
            "SystemTime",
            "Instant::now",
            "TcpStream",
        ] {
            assert!(!text.contains(outside), "{} uses {outside}", path.display());
        }
    }
}

fn collect(folder: &Path, into: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, into);
        } else {
            into.push(path);
        }
    }
}
