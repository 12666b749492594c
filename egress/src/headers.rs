//! Headers that end at the gate. Pure.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Removes what belongs to one connection and not to the message: the headers that [`header::CONNECTION`] names and those
/// of [`HOP_BY_HOP`].
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(*name);
    }
}

/// Says that the gate was on the way: RFC 9110, section 7.6.3, wants it of every proxy.
pub(crate) fn append_via(headers: &mut HeaderMap) {
    headers.append(header::VIA, HeaderValue::from_static("1.1 ramgate"));
}

/// RFC 9110, section 7.6.1, and what proxies keep to themselves. Credentials for the proxy are never passed on. `Expect`
/// is answered here, by hyper.
const HOP_BY_HOP: &[&str] = &[
    "connection",
    "expect",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_one_connection_ends_here() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer kept"),
            ("connection", "close, X-Named"),
            ("connection", "x-too"),
            ("expect", "100-continue"),
            ("keep-alive", "timeout=5"),
            ("proxy-authorization", "Basic secret"),
            ("proxy-connection", "keep-alive"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("x-kept", "1"),
            ("x-named", "1"),
            ("x-too", "1"),
        ] {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        strip_hop_by_hop(&mut headers);
        let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["authorization", "x-kept"]);
    }
}
