//! What level `strict` adds to a plan.

use super::*;

#[test]
fn strict_makes_an_authority_that_the_engine_alone_trusts() {
    let system = System::new(26);
    let strict = Choices {
        registries: vec!["ghcr.io".to_owned()],
        ..choices(Level::Strict)
    };
    let plan = system.plan(&strict);
    let settings = Settings::parse(&written(&plan, DEFAULT_PATH)).unwrap();
    assert!(settings.egress.unwrap().inspect);
    let certificate = written(&plan, "/var/lib/ramgate/inspection-ca.pem");
    assert!(certificate.contains("permitted: ghcr.io"), "{certificate}");
    assert_eq!(
        written(&plan, "/var/lib/ramgate/trust/ramgate-inspection.pem"),
        certificate
    );
    assert_eq!(plan.trusted, Some(certificate));
    let drop_in = "/etc/systemd/system/docker.service.d/ramgate-inspection.conf";
    assert!(written(&plan, drop_in).ends_with(
        "Environment=SSL_CERT_DIR=/etc/ssl/certs:/etc/pki/tls/certs:/var/lib/ramgate/trust\n"
    ));
    assert_eq!(plan.engine, Apply::Restart);
    assert_eq!(plan.routes[1], ("ghcr.io".to_owned(), Route::Inspect));

    let of = |path: &str| plan.steps.iter().find(|step| step.path == Path::new(path));
    let key = of("/var/lib/ramgate/inspection-ca.key").unwrap();
    assert!(matches!(key.after, Content::File { mode: 0o600, .. }));
    assert!(key.diff().contains("(secret, 0600"), "{}", key.diff());
}

#[test]
fn strict_sends_what_containers_fetch_to_the_network_gate() {
    let system = System::new(26);
    let strict = choices(Level::Strict);
    let plan = system.plan(&strict);
    let settings = Settings::parse(&written(&plan, DEFAULT_PATH)).unwrap();
    let transparent = settings.egress.unwrap().transparent.unwrap();
    let rules = crate::nft::Ruleset::new(&transparent, None).to_string();
    assert_eq!(plan.rules, Some(rules));
    let unit = written(&plan, "/etc/systemd/system/ramgate-nft.service");
    assert!(unit.contains("Before=docker.service"), "{unit}");
    let wanted = "/etc/systemd/system/multi-user.target.wants/ramgate-nft.service";
    assert!(paths(&plan).contains(&wanted.to_owned()));
    assert_eq!(system.plan(&choices(Level::Standard)).rules, None);

    // What somebody has set stays.
    system.write(
        DEFAULT_PATH,
        r#"{"egress": {"inspect": true, "transparent": {"listen": "0.0.0.0:6000"}}}"#,
    );
    let plan = system.plan(&strict);
    assert!(!paths(&plan).contains(&DEFAULT_PATH.to_owned()));
    assert!(plan.rules.unwrap().contains("redirect to :6000"));

    std::fs::remove_file(below(system.root.path(), Path::new("/usr/sbin/nft"))).unwrap();
    system.refused(&strict, "install the package `nftables`");
    system.plan(&choices(Level::Standard));
}

#[test]
fn an_authority_is_made_anew_when_it_is_not_good_for_all_registries() {
    let system = System::new(26);
    let with = |registries: &[&str]| Choices {
        registries: registries.iter().map(|host| (*host).to_owned()).collect(),
        ..choices(Level::Strict)
    };
    system.carry_out(&with(&["ghcr.io"]));
    assert!(system.plan(&with(&["ghcr.io"])).is_empty());
    let plan = system.plan(&with(&["ghcr.io", "reg.example"]));
    let certificate = written(&plan, "/var/lib/ramgate/inspection-ca.pem");
    assert!(
        certificate.contains("permitted: reg.example"),
        "{certificate}"
    );
    assert_eq!(plan.engine, Apply::Restart);
}

#[test]
fn without_systemd_the_certificate_goes_where_programs_in_go_look() {
    let mut system = System::new(26);
    system.write("/etc/pki/tls/certs/other.pem", "");
    system.docker.unit = None;
    std::fs::remove_file(below(system.root.path(), Path::new("/lib/systemd/systemd"))).unwrap();
    std::fs::remove_file(below(
        system.root.path(),
        Path::new("/usr/lib/systemd/system/docker.service"),
    ))
    .unwrap();
    let strict = Choices {
        can_start: true,
        can_restart: true,
        ..choices(Level::Strict)
    };
    let plan = system.plan(&strict);
    written(&plan, "/etc/pki/tls/certs/ramgate-inspection.pem");
    std::fs::remove_dir_all(below(system.root.path(), Path::new("/etc/pki"))).unwrap();
    system.refused(&strict, "install `ca-certificates`");
}

#[test]
fn what_strict_cannot_do_is_said_beforehand() {
    let system = System::new(26);
    let strict = choices(Level::Strict);
    system.write("/etc/ramgate/policy.json", "{\"version\": 1}");
    system.refused(&strict, "add `registries`");
    system.write(
        "/etc/ramgate/policy.json",
        "{\"version\": 1, \"registries\": [{\"host\": \"docker.io\"}]}",
    );
    system.carry_out(&strict);
    let mut host = system.host();
    let journal = host.journal.get_or_insert_default();
    journal.level = Some(Level::Strict);
    for less in [Level::Standard, Level::Plugin] {
        let Refusal(problems) = plan(&host, &choices(less)).unwrap_err();
        assert!(
            problems[0].contains("level strict is installed, which is more than"),
            "{problems:?}"
        );
    }
}
