//! References as dockerd reads them, one line a case. Every reading is what distribution/reference 0.6 answers; what is
//! refused here and accepted there has tests of its own, and so have its familiar forms that it reads as another name.
//! The judged repository is ours, and so is the more exact of two errors where it says only that the format is wrong.

use proptest::prelude::*;
use ramgate_policy::{
    Digest, ImageName, InvalidDigest, InvalidHost, InvalidReference, Reference, Repository,
};

/// `expected` is `domain path [:tag] [@digest] | familiar form`, and ` | judged` where that is not `domain/path`. `{n}`
/// stands for n hexadecimal digits.
#[track_caller]
fn check(text: &str, expected: &str) {
    let text = with_digits(text);
    match text.parse::<Reference>() {
        Ok(reference) => {
            assert_eq!(reading(&reference), with_digits(expected), "{text:?}");
            assert_reads_back(&reference);
        }
        Err(error) => assert_eq!(error.to_string(), with_digits(expected), "{text:?}"),
    }
}

fn reading(reference: &Reference) -> String {
    let name = format!("{}/{}", reference.domain(), reference.path());
    let judged = match reference.repository() {
        Ok(repository) if repository.to_string() == name => String::new(),
        Ok(repository) => format!(" | {repository}"),
        Err(error) => format!(" | {error}"),
    };
    format!(
        "{} {}{}{} | {}{judged}",
        reference.domain(),
        reference.path(),
        with_sign(" :", reference.tag()),
        with_sign(" @", reference.digest().map(Digest::as_str)),
        reference.familiar(),
    )
}

/// `text` behind `sign`, or nothing.
fn with_sign(sign: &str, text: Option<&str>) -> String {
    text.map_or_else(String::new, |text| format!("{sign}{text}"))
}

#[track_caller]
fn check_refused(text: &str, expected: &InvalidReference) {
    let text = with_digits(text);
    assert_eq!(
        text.parse::<Reference>().as_ref(),
        Err(expected),
        "{text:?}"
    );
    assert!(text.parse::<Repository>().is_err(), "{text:?}");
}

/// `expected` is `id` and the digest, `ambiguous`, `name` and the canonical form, or `refused` and why.
#[track_caller]
fn check_image(text: &str, expected: &str) {
    let text = with_digits(text);
    let got = match text.parse::<ImageName>() {
        Ok(ImageName::Id(digest)) => format!("id {digest}"),
        Ok(ImageName::Ambiguous(kept)) => {
            assert_eq!(kept, text);
            "ambiguous".to_owned()
        }
        Ok(ImageName::Reference(reference)) => format!("name {reference}"),
        Err(error) => format!("refused: {error}"),
    };
    assert_eq!(got, with_digits(expected), "{text:?}");
}

#[track_caller]
fn assert_reads_back(reference: &Reference) {
    for text in [reference.to_string(), reference.familiar()] {
        assert_eq!(text.parse::<Reference>().as_ref(), Ok(reference), "{text}");
    }
}

/// Replaces `{n}` by n hexadecimal digits.
fn with_digits(text: &str) -> String {
    let mut text = text.to_owned();
    for length in [1, 2, 4, 32, 63, 64, 65, 95, 96, 97, 127, 128, 129] {
        text = text.replace(&format!("{{{length}}}"), &hexadecimal(length));
    }
    text
}

fn hexadecimal(length: usize) -> String {
    "c0ffee1234567890".chars().cycle().take(length).collect()
}

#[test]
#[rustfmt::skip]
fn familiar_and_canonical_forms_are_one_reference() {
    check("alpine", "docker.io library/alpine | alpine");
    check("library/alpine", "docker.io library/alpine | alpine");
    check("docker.io/alpine", "docker.io library/alpine | alpine");
    check("docker.io/library/alpine", "docker.io library/alpine | alpine");
    check("alpine:3", "docker.io library/alpine :3 | alpine:3");
    check("library/alpine:3", "docker.io library/alpine :3 | alpine:3");
    check("docker.io/alpine:3", "docker.io library/alpine :3 | alpine:3");
    check("docker.io/library/alpine:3", "docker.io library/alpine :3 | alpine:3");
    check("acme/app", "docker.io acme/app | acme/app");
    check("docker.io/acme/app", "docker.io acme/app | acme/app");
    check("acme/team/app:v2", "docker.io acme/team/app :v2 | acme/team/app:v2");
    check("library/acme/app", "docker.io library/acme/app | library/acme/app");
    check("library", "docker.io library/library | library");
    check("library/library", "docker.io library/library | library");
    check("ghcr.io/acme/app:v2", "ghcr.io acme/app :v2 | ghcr.io/acme/app:v2");
    check("ghcr.io/app", "ghcr.io app | ghcr.io/app");
    check("ghcr.io/library/app", "ghcr.io library/app | ghcr.io/library/app");
    check("scratch", "docker.io library/scratch | scratch");
}

