//! A proxy of the site, behind which the mirror stands.
//!
//! It resolves names itself, often because nobody else can, so the rule about addresses that names lead to is its own to keep;
//! addresses spelled out are judged here all the same.

use std::fmt;
use std::sync::Arc;

use ramgate_policy::{DEFAULT_PORT, Host};
use reqwest::{Proxy, Url};

/// Where it is, what it is told, and what does not go there.
#[derive(Clone)]
pub struct SiteProxy {
    url: Url,
    credentials: Option<(String, String)>,
    is_direct: IsDirect,
}

/// Whether a host and port are reached without it.
type IsDirect = Arc<dyn Fn(&Host, u16) -> bool + Send + Sync>;

// === impl SiteProxy ===

impl SiteProxy {
    /// A proxy at `url`, for every host and port that `is_direct` does not take out.
    pub fn new(url: Url, is_direct: impl Fn(&Host, u16) -> bool + Send + Sync + 'static) -> Self {
        Self {
            url,
            credentials: None,
            is_direct: Arc::new(is_direct),
        }
    }

    /// With credentials, sent as `Basic` (RFC 7617).
    #[must_use]
    pub fn with_credentials(mut self, username: &str, password: &str) -> Self {
        self.credentials = Some((username.to_owned(), password.to_owned()));
        self
    }

    /// The name or address at which it is itself.
    pub(crate) fn host(&self) -> Option<&str> {
        self.url.host_str()
    }

    pub(crate) fn for_client(&self) -> Proxy {
        let this = self.clone();
        let proxy = Proxy::custom(move |url| this.carries(url).then(|| this.url.clone()));
        match &self.credentials {
            Some((username, password)) => proxy.basic_auth(username, password),
            None => proxy,
        }
    }

    /// What no rule can be asked for goes through it too: there it is refused.
    fn carries(&self, url: &Url) -> bool {
        let host = url.host_str().and_then(|host| host.parse::<Host>().ok());
        let port = url.port_or_known_default().unwrap_or(DEFAULT_PORT);
        host.is_none_or(|host| !(self.is_direct)(&host, port))
    }
}

impl fmt::Debug for SiteProxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SiteProxy")
            .field("url", &self.url.as_str())
            .finish_non_exhaustive()
    }
}
