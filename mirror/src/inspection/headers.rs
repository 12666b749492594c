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
        // Servers that hand headers on as variables tell the two apart no more.
        let read = name.as_str().replace('_', "-");
        let begins = |prefix: &&str| read.starts_with(*prefix);
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
const READ_OTHERWISE: [&str; 22] = [
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
    "x-path",
    "x-proxy",
    "x-real-",
    "x-request-u",
    "x-rewrite",
    "x-sendfile",
    "x-uri",
    "x-url",
];
const OF_CONTENT: [HeaderName; 5] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::IF_RANGE,
    header::RANGE,
    header::USER_AGENT,
];
const HOP_BY_HOP: [HeaderName; 10] = [
    header::CONNECTION,
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn what_would_have_the_request_read_otherwise_stays_here() {
        let mut headers = HeaderMap::new();
        let kept = [
            "accept",
            "authorization",
            "range",
            "user-agent",
            "x-meta-source-client",
        ];
        let dropped = [
            "host",
            "x-original-url",
            "x_original_url",
            "X-HTTP-Method-Override",
            "x_http_method_override",
            "x-envoy-original-path",
            "x-request-uri",
            "forwarded",
            "te",
            "keep-alive",
            "http2-settings",
        ];
        for name in kept.iter().chain(&dropped) {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.insert(name, HeaderValue::from_static("a"));
        }
        let mut names: Vec<String> = outgoing(&headers).keys().map(ToString::to_string).collect();
        names.sort();
        assert_eq!(names, kept);
    }
}