#[test]
#[rustfmt::skip]
fn the_index_is_docker_hub_in_lower_case_only() {
    check("index.docker.io/alpine", "docker.io library/alpine | alpine");
    check("index.docker.io/library/alpine", "docker.io library/alpine | alpine");
    check("index.docker.io/acme/app:1", "docker.io acme/app :1 | acme/app:1");
    check("index.docker.io", "docker.io library/index.docker.io | index.docker.io");
    check("acme/index.docker.io/app", "docker.io acme/index.docker.io/app | acme/index.docker.io/app");
    check("docker.io/index.docker.io/app", "docker.io index.docker.io/app | docker.io/index.docker.io/app");
    // dockerd takes these for registries of their own; they are judged as Docker Hub.
    check("Index.docker.io/alpine", "Index.docker.io alpine | Index.docker.io/alpine | docker.io/library/alpine");
    check("index.docker.io:443/alpine", "index.docker.io:443 alpine | index.docker.io:443/alpine | docker.io/library/alpine");
    check("xindex.docker.io/alpine", "xindex.docker.io alpine | xindex.docker.io/alpine");
}

#[test]
#[rustfmt::skip]
fn the_first_part_is_a_host_only_if_it_looks_like_one() {
    check("localhost/app", "localhost app | localhost/app");
    check("localhost", "docker.io library/localhost | localhost");
    check("localhost:5000", "docker.io library/localhost :5000 | localhost:5000");
    check("example.com", "docker.io library/example.com | example.com");
    check("example.com:80", "docker.io library/example.com :80 | example.com:80");
    check("10.1.2.3", "docker.io library/10.1.2.3 | 10.1.2.3");
    check("10.1.2.3/app", "10.1.2.3 app | 10.1.2.3/app");
    check("registry/app", "docker.io registry/app | registry/app");
    check("Registry/app", "Registry app | Registry/app | registry:443/app");
    check("localhosts/app", "docker.io localhosts/app | localhosts/app");
    check("local-host/app", "docker.io local-host/app | local-host/app");
    check("my_registry/app", "docker.io my_registry/app | my_registry/app");
    check("a.b/app", "a.b app | a.b/app");
    check("acme/a.b/app", "docker.io acme/a.b/app | acme/a.b/app");
    check("acme/localhost/app", "docker.io acme/localhost/app | acme/localhost/app");
    check("docker.io.evil.example/alpine", "docker.io.evil.example alpine | docker.io.evil.example/alpine");
    check("docker-io/alpine", "docker.io docker-io/alpine | docker-io/alpine");
    check("evil.example/docker.io/library/alpine", "evil.example docker.io/library/alpine | evil.example/docker.io/library/alpine");
    check_refused(".example.com/app", &InvalidReference::Format);
    check_refused("example.com./app", &InvalidReference::Format);
    check_refused("example..com/app", &InvalidReference::Format);
    check_refused("-a.example/app", &InvalidReference::Format);
    check_refused("a-.example/app", &InvalidReference::Format);
    check_refused("ghcr_.io/app", &InvalidReference::Format);
    check_refused("./app", &InvalidReference::Format);
    check_refused("../app", &InvalidReference::Format);
    check_refused("*.example.com/app", &InvalidReference::Format);
}

#[test]
#[rustfmt::skip]
fn a_familiar_form_that_would_name_another_registry_stays_canonical() {
    // docker shows these without `docker.io/`, and reads what it shows as another reference or none.
    check("docker.io/example.com/app", "docker.io example.com/app | docker.io/example.com/app");
    check("docker.io/localhost/app:1", "docker.io localhost/app :1 | docker.io/localhost/app:1");
    check("docker.io/docker.io/app", "docker.io docker.io/app | docker.io/docker.io/app");
    check("docker.io/library/{64}", "docker.io library/{64} | docker.io/library/{64}");
    check("docker.io/my_org.x/app", "docker.io my_org.x/app | docker.io/my_org.x/app");
}

#[test]
#[rustfmt::skip]
fn a_port_makes_a_host() {
    check("localhost:5000/app", "localhost:5000 app | localhost:5000/app");
    check("registry:5000/app:1", "registry:5000 app :1 | registry:5000/app:1");
    check("r:80/acme/app", "r:80 acme/app | r:80/acme/app");
    check("10.1.2.3:5000/app", "10.1.2.3:5000 app | 10.1.2.3:5000/app");
    check("docker.io:5000/alpine", "docker.io:5000 alpine | docker.io:5000/alpine");
    check("app:80", "docker.io library/app :80 | app:80");
    check("ghcr.io:00443/app", "ghcr.io:00443 app | ghcr.io:00443/app | ghcr.io/app");
    check_refused("app:tag/path", &InvalidReference::Format);
    check_refused("registry:/app", &InvalidReference::Format);
    check_refused(":5000/app", &InvalidReference::Format);
    check_refused("registry:+80/app", &InvalidReference::Format);
    check_refused("registry:-1/app", &InvalidReference::Format);
    check_refused("registry:80:80/app", &InvalidReference::Format);
    check_refused("registry:0x50/app", &InvalidReference::Format);
    check_refused("acme/registry:5000/app", &InvalidReference::Format);
    check_refused("my_registry:5000/app", &InvalidReference::Format);
}

