//! Targets that are read and those that are not.

use super::*;

fn read(method: &str, uri: &str, headers: &[(&str, &str)]) -> Result<String, InvalidTarget> {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let target = Target::read(&request.body(()).unwrap())?;
    Ok(format!("{:?} {} {}", target.form, target.host, target.port))
}

#[track_caller]
fn check(method: &str, uri: &str, host: &str, expected: Result<&str, InvalidTarget>) {
    let got = read(method, uri, &[("host", host)]);
    assert_eq!(
        got.as_deref().map_err(|error| *error),
        expected,
        "{method} {uri} with Host {host}"
    );
}

#[test]
fn both_forms_are_read() {
    check(
        "CONNECT",
        "ghcr.io:443",
        "ghcr.io:443",
        Ok("Tunnel ghcr.io 443"),
    );
    check(
        "CONNECT",
        "GHCR.io.:443",
        "ghcr.io",
        Ok("Tunnel ghcr.io 443"),
    );
    check(
        "CONNECT",
        "[::1]:5000",
        "[::1]:5000",
        Ok("Tunnel [::1] 5000"),
    );
    check(
        "CONNECT",
        "10.0.0.1:443",
        "10.0.0.1:443",
        Ok("Tunnel 10.0.0.1 443"),
    );
    check(
        "GET",
        "http://mirror.acme.example/a?b=c",
        "mirror.acme.example",
        Ok("Forward mirror.acme.example 80"),
    );
    check(
        "GET",
        "HTTP://Mirror.acme.example:80/",
        "mirror.acme.example",
        Ok("Forward mirror.acme.example 80"),
    );
    check(
        "PUT",
        "http://mirror.acme.example:5000/v2/",
        "mirror.acme.example:5000",
        Ok("Forward mirror.acme.example 5000"),
    );
    check(
        "GET",
        "http://[::1]:5000/",
        "[::1]:5000",
        Ok("Forward [::1] 5000"),
    );
}

#[test]
fn other_forms_are_refused() {
    check("GET", "/v2/", "ghcr.io", Err(InvalidTarget::NotForProxy));
    check("OPTIONS", "*", "ghcr.io", Err(InvalidTarget::NotForProxy));
    check(
        "GET",
        "ghcr.io:443",
        "ghcr.io:443",
        Err(InvalidTarget::NotForProxy),
    );
    check(
        "connect",
        "ghcr.io:443",
        "ghcr.io:443",
        Err(InvalidTarget::NotForProxy),
    );
    check(
        "CONNECT",
        "/v2/",
        "ghcr.io",
        Err(InvalidTarget::NotForProxy),
    );
    check(
        "CONNECT",
        "http://ghcr.io:443/",
        "ghcr.io:443",
        Err(InvalidTarget::NotForProxy),
    );
    check(
        "GET",
        "https://ghcr.io/v2/",
        "ghcr.io",
        Err(InvalidTarget::Scheme),
    );
    check(
        "GET",
        "ftp://ghcr.io/v2/",
        "ghcr.io",
        Err(InvalidTarget::Scheme),
    );
}

#[test]
fn a_target_that_could_be_read_two_ways_is_refused() {
    check(
        "CONNECT",
        "evil.example:443@ghcr.io:443",
        "ghcr.io:443",
        Err(InvalidTarget::Userinfo),
    );
    check(
        "CONNECT",
        "ghcr.io@evil.example:443",
        "ghcr.io:443",
        Err(InvalidTarget::Userinfo),
    );
    check(
        "GET",
        "http://ghcr.io@evil.example/",
        "evil.example",
        Err(InvalidTarget::Userinfo),
    );
    check(
        "GET",
        "http://user:word@ghcr.io/",
        "ghcr.io",
        Err(InvalidTarget::Userinfo),
    );
    check(
        "CONNECT",
        "ghcr.io",
        "ghcr.io",
        Err(InvalidTarget::PortMissing),
    );
    check(
        "CONNECT",
        "ghcr.io:0",
        "ghcr.io",
        Err(InvalidTarget::Host(InvalidHost::Port)),
    );
    check(
        "GET",
        "http://ghcr.io:0/",
        "ghcr.io",
        Err(InvalidTarget::Host(InvalidHost::Port)),
    );
    check(
        "GET",
        "http://ghcr..io/",
        "ghcr.io",
        Err(InvalidTarget::Host(InvalidHost::Name)),
    );
}

