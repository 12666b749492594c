//! The HTTP client that upstreams are asked with: HTTP/2 where they speak it, connections kept, and nothing done on its own.

use std::time::Duration;

use reqwest::{Certificate, Client, Response};

use super::guard::Guard;
use super::{Shared, UpstreamError};
use crate::site_proxy::SiteProxy;

/// A client that dials what `guard` lets through, itself or through the proxy of the site. It knows the system's certificate authorities, and those in `ca_pem`.
///
/// It takes no content coding off: what is verified is what was sent, and nothing grows in memory.
pub(super) fn client(
    ca_pem: Option<&[u8]>,
    guard: Guard,
    shared: &Shared,
) -> Result<Client, reqwest::Error> {
    let site_proxy = shared.site_proxy.as_ref();
    // The settings name it, and so it may lie in the site.
    let guard = guard.and_configured(site_proxy.and_then(SiteProxy::host));
    let mut builder = Client::builder()
        .user_agent(concat!("ramgate/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        // Where to connect to is this module's decision, not an environment variable's.
        .no_proxy()
        .dns_resolver(guard)
        .connect_timeout(shared.timeouts.connect)
        .read_timeout(shared.timeouts.read)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .http2_keep_alive_timeout(KEEP_ALIVE);
    if let Some(pem) = ca_pem {
        builder = builder.tls_certs_merge(Certificate::from_pem_bundle(pem)?);
    }
    if let Some(proxy) = site_proxy {
        builder = builder.proxy(proxy.for_client());
    }
    builder.build()
}

/// Reads a body of at most `limit` bytes; `None` if it is longer.
pub(crate) async fn limited(
    mut response: Response,
    limit: usize,
) -> Result<Option<Vec<u8>>, UpstreamError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(UpstreamError::unreachable)? {
        if body.len() + chunk.len() > limit {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// A connection of HTTP/2 that died without a word would take every later request with it.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