#[test]
#[rustfmt::skip]
fn a_host_that_cannot_be_dialled_is_read_but_never_judged() {
    check("r:0/app", "r:0 app | r:0/app | the port is not a number from 1 to 65535");
    check("r:65535/app", "r:65535 app | r:65535/app");
    check("r:65536/app", "r:65536 app | r:65536/app | the port is not a number from 1 to 65535");
    check("r:99999999999999999999/app", "r:99999999999999999999 app | r:99999999999999999999/app | the port is not a number from 1 to 65535");
    check("[:]/app", "[:] app | [:]/app | the host has a character or an empty label that no host name has");
    check("[a:b]/app:1", "[a:b] app :1 | [a:b]/app:1 | the host has a character or an empty label that no host name has");
    check("[1:2:3:4:5:6:7:8:9]/app", "[1:2:3:4:5:6:7:8:9] app | [1:2:3:4:5:6:7:8:9]/app | the host has a character or an empty label that no host name has");
}

#[test]
#[rustfmt::skip]
fn ipv6_stands_in_brackets_and_without_zone() {
    check("[::1]/app", "[::1] app | [::1]/app");
    check("[::1]:5000/app:1", "[::1]:5000 app :1 | [::1]:5000/app:1");
    check("[2001:db8::7]/acme/app", "[2001:db8::7] acme/app | [2001:db8::7]/acme/app");
    check("[2001:DB8:0:0::7]:443/app", "[2001:DB8:0:0::7]:443 app | [2001:DB8:0:0::7]:443/app | [2001:db8::7]/app");
    check("[0:0:0:0:0:0:0:1]/app", "[0:0:0:0:0:0:0:1] app | [0:0:0:0:0:0:0:1]/app | [::1]/app");
    check_refused("::1/app", &InvalidReference::Format);
    check_refused("2001:db8::7/app", &InvalidReference::Format);
    check_refused("[::1]", &InvalidReference::Format);
    check_refused("[]/app", &InvalidReference::Format);
    check_refused("[]:80/app", &InvalidReference::Format);
    check_refused("[abc]/app", &InvalidReference::Format);
    check_refused("[::1/app", &InvalidReference::Format);
    check_refused("::1]/app", &InvalidReference::Format);
    check_refused("[::1]5000/app", &InvalidReference::Format);
    check_refused("[::1]:/app", &InvalidReference::Format);
    check_refused("[[::1]]/app", &InvalidReference::Format);
    check_refused("x[::1]/app", &InvalidReference::Format);
    check_refused("[fe80::1%eth0]/app", &InvalidReference::Format);
    check_refused("[fe80::1%25eth0]/app", &InvalidReference::Format);
    check_refused("[::ffff:10.1.2.3]/app", &InvalidReference::Format);
    check_refused("[registry.example]/app", &InvalidReference::Format);
}

#[test]
#[rustfmt::skip]
fn paths_are_lower_case_words_with_single_kinds_of_separator() {
    check("a", "docker.io library/a | a");
    check("0", "docker.io library/0 | 0");
    check("a.b-c_d__e---f", "docker.io library/a.b-c_d__e---f | a.b-c_d__e---f");
    check("x/0/1-2", "docker.io x/0/1-2 | x/0/1-2");
    check("ghcr.io/a--------b", "ghcr.io a--------b | ghcr.io/a--------b");
    check("ghcr.io/my_org.x/app", "ghcr.io my_org.x/app | ghcr.io/my_org.x/app");
    check_refused("a..b", &InvalidReference::Format);
    check_refused("a___b", &InvalidReference::Format);
    check_refused("a._b", &InvalidReference::Format);
    check_refused("a-_b", &InvalidReference::Format);
    check_refused("a.-b", &InvalidReference::Format);
    check_refused("-a", &InvalidReference::Format);
    check_refused("a-", &InvalidReference::Format);
    check_refused(".a", &InvalidReference::Format);
    check_refused("_a", &InvalidReference::Format);
    check_refused("a_", &InvalidReference::Format);
    check_refused("acme/-app", &InvalidReference::Format);
    check_refused("acme./app", &InvalidReference::Format);
    check_refused("a+b", &InvalidReference::Format);
    check_refused("", &InvalidReference::Empty);
    check_refused("/", &InvalidReference::Format);
    check_refused("/app", &InvalidReference::Format);
    check_refused("app/", &InvalidReference::Format);
    check_refused("acme//app", &InvalidReference::Format);
    check_refused("ghcr.io/", &InvalidReference::Format);
    check_refused("ghcr.io//app", &InvalidReference::Format);
    check_refused("docker.io/", &InvalidReference::Format);
    check_refused("docker.io/library/", &InvalidReference::Format);
    check_refused("//ghcr.io/app", &InvalidReference::Format);
    check_refused("acme/../app", &InvalidReference::Format);
    check_refused("ghcr.io/./app", &InvalidReference::Format);
}

