//! An upstream as a caller's own request reaches it.

use ramgate_policy::{DEFAULT_PORT, Host, Policy, Registry};
use reqwest::{Client, Url};

use super::endpoint::names;
use super::guard::Guard;
use super::{RefusedAddress, UpstreamError};

/// Where an upstream is, and what may be dialled for it.
#[derive(Debug)]
pub(crate) struct Reached {
    pub(crate) client: Client,
    pub(crate) url: Url,
    guard: Guard,
    redirect_hosts: Vec<String>,
}

// === impl Reached ===

impl Reached {
    pub(super) fn new(
        client: &Client,
        guard: &Guard,
        url: &Url,
        redirect_hosts: &[String],
        asked: Option<&Host>,
    ) -> Option<Self> {
        let mut url = url.clone();
        if let Some(host) = asked {
            let name = host.as_str();
            let bracketed = if name.contains(':') {
                format!("[{name}]")
            } else {
                name.to_owned()
            };
            url.set_host(Some(&bracketed)).ok()?;
        }
        Some(Self {
            client: client.clone(),
            url,
            guard: guard.clone(),
            redirect_hosts: redirect_hosts.to_vec(),
        })
    }

    /// Whether the host of `url`, where it is an address, may be dialled.
    pub(crate) fn judge(&self, url: &Url) -> Result<(), UpstreamError> {
        self.guard
            .judge(url)
            .map_err(|refused: RefusedAddress| refused.into())
    }

    /// Whether `registry` may lead to `next` for its content.
    pub(crate) fn may_follow(&self, registry: &Registry, policy: &Policy, next: &Url) -> bool {
        let safe =
            next.scheme() == "https" || (next.scheme() == "http" && self.url.scheme() == "http");
        let plain = next.username().is_empty() && next.password().is_none();
        let port = next.port_or_known_default().unwrap_or(DEFAULT_PORT);
        let host = next.host_str().and_then(|host| host.parse::<Host>().ok());
        safe && plain
            && (self.redirect_hosts.iter().any(|name| names(name, next))
                || host.is_some_and(|host| policy.names_redirect(registry, &host, port)))
    }
}

/// Host, and port if it is not the scheme's, as `redirect-hosts` has it.
pub(crate) fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}
