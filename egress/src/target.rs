//! What a request wants to reach. Pure.
//!
//! A forward proxy is asked in two forms ([RFC 9112, section 3.2](https://www.rfc-editor.org/rfc/rfc9112#section-3.2)):
//! `CONNECT host:port`, and `GET http://host/path`. Whatever else arrives is refused, and so is every request that a second
//! reader could take for another host: credentials before an `@`, a `Host` header that differs, a missing port.

use http::header::{self, HeaderMap, HeaderValue};
use http::uri::{Authority, PathAndQuery};
use http::{Method, Request, Uri, Version};
use ramgate_policy::{Host, InvalidHost, split_port};
use thiserror::Error;

/// Where a request wants to go, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    host: Host,
    port: u16,
    form: Form,
}

/// How a request is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `http://`: the request itself is passed on.
    Forward,
    /// `CONNECT`: bytes are.
    Tunnel,
}

/// Why a request is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum InvalidTarget {
    /// A captured request that is meant for a proxy, or for another port than it came to.
    #[error(
        "this connection was captured on its way to a web server: name the server in the Host header, and use no proxy but the site's own"
    )]
    Captured,
    /// `CONNECT` with a length or coding of content, which it does not have.
    #[error("a CONNECT request has no content")]
    Content,
    /// The host or port is none.
    #[error("the target is unreadable: {0}")]
    Host(#[from] InvalidHost),
    /// A name that a resolver may take for an address in another notation: `2130706433`, `0x7f.1`.
    #[error(
        "a name that ends in a number is an address to some; write addresses as in `192.0.2.1`"
    )]
    Numeric,
    /// The `Host` header names something else than the target.
    #[error("the Host header and the target differ")]
    HostHeader,
    /// There is no `Host` header, or more than one.
    #[error("one Host header is expected")]
    HostHeaderCount,
    /// Origin-form, asterisk-form, or `CONNECT` with more than an authority.
    #[error(
        "this is a forward proxy: name the target as `CONNECT host:port` or `http://host/path`"
    )]
    NotForProxy,
    /// `CONNECT` without a port.
    #[error("a CONNECT target has a port, as in `ghcr.io:443`")]
    PortMissing,
    /// A scheme other than `http`.
    #[error("only http:// targets are forwarded; https:// is reached with CONNECT")]
    Scheme,
    /// `user@host`.
    #[error("a target has no credentials before its host")]
    Userinfo,
}

// === impl Target ===

impl Target {
    /// Reads the target of `request`.
    pub(crate) fn read<B>(request: &Request<B>) -> Result<Self, InvalidTarget> {
        let target = if request.method() == Method::CONNECT {
            Self::of_tunnel(request)?
        } else {
            Self::of_forward(request)?
        };
        target.check_host_header(request.headers(), request.version())?;
        Ok(target)
    }

    /// What a captured connection of TLS to `port` names.
    pub(crate) fn of_server_name(host: Host, port: u16) -> Result<Self, InvalidTarget> {
        if !host.is_address() && ends_in_number(&host) {
            return Err(InvalidTarget::Numeric);
        }
        Ok(Self {
            host,
            port,
            form: Form::Tunnel,
        })
    }

    /// Reads a request on a captured connection to `port`, and puts it as one for a proxy.
    pub(crate) fn read_captured<B>(
        request: &mut Request<B>,
        port: u16,
    ) -> Result<Self, InvalidTarget> {
        if request.method() == Method::CONNECT || !request.uri().path().starts_with('/') {
            return Err(InvalidTarget::Captured);
        }
        if request.uri().authority().is_none() {
            let mut hosts = request.headers().get_all(header::HOST).iter();
            let (Some(host), None) = (hosts.next(), hosts.next()) else {
                return Err(InvalidTarget::HostHeaderCount);
            };
            let text = host.to_str().map_err(|_| InvalidHost::Name)?;
            let (host, named) = split_port(text)?;
            if named.unwrap_or(port) != port {
                return Err(InvalidTarget::Captured);
            }
            let authority = format!("{}:{port}", host.parse::<Host>()?);
            let host = HeaderValue::try_from(&authority).map_err(|_| InvalidHost::Name)?;
            request.headers_mut().insert(header::HOST, host);
            let path = request.uri().path_and_query().cloned();
            let uri = Uri::builder().scheme("http").authority(authority);
            let uri = uri.path_and_query(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
            *request.uri_mut() = uri.build().map_err(|_| InvalidHost::Name)?;
        }
        let target = Self::read(request)?;
        let same = target.port == port;
        same.then_some(target).ok_or(InvalidTarget::Captured)
    }

    fn of_tunnel<B>(request: &Request<B>) -> Result<Self, InvalidTarget> {
        let uri = request.uri();
        let authority = uri.authority().ok_or(InvalidTarget::NotForProxy)?;
        if uri.scheme().is_some() || uri.path_and_query().is_some() {
            return Err(InvalidTarget::NotForProxy);
        }
        let content = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING];
        if content
            .iter()
            .any(|name| request.headers().contains_key(name))
        {
            return Err(InvalidTarget::Content);
        }
        let (host, port) = read_authority(authority)?;
        let port = port.ok_or(InvalidTarget::PortMissing)?;
        Ok(Self {
            host,
            port,
            form: Form::Tunnel,
        })
    }