#[test]
#[rustfmt::skip]
fn capitals_stand_in_hosts_and_tags_only() {
    check("app:V1.0-RC", "docker.io library/app :V1.0-RC | app:V1.0-RC");
    check("GHCR.IO/app:V1", "GHCR.IO app :V1 | GHCR.IO/app:V1 | ghcr.io/app");
    check("ACME/app", "ACME app | ACME/app | acme:443/app");
    check_refused("Alpine", &InvalidReference::Uppercase);
    check_refused("ALPINE:3", &InvalidReference::Uppercase);
    check_refused("acme/App", &InvalidReference::Uppercase);
    check_refused("docker.io/Alpine", &InvalidReference::Uppercase);
    check_refused("docker.io/Acme/app", &InvalidReference::Uppercase);
    check_refused("Docker.io/Library/alpine", &InvalidReference::Uppercase);
    check_refused("localhost:5000/App", &InvalidReference::Uppercase);
    check_refused("ACME/App", &InvalidReference::Uppercase);
    // Capitals make it a host, and no host has an underscore.
    check_refused("Acme_Corp/app", &InvalidReference::Uppercase);
    check_refused("Acme_Corp.x/app:1", &InvalidReference::Uppercase);
    check_refused("Acme..Corp/app", &InvalidReference::Format);
    check_refused("Docker.io", &InvalidReference::Uppercase);
    check_refused("app@SHA256:{64}", &InvalidReference::Uppercase);
}

#[test]
#[rustfmt::skip]
fn tags_are_words_of_at_most_128_characters() {
    let longest = "t".repeat(128);
    check(&format!("app:{longest}"), &format!("docker.io library/app :{longest} | app:{longest}"));
    check("app:_", "docker.io library/app :_ | app:_");
    check("app:0", "docker.io library/app :0 | app:0");
    check("app:a.-_Z", "docker.io library/app :a.-_Z | app:a.-_Z");
    check("app:x..y", "docker.io library/app :x..y | app:x..y");
    check_refused(&format!("app:{}", "t".repeat(129)), &InvalidReference::Format);
    check_refused("app:", &InvalidReference::Format);
    check_refused("app:-x", &InvalidReference::Format);
    check_refused("app:.x", &InvalidReference::Format);
    check_refused("app:a:b", &InvalidReference::Format);
    check_refused("app::b", &InvalidReference::Format);
    check_refused("app:a/b", &InvalidReference::Format);
    check_refused("app:a+b", &InvalidReference::Format);
    check_refused("docker.io/app:a/b", &InvalidReference::Format);
    check_refused(":latest", &InvalidReference::Format);
    check_refused("acme/:latest", &InvalidReference::Format);
}

#[test]
#[rustfmt::skip]
fn digests_have_a_known_algorithm_and_its_length() {
    check("app@sha256:{64}", "docker.io library/app @sha256:{64} | app@sha256:{64}");
    check("app@sha384:{96}", "docker.io library/app @sha384:{96} | app@sha384:{96}");
    check("app@sha512:{128}", "docker.io library/app @sha512:{128} | app@sha512:{128}");
    check("ghcr.io/acme/app@sha256:{64}", "ghcr.io acme/app @sha256:{64} | ghcr.io/acme/app@sha256:{64}");
    check_refused("app@sha256:{63}", &InvalidReference::Digest(InvalidDigest::Encoded));
    check_refused("app@sha256:{65}", &InvalidReference::Digest(InvalidDigest::Encoded));
    check_refused("app@sha256:{128}", &InvalidReference::Digest(InvalidDigest::Encoded));
    check_refused("app@sha512:{64}", &InvalidReference::Digest(InvalidDigest::Encoded));
    check_refused("app@sha512:{127}", &InvalidReference::Digest(InvalidDigest::Encoded));
    check_refused("app@sha384:{97}", &InvalidReference::Digest(InvalidDigest::Encoded));
    check_refused(&format!("app@sha256:{}", "C".repeat(64)), &InvalidReference::Digest(InvalidDigest::Encoded));
    check_refused(&format!("app@sha256:{}", "g".repeat(64)), &InvalidReference::Digest(InvalidDigest::Encoded));
    check_refused("app@sha256:{64}/x", &InvalidReference::Format);
    check_refused("app@sha256:{64}:x", &InvalidReference::Digest(InvalidDigest::Encoded));
    check_refused("app@sha256:{64}@sha256:{64}", &InvalidReference::Digest(InvalidDigest::Encoded));
    check_refused("app@md5:{32}", &InvalidReference::Digest(InvalidDigest::Algorithm));
    check_refused("app@blake3:{64}", &InvalidReference::Digest(InvalidDigest::Algorithm));
    check_refused("app@sha256+b64:{64}", &InvalidReference::Digest(InvalidDigest::Algorithm));
    check_refused("app@sha256 :{64}", &InvalidReference::Digest(InvalidDigest::Algorithm));
    check_refused("app@:{64}", &InvalidReference::Digest(InvalidDigest::Algorithm));
    check_refused("app@{64}", &InvalidReference::Digest(InvalidDigest::Format));
    check_refused("app@latest", &InvalidReference::Digest(InvalidDigest::Format));
    check_refused("app@", &InvalidReference::Digest(InvalidDigest::Format));
    check_refused("app@@sha256:{64}", &InvalidReference::Digest(InvalidDigest::Algorithm));
    check_refused("@sha256:{64}", &InvalidReference::Format);
    check_refused("docker.io/@sha256:{64}", &InvalidReference::Format);
}

