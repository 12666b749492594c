//! Every answer of the mirror: the one place that knows how a decision looks in the registry protocol.

use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, ALLOW, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LINK,
    RETRY_AFTER, WARNING,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use hyper::ext::ReasonPhrase;
use ramgate_policy::{Denial, Digest};
use ramgate_provenance::DecisionId;
use serde_json::json;
use thiserror::Error;

use crate::audit::Source;
use crate::blobs::Found as Blob;
use crate::manifest::{INDEXES, InvalidManifest, Manifest};
use crate::path::{InvalidPath, Kind};
use crate::referrers::Referrers;
use crate::tags::Tags;
use crate::upstream::UpstreamError;

/// Why something that is allowed is not served.
#[derive(Debug, Error)]
pub(crate) enum Unserved {
    /// The upstream does not give it.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// It is not what its digest says.
    #[error("what the upstream sent is not what its digest says")]
    Mismatch,
    /// Where it is known to come from is not allowed.
    #[error("{0}")]
    Denied(Box<Denial>),
    /// The request can be read in two ways.
    #[error(transparent)]
    Unreadable(#[from] InvalidPath),
    /// The upstream's list is none.
    #[error("the upstream sent a list that cannot be read")]
    List,
    /// It is a manifest that is not served.
    #[error(transparent)]
    Manifest(#[from] InvalidManifest),
    /// The manifest, or the list of tags, is too large.
    #[error("what the upstream sent is larger than 4 MiB")]
    TooLarge,
    /// The store cannot be read or written.
    #[error("the mirror's store failed")]
    Store(#[from] std::io::Error),
    /// Where it comes from could not be noted.
    #[error("the ledger failed")]
    Ledger(#[from] ramgate_provenance::LedgerError),
    /// The part that is asked for begins past the end.
    #[error("the blob has {size_bytes} bytes and none in this range")]
    Range {
        /// Of the whole blob.
        size_bytes: u64,
    },
    /// Another request for the same was answered so.
    #[error(transparent)]
    Shared(std::sync::Arc<Self>),
}

// === impl Unserved ===

impl Unserved {
    /// What the upstream did, if it was that, also where another request was answered so.
    pub(crate) fn upstream(&self) -> Option<&UpstreamError> {
        match self {
            Self::Upstream(error) => Some(error),
            Self::Shared(problem) => problem.upstream(),
            Self::Mismatch
            | Self::Denied(_)
            | Self::Unreadable(_)
            | Self::List
            | Self::Manifest(_)
            | Self::TooLarge
            | Self::Store(_)
            | Self::Ledger(_)
            | Self::Range { .. } => None,
        }
    }

    /// Whether it may be well again soon, so that what is known of before may stand in.
    pub(crate) fn is_transient(&self) -> bool {
        self.upstream().is_some_and(UpstreamError::is_transient)
    }

    /// What it is in the end, whoever asked first.
    pub(crate) fn root(&self) -> &Self {
        if let Self::Shared(problem) = self {
            problem.root()
        } else {
            self
        }
    }
}

/// `/v2/`: yes, a registry.
pub(crate) fn base() -> Response<Body> {
    let mut response = Response::new(Body::from("{}"));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response.headers_mut().insert(API_VERSION, REGISTRY_2);
    response
}

/// A manifest; for HEAD, its headers.
pub(crate) fn manifest(manifest: &Manifest, digest: &Digest, head: bool) -> Response<Body> {
    let body = if head {
        Body::empty()
    } else {
        Body::from(manifest.bytes.clone())
    };
    let media_type = HeaderValue::try_from(manifest.media_type.as_str()).unwrap_or(OCTETS);
    content(body, media_type, manifest.bytes.len() as u64, digest)
}

/// A blob, or a part of it; for HEAD, its headers.
pub(crate) fn blob(blob: Blob, digest: &Digest) -> Response<Body> {
    let size = blob.size_bytes;
    let part = blob.part;
    let length = part.as_ref().map_or(size, |part| part.end - part.start);
    let mut response = content(blob.body, OCTETS, length, digest);
    let headers = response.headers_mut();
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Some(part) = part {
        let range = format!("bytes {}-{}/{size}", part.start, part.end.saturating_sub(1));
        if let Ok(range) = HeaderValue::try_from(range) {
            headers.insert(CONTENT_RANGE, range);
        }
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    response
}

/// What the client has already.
pub(crate) fn not_modified(digest: &Digest) -> Response<Body> {
    let mut response = content(Body::empty(), OCTETS, 0, digest);
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    // Those of what would have been sent; it is not sent.
    response.headers_mut().remove(CONTENT_LENGTH);
    response.headers_mut().remove(CONTENT_TYPE);
    response
}

/// Whether the client says that it has `digest` already.
pub(crate) fn has(headers: &HeaderMap, digest: &Digest) -> bool {
    let is_it = |tag: &str| {
        let tag = tag.trim();
        let tag = tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"');
        tag == "*" || tag == digest.as_str()
    };
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').any(is_it))
}

/// Notes on an answer where it came from (RFC 9211), and for which registry this mirror stands in, if `ns` said it.
pub(crate) fn mark(response: &mut Response<Body>, source: Option<Source>, namespace: Option<&str>) {
    if let Some(source) = source {
        let status = match source {
            Source::Hit => "ramgate; hit",
            Source::Miss => "ramgate; fwd=miss",
            Source::Stale => "ramgate; hit; detail=stale",
        };
        let headers = response.headers_mut();
        headers.insert(CACHE_STATUS, HeaderValue::from_static(status));
        if source == Source::Stale {
            headers.insert(WARNING, RESPONSE_IS_STALE);
        }
    }
    if let Some(value) = namespace.and_then(|name| HeaderValue::try_from(name).ok()) {
        response.headers_mut().insert(OCI_NAMESPACE, value);
    }
}

/// A page of tags, and where the next one is.
pub(crate) fn tags(tags: Tags, head: bool) -> Response<Body> {
    let size = tags.body.len();
    let body = if head {
        Body::empty()
    } else {
        Body::from(tags.body)
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(CONTENT_LENGTH, size.into());
    headers.insert(API_VERSION, REGISTRY_2);
    if let Some(link) = tags.next.and_then(|next| HeaderValue::try_from(next).ok()) {
        headers.insert(LINK, link);
    }
    response
}

/// What refers to a manifest.
pub(crate) fn referrers(referrers: Referrers, head: bool) -> Response<Body> {
    let size = referrers.body.len();
    let body = if head {
        Body::empty()
    } else {
        Body::from(referrers.body)
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(INDEXES[0]));
    headers.insert(CONTENT_LENGTH, size.into());
    headers.insert(API_VERSION, REGISTRY_2);
    if referrers.filtered {
        let filter = HeaderValue::from_static("artifactType");
        headers.insert(FILTERS_APPLIED, filter);
    }
    response
}

/// A refusal by the policy. The reason phrase says it too: HEAD has no body, and it is what the docker CLI shows.
/// `id` leads to the line of the audit log.
pub(crate) fn denied(denial: &Denial, id: DecisionId) -> Response<Body> {
    let (text, end) = (denial.to_string(), end(id));
    let mut response = error(StatusCode::FORBIDDEN, "DENIED", &format!("{text}{end}"));
    if let Ok(phrase) = ReasonPhrase::try_from(phrase(&text, &end)) {
        response.extensions_mut().insert(phrase);
    }
    response
}

/// The daemon came past here, which is all that was to be seen.
pub(crate) fn canary() -> Response<Body> {
    error(StatusCode::FORBIDDEN, "DENIED", "this registry is a canary")
}

/// A request that names nothing, or could be read two ways.
pub(crate) fn unreadable(problem: &InvalidPath, id: DecisionId) -> Response<Body> {
    let (status, code) = unreadable_code(problem);
    error(status, code, &format!("{problem}{}", end(id)))
}

const fn unreadable_code(problem: &InvalidPath) -> (StatusCode, &'static str) {
    match problem {
        InvalidPath::NoRegistryPath | InvalidPath::Unknown | InvalidPath::Catalog => {
            (StatusCode::NOT_FOUND, "UNSUPPORTED")
        }
        InvalidPath::Digest(_) => (StatusCode::BAD_REQUEST, "DIGEST_INVALID"),
        InvalidPath::Form => (StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID"),
        InvalidPath::Tag => (StatusCode::BAD_REQUEST, "TAG_INVALID"),
        InvalidPath::Unclean
        | InvalidPath::Repository(_)
        | InvalidPath::Namespace(_)
        | InvalidPath::AmbiguousNamespace
        | InvalidPath::ArtifactType => (StatusCode::BAD_REQUEST, "NAME_INVALID"),
    }
}

/// A part of the protocol that this mirror does not speak.
pub(crate) fn unsupported() -> Response<Body> {
    error(
        StatusCode::NOT_FOUND,
        "UNSUPPORTED",
        "this mirror serves manifests, blobs, lists of tags and referrers; uploads go to the registry itself",
    )
}

/// A method that is neither GET nor HEAD.
pub(crate) fn read_only() -> Response<Body> {
    let mut response = error(
        StatusCode::METHOD_NOT_ALLOWED,
        "DENIED",
        "this is a mirror, which nothing is pushed to or deleted from; push to the registry itself",
    );
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

/// Something that is allowed and yet not served. What turns out to be denied has answers of its own, with an ID.
pub(crate) fn unserved(problem: &Unserved, kind: Kind) -> Response<Body> {
    let unknown = match kind {
        Kind::Manifest => "MANIFEST_UNKNOWN",
        Kind::Blob => "BLOB_UNKNOWN",
        Kind::Tags | Kind::Referrers | Kind::Base | Kind::Other => "NAME_UNKNOWN",
    };
    let text = problem.to_string();
    match problem {
        Unserved::Unreadable(problem) => {
            let (status, code) = unreadable_code(problem);
            error(status, code, &text)
        }
        Unserved::Upstream(UpstreamError::RateLimited { retry_after }) => {
            let mut response = error(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", &text);
            if let Some(value) = retry_after {
                response.headers_mut().insert(RETRY_AFTER, value.clone());
            }
            response
        }
        Unserved::Upstream(UpstreamError::Resting { retry_after }) => {
            let mut response = error(StatusCode::BAD_GATEWAY, "UNAVAILABLE", &text);
            let headers = response.headers_mut();
            headers.insert(RETRY_AFTER, retry_after.clone());
            response
        }
        // Not 401: a challenge would make older engines hand over their users' passwords.
        Unserved::Upstream(UpstreamError::NotFound | UpstreamError::Refused(_)) => {
            error(StatusCode::NOT_FOUND, unknown, &text)
        }
        Unserved::Upstream(
            UpstreamError::ForeignRedirect(_)
            | UpstreamError::Challenge(_)
            | UpstreamError::Address(_),
        )
        | Unserved::Manifest(_)
        | Unserved::Denied(_) => error(StatusCode::FORBIDDEN, "DENIED", &text),
        Unserved::Upstream(
            UpstreamError::Failed(_)
            | UpstreamError::Unreachable(_)
            | UpstreamError::Redirects
            | UpstreamError::Credentials(_)
            | UpstreamError::NoAddress,
        )
        | Unserved::Mismatch
        | Unserved::List
        | Unserved::TooLarge => error(StatusCode::BAD_GATEWAY, "UNAVAILABLE", &text),
        Unserved::Store(_) | Unserved::Ledger(_) => {
            error(StatusCode::INTERNAL_SERVER_ERROR, "UNAVAILABLE", &text)
        }
        Unserved::Range { size_bytes } => {
            let mut response = error(StatusCode::RANGE_NOT_SATISFIABLE, "SIZE_INVALID", &text);
            if let Ok(range) = HeaderValue::try_from(format!("bytes */{size_bytes}")) {
                response.headers_mut().insert(CONTENT_RANGE, range);
            }
            response
        }
        Unserved::Shared(problem) => unserved(problem, kind),
    }
}

/// The length that an answer announces.
pub(crate) fn length(response: &Response<Body>) -> u64 {
    let length = response.headers().get(CONTENT_LENGTH);
    length
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse().ok())
        .unwrap_or_default()
}

fn content(body: Body, media_type: HeaderValue, size: u64, digest: &Digest) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, media_type);
    headers.insert(CONTENT_LENGTH, size.into());
    headers.insert(API_VERSION, REGISTRY_2);
    if let Ok(digest) = HeaderValue::try_from(digest.as_str()) {
        headers.insert(CONTENT_DIGEST, digest);
    }
    // Content-addressed: the digest is the strongest tag there can be.
    if let Ok(tag) = HeaderValue::try_from(format!("\"{digest}\"")) {
        headers.insert(ETAG, tag);
    }
    response
}

/// The error body of the distribution spec, section "Error codes".
fn error(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    let body = json!({ "errors": [{ "code": code, "message": message }] });
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response.headers_mut().insert(API_VERSION, REGISTRY_2);
    response
}

/// How the text of a refusal ends.
fn end(id: DecisionId) -> String {
    format!(" (id {id})")
}

/// One line of at most [`PHRASE_LENGTH_MAX`] printable ASCII characters, of which `end` is always the last.
fn phrase(text: &str, end: &str) -> Vec<u8> {
    let printable = |letter: char| {
        if letter.is_ascii_graphic() || letter == ' ' {
            letter
        } else {
            '?'
        }
    };
    text.chars()
        .map(printable)
        .take(PHRASE_LENGTH_MAX.saturating_sub(end.len()))
        .chain(end.chars())
        .collect::<String>()
        .into_bytes()
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");
const REGISTRY_2: HeaderValue = HeaderValue::from_static("registry/2.0");
/// For those who know it (RFC 7234, section 5.5.1).
const RESPONSE_IS_STALE: HeaderValue = HeaderValue::from_static("110 - \"Response is Stale\"");
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");
const OCI_NAMESPACE: HeaderName = HeaderName::from_static("oci-namespace");
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
/// The digest of what is served.
pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// Go's client takes a status line of 4 KiB (`net/textproto`, the reader's buffer); this is well below.
const PHRASE_LENGTH_MAX: usize = 960;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_says_what_it_has_by_digest() {
        let digest: Digest = format!("sha256:{}", "a".repeat(64)).parse().unwrap();
        let check = |value: &str, expected: bool| {
            let value = HeaderValue::try_from(value).unwrap();
            let headers = HeaderMap::from_iter([(IF_NONE_MATCH, value)]);
            assert_eq!(has(&headers, &digest), expected, "{headers:?}");
        };
        check(&format!("\"{digest}\""), true);
        check(&format!("W/\"{digest}\""), true);
        check(&format!("\"x\", \"{digest}\""), true);
        check(digest.as_str(), true);
        check("*", true);
        check("\"sha256:b\"", false);
        check("", false);
        assert!(!has(&HeaderMap::new(), &digest));
    }

    #[test]
    fn a_reason_phrase_is_cut_before_its_id() {
        let long = "\u{e4}\r\n".repeat(PHRASE_LENGTH_MAX);
        let cut = String::from_utf8(phrase(&long, " (id 00c0ffee)")).unwrap();
        assert_eq!(cut.len(), PHRASE_LENGTH_MAX);
        assert!(cut.starts_with("???") && cut.ends_with("? (id 00c0ffee)"));
        assert_eq!(phrase("no", " (id 00c0ffee)"), b"no (id 00c0ffee)");
    }
}