    fn of_forward<B>(request: &Request<B>) -> Result<Self, InvalidTarget> {
        let uri = request.uri();
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(InvalidTarget::NotForProxy);
        };
        if !scheme.eq_ignore_ascii_case("http") {
            return Err(InvalidTarget::Scheme);
        }
        let (host, port) = read_authority(authority)?;
        Ok(Self {
            host,
            port: port.unwrap_or(HTTP_PORT),
            form: Form::Forward,
        })
    }

    /// RFC 9112, section 3.2: HTTP/1.1 has exactly one `Host`, and here it says what the target says.
    fn check_host_header(
        &self,
        headers: &HeaderMap,
        version: Version,
    ) -> Result<(), InvalidTarget> {
        let mut values = headers.get_all(header::HOST).iter();
        let value = match (values.next(), values.next()) {
            (Some(value), None) => value,
            // HTTP/1.0 has none, and HTTP/2 has `:authority` in its place, which is the target.
            (None, _) if version != Version::HTTP_11 => return Ok(()),
            (None, _) | (Some(_), Some(_)) => return Err(InvalidTarget::HostHeaderCount),
        };
        let text = value.to_str().map_err(|_| InvalidHost::Name)?;
        let (host, port) = split_port(text)?;
        let default_port = match self.form {
            Form::Forward => HTTP_PORT,
            // A tunnel has no scheme and so no default; the target has the port.
            Form::Tunnel => self.port,
        };
        let same = host.parse::<Host>()? == self.host && port.unwrap_or(default_port) == self.port;
        same.then_some(()).ok_or(InvalidTarget::HostHeader)
    }

    /// The host.
    pub(crate) const fn host(&self) -> &Host {
        &self.host
    }

    /// The port.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// How the request is carried.
    pub(crate) const fn form(&self) -> Form {
        self.form
    }

    /// The `Host` header that the target's server expects.
    pub(crate) fn host_header(&self) -> Result<HeaderValue, InvalidTarget> {
        let text = match self.port {
            HTTP_PORT => self.host.to_string(),
            port => format!("{}:{port}", self.host),
        };
        HeaderValue::try_from(text).map_err(|_| InvalidTarget::Host(InvalidHost::Name))
    }
}

// === impl InvalidTarget ===

impl InvalidTarget {
    /// A stable code for logs.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Captured => "captured-request",
            Self::Content => "tunnel-content",
            Self::Host(_) => "host-unreadable",
            Self::HostHeader => "host-header-differs",
            Self::HostHeaderCount => "host-header-count",
            Self::NotForProxy => "not-for-proxy",
            Self::Numeric => "host-numeric",
            Self::PortMissing => "port-missing",
            Self::Scheme => "scheme-not-forwarded",
            Self::Userinfo => "userinfo",
        }
    }
}

fn read_authority(authority: &Authority) -> Result<(Host, Option<u16>), InvalidTarget> {
    // Not `Authority::host`, which skips credentials: `evil.example:443@ghcr.io:443` names two hosts.
    if authority.as_str().contains('@') {
        return Err(InvalidTarget::Userinfo);
    }
    let (host, port) = split_port(authority.as_str())?;
    let host: Host = host.parse()?;
    if !host.is_address() && ends_in_number(&host) {
        return Err(InvalidTarget::Numeric);
    }
    Ok((host, port))
}

/// The WHATWG URL standard's "ends in a number": what `inet_aton`, and with it `getaddrinfo`, may read as an address.
fn ends_in_number(host: &Host) -> bool {
    let last = host.as_str().rsplit('.').next().unwrap_or_default();
    let is_hexadecimal = last
        .strip_prefix("0x")
        .is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
    is_hexadecimal || last.bytes().all(|digit| digit.is_ascii_digit())
}

/// RFC 9110, section 4.2.1.
const HTTP_PORT: u16 = 80;

#[cfg(test)]
mod tests {
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
}