#[test]
#[rustfmt::skip]
fn tag_and_digest_are_both_kept_in_this_order() {
    check("app:v1@sha256:{64}", "docker.io library/app :v1 @sha256:{64} | app:v1@sha256:{64}");
    check("r:5000/acme/app:V1@sha512:{128}", "r:5000 acme/app :V1 @sha512:{128} | r:5000/acme/app:V1@sha512:{128}");
    check("[::1]:80/app:1@sha256:{64}", "[::1]:80 app :1 @sha256:{64} | [::1]:80/app:1@sha256:{64}");
    check_refused("app@sha256:{64}:v1", &InvalidReference::Digest(InvalidDigest::Encoded));
    check_refused("app:@sha256:{64}", &InvalidReference::Format);
    check_refused("app:v1:v2@sha256:{64}", &InvalidReference::Format);
    check_refused("app:v1@sha256:{63}", &InvalidReference::Digest(InvalidDigest::Encoded));
}

#[test]
#[rustfmt::skip]
fn sixty_four_hexadecimal_digits_are_no_reference() {
    check_refused("{64}", &InvalidReference::ImageId);
    check_refused(&"0".repeat(64), &InvalidReference::ImageId);
    check_refused(&"F".repeat(64), &InvalidReference::Uppercase);
    check("{63}", "docker.io library/{63} | {63}");
    check("{65}", "docker.io library/{65} | {65}");
    check("{64}:1", "docker.io library/{64} :1 | {64}:1");
    check("library/{64}", "docker.io library/{64} | docker.io/library/{64}");
    check("acme/{64}", "docker.io acme/{64} | acme/{64}");
    check("{63}g", "docker.io library/{63}g | {63}g");
}

#[test]
#[rustfmt::skip]
fn an_algorithm_before_a_colon_is_a_repository_and_a_tag() {
    check("sha256:{64}", "docker.io library/sha256 :{64} | sha256:{64}");
    check("sha256:{4}", "docker.io library/sha256 :{4} | sha256:{4}");
    check("sha512:{128}", "docker.io library/sha512 :{128} | sha512:{128}");
    check("docker.io/sha256:{64}", "docker.io library/sha256 :{64} | sha256:{64}");
    check("sha256:{64}@sha256:{64}", "docker.io library/sha256 :{64} @sha256:{64} | sha256:{64}@sha256:{64}");
    check_refused("sha256:{129}", &InvalidReference::Format);
}

#[test]
#[rustfmt::skip]
fn every_spelling_of_docker_hub_is_judged_as_one() {
    check("Docker.io/alpine", "Docker.io alpine | Docker.io/alpine | docker.io/library/alpine");
    check("DOCKER.IO/library/alpine", "DOCKER.IO library/alpine | DOCKER.IO/library/alpine | docker.io/library/alpine");
    check("docker.io:443/alpine", "docker.io:443 alpine | docker.io:443/alpine | docker.io/library/alpine");
    check("docker.io:0443/acme/app", "docker.io:0443 acme/app | docker.io:0443/acme/app | docker.io/acme/app");
    check("registry-1.docker.io/alpine", "registry-1.docker.io alpine | registry-1.docker.io/alpine | docker.io/library/alpine");
    check("registry-1.docker.io:443/library/alpine", "registry-1.docker.io:443 library/alpine | registry-1.docker.io:443/library/alpine | docker.io/library/alpine");
    check("Registry-1.Docker.IO/acme/app:1", "Registry-1.Docker.IO acme/app :1 | Registry-1.Docker.IO/acme/app:1 | docker.io/acme/app");
    check("registry.hub.docker.com/acme/app", "registry.hub.docker.com acme/app | registry.hub.docker.com/acme/app | docker.io/acme/app");
    check("hub.docker.com/acme/app", "hub.docker.com acme/app | hub.docker.com/acme/app | docker.io/acme/app");
    check("docker.io:80/alpine", "docker.io:80 alpine | docker.io:80/alpine");
    check("evil.docker.io/alpine", "evil.docker.io alpine | evil.docker.io/alpine");
}

#[test]
#[rustfmt::skip]
fn host_case_and_default_port_do_not_change_what_is_judged() {
    check("ghcr.io:443/acme/app", "ghcr.io:443 acme/app | ghcr.io:443/acme/app | ghcr.io/acme/app");
    check("GhCr.Io/acme/app", "GhCr.Io acme/app | GhCr.Io/acme/app | ghcr.io/acme/app");
    check("GHCR.IO:443/acme/app", "GHCR.IO:443 acme/app | GHCR.IO:443/acme/app | ghcr.io/acme/app");
    check("ghcr.io:80/acme/app", "ghcr.io:80 acme/app | ghcr.io:80/acme/app");
    check("LOCALHOST/app", "LOCALHOST app | LOCALHOST/app | localhost/app");
    check("LocalHost:443/app", "LocalHost:443 app | LocalHost:443/app | localhost/app");
    check("localhost:443/app", "localhost:443 app | localhost:443/app | localhost/app");
}

