//! What dockerd sends to an authorization plugin, byte for byte.
//!
//! Source: moby `pkg/authorization/api.go` for the fields and their order, `pkg/plugins/client.go` for the request. Go's JSON
//! escapes `&` and ends with a newline.

use std::collections::BTreeMap;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, Method, Request};
use http_body_util::Full;
use hyper::body::Bytes;
use serde::Serialize;

/// A request to the engine, as the plugin is asked about it.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) name: &'static str,
    pub(crate) allowed: bool,
    /// Whether there is something to judge, so that it is logged as well.
    pub(crate) judged: bool,
    pub(crate) body: Bytes,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AuthZReq<'a> {
    request_method: &'a str,
    request_uri: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_body: Option<String>,
    request_headers: BTreeMap<&'static str, String>,
}

/// The cases.
pub(crate) fn all() -> Result<[Asked; 5]> {
    let pull = |image| format!("/v1.51/images/create?fromImage={image}&tag=latest");
    Ok([
        Asked::new("GET /_ping", "GET", "/_ping", None)?,
        Asked::new(
            "GET /containers/json",
            "GET",
            "/v1.51/containers/json",
            None,
        )?,
        Asked::new("pull", "POST", &pull("docker.io%2Flibrary%2Falpine"), None)?.judged(true),
        Asked::new(
            "create, 2 KiB body",
            "POST",
            "/v1.51/containers/create?name=web",
            Some(CREATE),
        )?
        .judged(true),
        Asked::new(
            "denied pull",
            "POST",
            &pull("docker.io%2Fevil%2Ftool"),
            None,
        )?
        .judged(false),
    ])
}

// === impl Asked ===

impl Asked {
    fn new(name: &'static str, method: &str, uri: &str, body: Option<&str>) -> Result<Self> {
        let mut headers =
            BTreeMap::from([("User-Agent", "Docker-Client/28.5.2 (linux)".to_owned())]);
        if method == "POST" {
            let length = body.map_or(0, str::len);
            headers.insert("Content-Length", length.to_string());
            // The client's word for a body of no kind, which an empty one is.
            let kind = body.map_or("text/plain", |_| "application/json");
            headers.insert("Content-Type", kind.to_owned());
        }
        let message = AuthZReq {
            request_method: method,
            request_uri: uri,
            request_body: body.map(|body| STANDARD.encode(body)),
            request_headers: headers,
        };
        let json = serde_json::to_string(&message)?.replace('&', r"\u0026") + "\n";
        Ok(Self {
            name,
            allowed: true,
            judged: false,
            body: json.into(),
        })
    }

    fn judged(self, allowed: bool) -> Self {
        Self {
            allowed,
            judged: true,
            ..self
        }
    }

    /// The request as dockerd's client puts it.
    pub(crate) fn request(&self) -> Result<Request<Full<Bytes>>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = "/AuthZPlugin.AuthZReq".parse()?;
        *request.headers_mut() = HeaderMap::from_iter(HEADERS.map(|(name, value)| {
            (
                http::HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        }));
        Ok(request)
    }
}

/// What is created: an image that the engine has.
pub(crate) const IMAGE: &str = "alpine:3";

const HEADERS: [(&str, &str); 4] = [
    ("host", "plugin.moby.localhost"),
    ("user-agent", "Go-http-client/1.1"),
    ("accept", "application/vnd.docker.plugins.v1.2+json"),
    ("accept-encoding", "gzip"),
];

/// What `docker run -d -p 8080:80 --restart unless-stopped -v data:/data alpine …` of Docker 28 sends.
/// Of [`IMAGE`].
const CREATE: &str = include_str!("create.json");
