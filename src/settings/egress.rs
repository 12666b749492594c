//! The network gate's part of the settings.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use ramgate_egress::NoProxy;
use ramgate_policy::Host;

use super::check::Check;
use super::file::{EgressPart, TransparentPart, UpstreamProxyPart};
use crate::nft::{Interface, Network};

/// Where the gate listens, and what stands behind it.
#[derive(Clone, Debug)]
pub(crate) struct Egress {
    pub(crate) listen: SocketAddr,
    /// Whether tunnels to registries are read.
    pub(crate) inspect: bool,
    pub(crate) transparent: Option<Transparent>,
    pub(crate) upstream_proxy: Option<UpstreamProxy>,
}

/// What is captured on its way, and where it is taken.
#[derive(Clone, Debug)]
pub(crate) struct Transparent {
    pub(crate) listen: SocketAddr,
    pub(crate) interfaces: Vec<Interface>,
    pub(crate) ports: Vec<u16>,
    pub(crate) except: Vec<Network>,
    pub(crate) exempt_group: String,
}

/// A site's own proxy.
#[derive(Clone, Debug)]
pub(crate) struct UpstreamProxy {
    pub(crate) host: Host,
    pub(crate) port: u16,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) no_proxy: NoProxy,
}

/// What the proxy wants.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(crate) username: String,
    pub(crate) password_file: PathBuf,
}

// === impl UpstreamProxy ===

impl UpstreamProxy {
    /// Where it is; spoken to without TLS.
    pub(crate) fn url(&self) -> String {
        let host = self.host.as_str();
        if host.contains(':') {
            format!("http://[{host}]:{}", self.port)
        } else {
            format!("http://{host}:{}", self.port)
        }
    }
}

// === impl Check ===

impl Check<'_> {
    pub(super) fn egress(&mut self, part: &EgressPart) -> Option<Egress> {
        let listen = self.address(&part.listen, "egress.listen");
        let upstream_proxy = match &part.upstream_proxy {
            None => None,
            Some(part) => Some(self.upstream_proxy(part)?),
        };
        let transparent = match &part.transparent {
            None => None,
            Some(part) => Some(self.transparent(part)?),
        };
        Some(Egress {
            listen: listen?,
            inspect: part.inspect,
            transparent,
            upstream_proxy,
        })
    }

    fn transparent(&mut self, part: &TransparentPart) -> Option<Transparent> {
        const KEY: &str = "egress.transparent";
        let listen = self.address(&part.listen, &format!("{KEY}.listen"));
        let interfaces = self.each(&part.interfaces, &format!("{KEY}.interfaces"));
        let except = self.each(&part.except, &format!("{KEY}.except"));
        for (key, is_empty) in [
            ("interfaces", part.interfaces.is_empty()),
            ("ports", part.ports.is_empty()),
        ] {
            if is_empty {
                self.report(
                    &format!("{KEY}.{key}"),
                    "an empty list captures nothing; leave the key out",
                );
            }
        }
        if part.ports.contains(&0) {
            self.report(&format!("{KEY}.ports"), "0 is no port");
        }
        let group = &part.exempt_group;
        // Of what `groupadd` takes, and a number.
        let is_name = !group.is_empty()
            && group
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
        if !is_name {
            self.report(
                &format!("{KEY}.exempt-group"),
                "the name of a group is expected, as `ramgate`",
            );
        }
        Some(Transparent {
            listen: listen?,
            interfaces: interfaces?,
            ports: part.ports.clone(),
            except: except?,
            exempt_group: group.clone(),
        })
    }

    /// Each of `texts`, if all can be read.
    fn each<T: FromStr<Err = String>>(&mut self, texts: &[String], key: &str) -> Option<Vec<T>> {
        let read: Vec<Option<T>> = texts
            .iter()
            .enumerate()
            .map(|(index, text)| self.read(text.parse(), &format!("{key}[{index}]")))
            .collect();
        read.into_iter().collect()
    }

    fn upstream_proxy(&mut self, part: &UpstreamProxyPart) -> Option<UpstreamProxy> {
        const KEY: &str = "egress.upstream-proxy";
        let url = part.url.strip_suffix('/').unwrap_or(&part.url);
        // Not by `Registry` alone, which strips the port 443 and folds Docker Hub's names.
        let authority = url.strip_prefix("http://").ok_or_else(|| {
            format!(
                "`{}` is not of the form `http://host:port`; the proxy is spoken to without TLS, and given credentials by \
                 `username` and `password-file`",
                part.url
            )
        });
        let target = authority.and_then(|authority| {
            let (host, port) =
                ramgate_policy::split_port(authority).map_err(|error| error.to_string())?;
            let host = host.parse::<Host>().map_err(|error| error.to_string())?;
            Ok((host, port.unwrap_or(HTTP_PORT)))
        });
        let target = self.read(target, &format!("{KEY}.url"));
        let credentials = match (&part.username, &part.password_file) {
            (None, None) => None,
            (Some(username), Some(file)) if !username.contains(':') => Some(Credentials {
                username: username.clone(),
                password_file: self.path(file, &format!("{KEY}.password-file"))?,
            }),
            (Some(_), Some(_)) => {
                self.report(
                    &format!("{KEY}.username"),
                    "a user name has no colon (RFC 7617)",
                );
                None
            }
            (Some(_), None) | (None, Some(_)) => {
                self.report(KEY, "`username` and `password-file` come together");
                None
            }
        };
        let no_proxy = NoProxy::parse(part.no_proxy.iter().map(String::as_str));
        let no_proxy = self.read(
            no_proxy.map_err(|error| error.to_string()),
            &format!("{KEY}.no-proxy"),
        );
        let (host, port) = target?;
        Some(UpstreamProxy {
            host,
            port,
            credentials,
            no_proxy: no_proxy?,
        })
    }
}

const HTTP_PORT: u16 = 80;