#[test]
#[rustfmt::skip]
fn names_end_at_255_characters_with_their_registry() {
    let path = "a".repeat(255 - "docker.io/library/".len());
    check(&path, &format!("docker.io library/{path} | {path}"));
    let path = "a".repeat(255 - "ghcr.io/".len());
    check(&format!("ghcr.io/{path}:1@sha256:{{64}}"), &format!("ghcr.io {path} :1 @sha256:{{64}} | ghcr.io/{path}:1@sha256:{{64}}"));
    let parts = format!("a{}", "/a".repeat(122));
    check(&parts, &format!("docker.io {parts} | {parts}"));
    check_refused(&format!("ghcr.io/{}", "a".repeat(256)), &InvalidReference::Length);
    check_refused(&"a".repeat(4096), &InvalidReference::Length);
    check_refused(&"a/".repeat(4096), &InvalidReference::Format);
    check_refused(&"/".repeat(4096), &InvalidReference::Format);
}

#[test]
#[rustfmt::skip]
fn names_that_only_newer_daemons_take_for_short_enough_are_refused() {
    // Since 27.0 dockerd counts the path alone.
    check_refused(&"a".repeat(238), &InvalidReference::Length);
    check_refused(&format!("ghcr.io/{}", "a".repeat(248)), &InvalidReference::Length);
    check_refused(&format!("ghcr.io/{}", "a".repeat(255)), &InvalidReference::Length);
    check_refused(&format!("{}.example/app", "h".repeat(300)), &InvalidReference::Length);
}

#[test]
#[rustfmt::skip]
fn names_whose_host_dockerd_takes_for_a_path_are_refused() {
    // dockerd accepts them with an empty registry; its containerd image store dials the first part.
    check_refused("my_host.example/app", &InvalidReference::Format);
    check_refused("a__b.c/acme/app:1", &InvalidReference::Format);
    check_refused("docker.io_x/app@sha256:{64}", &InvalidReference::Format);
}

#[test]
#[rustfmt::skip]
fn letters_beyond_ascii_are_refused_wherever_they_stand() {
    check_refused("bücher", &InvalidReference::Format);
    check_refused("Écran", &InvalidReference::Uppercase);
    check_refused("acme/İ", &InvalidReference::Uppercase);
    // KELVIN SIGN and LATIN SMALL LETTER LONG S, which fold to `k` and `s`.
    check_refused("\u{212a}ali", &InvalidReference::Uppercase);
    check_refused("doc\u{212a}er.io/library/alpine", &InvalidReference::Format);
    check_refused("\u{212a}/alpine", &InvalidReference::Format);
    check_refused("acme/\u{17f}", &InvalidReference::Format);
    check_refused("É/alpine", &InvalidReference::Format);
    check_refused("bücher.example/app", &InvalidReference::Format);
    check_refused("ghcr．io/app", &InvalidReference::Format);
    check_refused("ghcr.io／app", &InvalidReference::Format);
    check_refused("app：1", &InvalidReference::Format);
    check_refused("r:５０００/app", &InvalidReference::Format);
    check_refused("app:١", &InvalidReference::Format);
    check_refused("app:é", &InvalidReference::Format);
    check_refused("a\u{301}pp", &InvalidReference::Format);
    check_refused("\u{feff}alpine", &InvalidReference::Format);
    check_refused("alp\u{200b}ine", &InvalidReference::Format);
    check_refused("al\u{ad}pine", &InvalidReference::Format);
    check_refused("\u{202e}alpine", &InvalidReference::Format);
    check_refused("аlpine", &InvalidReference::Format);
    check_refused("app\u{10ffff}", &InvalidReference::Format);
    check("xn--bcher-kva.example/app", "xn--bcher-kva.example app | xn--bcher-kva.example/app");
}

#[test]
#[rustfmt::skip]
fn control_characters_and_blanks_are_refused_wherever_they_stand() {
    check_refused("alpine\n", &InvalidReference::Format);
    check_refused("\nalpine", &InvalidReference::Format);
    check_refused("alpine\nevil", &InvalidReference::Format);
    check_refused("alpine:3\n", &InvalidReference::Format);
    check_refused("alpine\r", &InvalidReference::Format);
    check_refused("alpine\0", &InvalidReference::Format);
    check_refused("alpine\0evil", &InvalidReference::Format);
    check_refused("docker.io\0/alpine", &InvalidReference::Format);
    check_refused("docker.io/\0alpine", &InvalidReference::Format);
    check_refused("docker.io\n/alpine", &InvalidReference::Format);
    check_refused(" alpine", &InvalidReference::Format);
    check_refused("alpine ", &InvalidReference::Format);
    check_refused("al pine", &InvalidReference::Format);
    check_refused("alpine: 3", &InvalidReference::Format);
    check_refused("alpine\t", &InvalidReference::Format);
    check_refused("alpine\u{7f}", &InvalidReference::Format);
    check_refused("alpine\u{1b}[0m", &InvalidReference::Format);
    check_refused("{64}\n", &InvalidReference::Format);
    check_refused("app@sha256:{64}\n", &InvalidReference::Digest(InvalidDigest::Encoded));
    check_refused("app@sha256:\n{64}", &InvalidReference::Digest(InvalidDigest::Encoded));
    check_refused("\n", &InvalidReference::Format);
    check_refused(" ", &InvalidReference::Format);
}

