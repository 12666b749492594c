//! Terms, and what the map says is open under them.

use super::*;

const NONE: Terms = Terms {
    audit: false,
    registries: true,
    hub_repositories: false,
    other_repositories: false,
    hub: true,
    build: Local::Gated,
    load: Local::Deny,
    import: Local::Deny,
    plugin: false,
    grpc: false,
    containerd: false,
    mirror: false,
    egress: false,
    inspect: false,
    hosts: false,
    gates: false,
    swarm: false,
};
const STANDARD: Terms = Terms {
    plugin: true,
    mirror: true,
    egress: true,
    gates: true,
    ..NONE
};

fn open_fields(terms: &Terms) -> Vec<(Path, Granularity)> {
    let open = map(terms)
        .into_iter()
        .filter(|cell| cell.state == State::Open);
    open.inspect(|cell| assert!(cell.fix.is_some(), "{cell:?}"))
        .map(|cell| (cell.path, cell.granularity))
        .collect()
}

#[test]
fn at_level_standard_nothing_is_open() {
    assert_eq!(open_fields(&STANDARD), []);
}

#[test]
fn without_anything_nothing_is_enforced() {
    let map = map(&NONE);
    assert!(map.iter().all(|cell| cell.state != State::Enforced));
    assert!(map.iter().any(|cell| cell.state == State::Open));
}

#[test]
fn with_the_plugin_alone_builds_are_refused_unless_the_policy_allows_them_or_nobody_is_asked() {
    let plugin = Terms {
        plugin: true,
        ..NONE
    };
    assert_eq!(open_fields(&plugin), []);
    let builds = Terms {
        build: Local::Allow,
        ..plugin
    };
    let open: Vec<Path> = open_fields(&builds)
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    for path in [Path::ClassicBuild, Path::BuildKit, Path::AddUrl] {
        assert!(open.contains(&path), "{path:?}");
    }
    assert!(!open.contains(&Path::Pull));
    let grpc = Terms {
        grpc: true,
        ..plugin
    };
    assert!(open_fields(&grpc).contains(&(Path::BuildKit, Granularity::Registry)));
    assert!(!open_fields(&grpc).contains(&(Path::ClassicBuild, Granularity::Registry)));
}

#[test]
fn repositories_of_other_registries_are_open_to_builds_until_hosts_toml_leads_to_the_mirror() {
    let other = Terms {
        other_repositories: true,
        ..STANDARD
    };
    let builds = [
        (Path::ClassicBuild, Granularity::Repository),
        (Path::BuildKit, Granularity::Repository),
    ];
    assert_eq!(open_fields(&other), builds);
    let hosts = Terms {
        hosts: true,
        ..other
    };
    assert_eq!(open_fields(&hosts), builds[..1]);
    let containerd = Terms {
        containerd: true,
        ..hosts
    };
    assert_eq!(open_fields(&containerd), []);
}

#[test]
fn what_is_read_is_judged_by_repository() {
    let read = Terms {
        other_repositories: true,
        inspect: true,
        ..STANDARD
    };
    assert_eq!(open_fields(&read), []);
    // By the plugin's absence nothing is lost but what only it sees.
    let unasked = Terms {
        plugin: false,
        ..read
    };
    let open = open_fields(&unasked);
    assert!(
        !open.iter().any(|(path, _)| *path == Path::Push),
        "{open:?}"
    );
    // Without the proxy nothing is read.
    let around = Terms {
        egress: false,
        ..read
    };
    assert!(open_fields(&around).contains(&(Path::BuildKit, Granularity::Repository)));
}

#[test]
fn a_mirror_without_the_network_gate_is_a_cache() {
    let mirror = Terms {
        mirror: true,
        ..NONE
    };
    assert!(open_fields(&mirror).contains(&(Path::Pull, Granularity::Category)));
    let both = Terms {
        egress: true,
        ..mirror
    };
    assert!(!open_fields(&both).contains(&(Path::Pull, Granularity::Category)));
}

#[test]
fn in_mode_audit_whatever_applies_is_open() {
    let audit = Terms {
        audit: true,
        ..STANDARD
    };
    assert!(map(&audit).iter().all(|cell| cell.state != State::Enforced));
}