#[test]
fn a_name_that_could_be_an_address_is_refused() {
    for host in [
        "2130706433",
        "0x7f000001",
        "127.1",
        "0x7f.1",
        "017700000001",
        "a.0x",
    ] {
        let target = format!("{host}:443");
        check("CONNECT", &target, &target, Err(InvalidTarget::Numeric));
    }
    check(
        "CONNECT",
        "a1.example0:443",
        "a1.example0:443",
        Ok("Tunnel a1.example0 443"),
    );
}

#[test]
fn http_2_names_its_target_once() {
    let target = |host: Option<&str>| {
        let mut request = Request::builder()
            .method("CONNECT")
            .version(Version::HTTP_2)
            .uri("ghcr.io:443");
        if let Some(host) = host {
            request = request.header("host", host);
        }
        Target::read(&request.body(()).unwrap()).map(|target| target.port)
    };
    assert_eq!(target(None), Ok(443));
    assert_eq!(target(Some("ghcr.io:443")), Ok(443));
    assert_eq!(
        target(Some("evil.example:443")),
        Err(InvalidTarget::HostHeader)
    );
}

#[test]
fn the_host_header_says_what_the_target_says() {
    check(
        "GET",
        "http://ghcr.io/",
        "evil.example",
        Err(InvalidTarget::HostHeader),
    );
    check(
        "GET",
        "http://ghcr.io/",
        "ghcr.io:443",
        Err(InvalidTarget::HostHeader),
    );
    check(
        "GET",
        "http://ghcr.io/",
        "",
        Err(InvalidTarget::Host(InvalidHost::Empty)),
    );
    check(
        "CONNECT",
        "ghcr.io:443",
        "evil.example:443",
        Err(InvalidTarget::HostHeader),
    );
    check(
        "CONNECT",
        "ghcr.io:443",
        "ghcr.io:22",
        Err(InvalidTarget::HostHeader),
    );
    let twice = read(
        "GET",
        "http://ghcr.io/",
        &[("host", "ghcr.io"), ("host", "ghcr.io")],
    );
    assert_eq!(twice, Err(InvalidTarget::HostHeaderCount));
    assert_eq!(
        read("GET", "http://ghcr.io/", &[]),
        Err(InvalidTarget::HostHeaderCount)
    );
}

#[test]
fn http_1_0_needs_no_host_header() {
    let request = Request::builder()
        .version(Version::HTTP_10)
        .uri("http://ghcr.io/")
        .body(())
        .unwrap();
    assert!(Target::read(&request).is_ok());
}

#[test]
fn a_tunnel_has_no_content() {
    for name in ["content-length", "transfer-encoding"] {
        let got = read(
            "CONNECT",
            "ghcr.io:443",
            &[("host", "ghcr.io:443"), (name, "0")],
        );
        assert_eq!(got, Err(InvalidTarget::Content), "{name}");
    }
}

#[test]
fn the_host_header_passed_on_is_the_targets() {
    let written = |uri: &str, host: &str| {
        let request = Request::builder()
            .uri(uri)
            .header("host", host)
            .body(())
            .unwrap();
        Target::read(&request).unwrap().host_header().unwrap()
    };
    assert_eq!(written("http://GHCR.io.:80/", "ghcr.IO"), "ghcr.io");
    assert_eq!(
        written("http://ghcr.io:5000/", "ghcr.io:5000"),
        "ghcr.io:5000"
    );
    assert_eq!(written("http://[0:0::1]:5000/", "[::1]:5000"), "[::1]:5000");
}