#[test]
#[rustfmt::skip]
fn what_other_grammars_give_a_meaning_to_is_refused() {
    check_refused("https://ghcr.io/app", &InvalidReference::Format);
    check_refused("docker://alpine", &InvalidReference::Format);
    check_refused("oci:alpine:3:4", &InvalidReference::Format);
    check_refused("user@ghcr.io/app", &InvalidReference::Format);
    check_refused("user:secret@ghcr.io/app", &InvalidReference::Format);
    check_refused("docker.io@evil.example/app", &InvalidReference::Format);
    check_refused("docker.io#evil.example/app", &InvalidReference::Format);
    check_refused("docker.io?evil.example/app", &InvalidReference::Format);
    check_refused("docker.io\\evil.example/app", &InvalidReference::Format);
    check_refused("docker.io,evil.example/app", &InvalidReference::Format);
    check_refused("docker.io;evil.example/app", &InvalidReference::Format);
    check_refused("docker.io%2fevil/app", &InvalidReference::Format);
    check_refused("docker.io%00/app", &InvalidReference::Format);
    check_refused("acme%2fapp", &InvalidReference::Format);
    check_refused("acme\\app", &InvalidReference::Format);
    check_refused("app?ns=docker.io", &InvalidReference::Format);
    check_refused("app#1", &InvalidReference::Format);
    check_refused("app&tag=1", &InvalidReference::Format);
    check_refused("app|sh", &InvalidReference::Format);
    check_refused("$(id)", &InvalidReference::Format);
    check_refused("`id`", &InvalidReference::Format);
    check_refused("'alpine'", &InvalidReference::Format);
    check_refused("\"alpine\"", &InvalidReference::Format);
    check_refused("--help", &InvalidReference::Format);
    check_refused("*", &InvalidReference::Format);
    check_refused("acme/*", &InvalidReference::Format);
    check_refused("{image}", &InvalidReference::Format);
    check_refused("<none>:<none>", &InvalidReference::Format);
}

#[test]
#[rustfmt::skip]
fn an_image_is_an_id_if_it_is_a_whole_digest() {
    check_image("{64}", "id sha256:{64}");
    check_image("sha256:{64}", "id sha256:{64}");
    check_image("sha384:{96}", "id sha384:{96}");
    check_image("sha512:{128}", "id sha512:{128}");
    // A digest of another length is the name of a repository called like the algorithm.
    check_image("sha512:{127}", "name docker.io/library/sha512:{127}");
    check_image("sha384:{64}", "name docker.io/library/sha384:{64}");
    check_image("sha256:{65}", "name docker.io/library/sha256:{65}");
    check_image("docker.io/library/sha256:{64}", "name docker.io/library/sha256:{64}");
    check_image("app@sha256:{64}", "name docker.io/library/app@sha256:{64}");
}

#[test]
#[rustfmt::skip]
fn an_image_of_hexadecimal_digits_may_be_a_name_or_an_id() {
    check_image("{63}", "ambiguous");
    check_image("{4}", "ambiguous");
    check_image("{2}", "ambiguous");
    check_image("{1}", "ambiguous");
    check_image("cafe", "ambiguous");
    check_image("0", "ambiguous");
    check_image("sha256:{63}", "ambiguous");
    check_image("sha256:{1}", "ambiguous");
    check_image("{65}", "name docker.io/library/{65}");
    check_image("cafe:latest", "name docker.io/library/cafe:latest");
    check_image("library/cafe", "name docker.io/library/cafe");
    check_image("docker.io/library/cafe", "name docker.io/library/cafe");
    check_image("coffee-1", "name docker.io/library/coffee-1");
    check_image("sha512:{63}", "name docker.io/library/sha512:{63}");
}

#[test]
#[rustfmt::skip]
fn an_image_is_a_reference_otherwise() {
    check_image("alpine", "name docker.io/library/alpine");
    check_image("alpine:3", "name docker.io/library/alpine:3");
    check_image("GHCR.io/acme/app", "name GHCR.io/acme/app");
    check_image("", "refused: the reference is empty");
    check_image("sha256:", "refused: invalid reference format");
    check_image("sha256:sha256:{64}", "refused: invalid reference format");
    check_image("sha256:CAFE", "name docker.io/library/sha256:CAFE");
    check_image("CAFE", "refused: the repository path must be lower-case");
    check_image("{64}\n", "refused: invalid reference format");
    check_image(" {64}", "refused: invalid reference format");
    check_image("my_host.example/app", "refused: invalid reference format");
}

#[test]
fn a_repository_keeps_neither_tag_nor_digest() {
    let repository: Repository = with_digits("GHCR.io:443/acme/app:1@sha256:{64}")
        .parse()
        .unwrap();
    assert_eq!(repository.to_string(), "ghcr.io/acme/app");
    assert_eq!(
        "r:0/app".parse::<Repository>(),
        Err(InvalidReference::Host(InvalidHost::Port))
    );
}

/// A host that dockerd takes for one, without port.
fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("docker.io".to_owned()),
        Just("registry-1.docker.io".to_owned()),
        Just("localhost".to_owned()),
        "[a-zA-Z0-9]([a-zA-Z0-9-]{0,6}[a-zA-Z0-9])?(\\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,6}[a-zA-Z0-9])?){1,3}",
        any::<std::net::Ipv4Addr>().prop_map(|address| address.to_string()),
        any::<std::net::Ipv6Addr>()
            // The form with dots, `::ffff:10.1.2.3`, is none of the grammar.
            .prop_filter("no dots", |address| !address.to_string().contains('.'))
            .prop_map(|address| format!("[{address}]")),
    ]
}

