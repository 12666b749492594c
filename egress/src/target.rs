//! What a request wants to reach. Pure.
//!
//! A forward proxy is asked in two forms ([RFC 9112, section 3.2](https://www.rfc-editor.org/rfc/rfc9112#section-3.2)):
//! `CONNECT host:port`, and `GET http://host/path`. Whatever else arrives is refused, and so is every request that a second
//! reader could take for another host: credentials before an `@`, a `Host` header that differs, a missing port.

use http::header::{self, HeaderMap, HeaderValue};
use http::uri::{Authority, PathAndQuery};
use http::{Method, Request, Uri, Version};
use ramgate_policy::{Host, InvalidHost, split_port};

use crate::invalid_target::InvalidTarget;

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
#[path = "target/tests.rs"]
mod tests;
