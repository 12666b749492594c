//! Which headers of a request and of an answer go on to the other side.

use axum::http::{HeaderMap, HeaderName, header};

/// Of a request's headers, those that go to the registry.
pub(super) fn outgoing(headers: &HeaderMap) -> HeaderMap {
    let mut headers = end_to_end(headers);
    // The client's was checked against the tunnel; the registry's real host may be another.
    headers.remove(header::HOST);
    headers.remove(header::EXPECT);
    // What was judged is what is asked for: nothing beside the line of the request may say otherwise to the registry.
    let named: Vec<HeaderName> = headers.keys().cloned().collect();
    for name in named {
        let begins = |prefix: &&str| name.as_str().starts_with(*prefix);
        if READ_OTHERWISE.iter().any(begins) {
            headers.remove(name);
        }
    }
    headers
}

/// Of a request's headers, those that say which content is wanted, and how.
pub(super) fn of_content(headers: &HeaderMap) -> HeaderMap {
    let kept = OF_CONTENT.iter().filter_map(|name| {
        let value = headers.get(name)?;
        Some((name.clone(), value.clone()))
    });
    kept.collect()
}

/// Without what belongs to one connection (RFC 9110, section 7.6.1).
pub(super) fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let mut kept = headers.clone();
    for name in named.iter().chain(&HOP_BY_HOP) {
        kept.remove(name);
    }
    kept
}

/// By headers that begin so, servers and what stands before them take another method, path or host than the request's own. No client of
/// registries sends any.
const READ_OTHERWISE: [&str; 18] = [
    "base-url",
    "content-location",
    "destination",
    "forwarded",
    "proxy-",
    "x-accel-",
    "x-backend",
    "x-envoy-",
    "x-forward",
    "x-host",
    "x-http-",
    "x-method",
    "x-original",
    "x-override",
    "x-proxy",
    "x-real-",
    "x-rewrite",
    "x-sendfile",
];
const OF_CONTENT: [HeaderName; 5] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::IF_RANGE,
    header::RANGE,
    header::USER_AGENT,
];
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];