fn port() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "[0-9]{1,6}".prop_map(|digits| format!(":{digits}"))
    ]
}

fn path() -> impl Strategy<Value = String> {
    "[a-z0-9]{1,5}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}(/[a-z0-9]{1,5}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}){0,3}"
}

/// `[:tag][@digest]`.
fn suffix() -> impl Strategy<Value = (Option<String>, Option<String>)> {
    let digest = prop_oneof![
        "sha256:[0-9a-f]{64}",
        "sha384:[0-9a-f]{96}",
        "sha512:[0-9a-f]{128}"
    ];
    (
        proptest::option::of("[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"),
        proptest::option::of(digest),
    )
}

fn written(name: &str, tag: Option<&str>, digest: Option<&str>) -> String {
    format!("{name}{}{}", with_sign(":", tag), with_sign("@", digest))
}

/// Bytes that mean something to the grammar, close together.
fn almost_reference() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => "[._:@/\\[\\]Aa0f-]",
        1 => prop::sample::select(vec!["docker.io/", "library/", "localhost", "sha256:"]).prop_map(str::to_owned),
        1 => prop::sample::select(vec!["É", "İ", "\u{212a}", "\0", "\n", " "]).prop_map(str::to_owned),
        1 => "[0-9a-f]{64}",
    ];
    proptest::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

fn judged(text: &str) -> Result<Repository, InvalidReference> {
    text.parse()
}

#[test]
fn a_repository_is_written_so_that_it_is_read_as_the_same() {
    for text in [
        "acme:443/tool",
        "Acme/tool",
        "acme:5000/tool",
        "localhost/tool",
        "localhost:443/tool",
        "[::1]:443/tool",
        "ghcr.io:443/acme/tool",
        "acme/tool",
        "tool",
    ] {
        let repository = judged(text).unwrap();
        assert_eq!(judged(&repository.to_string()), Ok(repository), "{text}");
    }
    assert_eq!(
        judged("acme:443/tool").unwrap().to_string(),
        "acme:443/tool"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_canonical_reference_is_read_as_it_is_written(
        host in host(), port in port(), path in path(), (tag, digest) in suffix(),
    ) {
        let hub = host == "docker.io" && port.is_empty();
        prop_assume!(!hub || path.contains('/'));
        let domain = format!("{host}{port}");
        let text = written(&format!("{domain}/{path}"), tag.as_deref(), digest.as_deref());
        let reference: Reference = text.parse().unwrap();
        prop_assert_eq!(reference.to_string(), text);
        prop_assert_eq!(reference.domain(), domain);
        prop_assert_eq!(reference.path(), path);
        prop_assert_eq!(reference.tag(), tag.as_deref());
        prop_assert_eq!(reference.digest().map(Digest::as_str), digest.as_deref());
        assert_reads_back(&reference);
    }

    #[test]
    fn a_familiar_reference_lies_on_docker_hub(
        name in "[a-z][a-z0-9]{0,9}(-[a-z0-9]{1,4})?", (tag, digest) in suffix(),
    ) {
        let familiar = written(&name, tag.as_deref(), digest.as_deref());
        let reference: Reference = familiar.parse().unwrap();
        prop_assert_eq!(reference.to_string(), format!("docker.io/library/{familiar}"));
        prop_assert_eq!(reference.familiar(), familiar);
        assert_reads_back(&reference);
    }

    #[test]
    fn any_text_is_read_or_refused_and_never_a_crash(text in any::<String>()) {
        let _ = text.parse::<ImageName>();
        if let Ok(reference) = text.parse::<Reference>() {
            assert_reads_back(&reference);
        }
    }

    #[test]
    fn text_close_to_a_reference_is_read_or_refused_and_never_a_crash(text in almost_reference()) {
        if let Ok(reference) = text.parse::<Reference>() {
            assert_reads_back(&reference);
            prop_assert!(text.is_ascii());
            prop_assert!(text.parse::<ImageName>().is_ok());
        } else if let Ok(image) = text.parse::<ImageName>() {
            prop_assert!(matches!(image, ImageName::Id(_)));
        }
    }

    #[test]
    fn host_case_and_port_443_do_not_change_what_is_judged(
        host in host(), path in path(), upper in any::<u64>(),
    ) {
        let respell = |(at, letter): (usize, char)| {
            if (upper >> (at % 64)) & 1 == 1 { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() }
        };
        let respelt: String = host.chars().enumerate().map(respell).collect();
        let expected = judged(&format!("{host}/{path}"));
        prop_assert!(expected.is_ok());
        for text in [
            format!("{respelt}/{path}"),
            format!("{host}:443/{path}"),
            format!("{respelt}:443/{path}:443"),
            format!("{respelt}:0443/{path}"),
        ] {
            prop_assert_eq!(&judged(&text), &expected, "{}", text);
        }
    }
}
