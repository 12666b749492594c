//! One exchange with the registry, in the caller's name.

use std::time::Instant;

use axum::body::{Body, HttpBody as _};
use axum::http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, header};
use ramgate_policy::{Action, DEFAULT_PORT, Digest, Host, Permit, Policy, Registry};
use ramgate_provenance::{DecisionId, Verified};
use reqwest::Url;

use super::Realms;
use super::headers::{end_to_end, of_content, outgoing};
use super::route::Purpose;
use crate::answer::{self, CONTENT_DIGEST, Unserved};
use crate::audit::Asker;
use crate::challenge::Challenge;
use crate::manifest::{Manifest, SIZE_MAX_BYTES};
use crate::mirror::Mirror;
use crate::origins::CONFIG_SIZE_MAX_BYTES;
use crate::path::{self, Kind, Pointer};
use crate::upstream::{Reached, UpstreamError, limited, place};

/// What an exchange needs.
pub(super) struct Exchange<'a> {
    pub(super) mirror: &'a Mirror,
    pub(super) policy: &'a Policy,
    pub(super) realms: &'a Realms,
    pub(super) registry: &'a Registry,
    pub(super) host: &'a Host,
    pub(super) asker: Asker<'a>,
}

// === impl Exchange ===

impl Exchange<'_> {
    /// Passes on a request that names no repository.
    pub(super) async fn pass_on(&self, request: Request<Body>) -> Response<Body> {
        let sent = self.send(request).await;
        sent.map_or_else(|error| failed(&error.into(), Kind::Manifest), stream)
    }

    /// Does what `permit` allows.
    pub(super) async fn carry_out(
        &self,
        permit: &Permit,
        purpose: &Purpose,
        request: Request<Body>,
        started: Instant,
    ) -> Response<Body> {
        // Content comes in, or is looked at before it does. Who may only push looks at what is there by its name alone.
        let comes_in = permit.action() == Action::Pull;
        let (done, kind) = match purpose {
            Purpose::Manifest(pointer) if comes_in => {
                let manifest = if *request.method() == Method::HEAD {
                    self.look(permit, pointer, request).await
                } else {
                    self.manifest(permit, pointer, request).await
                };
                (manifest, Kind::Manifest)
            }
            Purpose::Blob(digest) if comes_in => {
                (self.blob(permit, digest, request).await, Kind::Blob)
            }
            Purpose::Manifest(_) | Purpose::Blob(_) | Purpose::Listing => {
                let fetched = self.fetch(request).await;
                (fetched.map(stream).map_err(Unserved::from), Kind::Tags)
            }
            Purpose::Push { .. } => {
                let sent = self.send(request).await;
                (sent.map(stream).map_err(Unserved::from), Kind::Blob)
            }
        };
        done.unwrap_or_else(|problem| {
            let problem = problem.root();
            if let Unserved::Denied(denial) = problem {
                let id = DecisionId::new();
                purpose
                    .asked(self.asker, permit.repository(), started)
                    .denied(id, denial);
                return answer::denied(denial, id);
            }
            failed(problem, kind)
        })
    }

    /// A manifest, read whole: it is what its digest says, and leads nowhere else.
    async fn manifest(
        &self,
        permit: &Permit,
        pointer: &Pointer,
        request: Request<Body>,
    ) -> Result<Response<Body>, Unserved> {
        // A part of a manifest could not be judged.
        let response = self.fetch(whole(request)).await?;
        match response.status() {
            StatusCode::OK => {}
            status if status.is_success() => return Err(UpstreamError::Failed(status).into()),
            _ => return Ok(stream(response)),
        }
        let headers = response.headers().clone();
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let bytes = limited(response, SIZE_MAX_BYTES)
            .await?
            .ok_or(Unserved::TooLarge)?;
        let announced: Option<Digest> = text(CONTENT_DIGEST).and_then(|digest| digest.parse().ok());
        let expected = match pointer {
            Pointer::Digest(digest) => Some(digest),
            Pointer::Tag(_) => announced.as_ref(),
        };
        let verified = match expected {
            Some(digest) => Verified::of(&bytes, digest),
            None => Verified::by_sha256(&bytes),
        };
        let verified = verified.ok_or(Unserved::Mismatch)?;
        let media_type = text(header::CONTENT_TYPE).unwrap_or_default();
        let manifest = Manifest::new(media_type, bytes.into())?;
        // What is known of content is heard as at the mirror.
        self.hear(permit, verified.digest()).await?;
        if let Some(config) = &manifest.config {
            self.hear(permit, config).await?;
        }
        self.mirror
            .origins()
            .saw_manifest(permit.repository(), verified.digest(), &manifest)
            .await?;
        Ok(respond(
            StatusCode::OK,
            &headers,
            Body::from(manifest.bytes),
        ))
    }

    /// A manifest that is only looked at. An engine that has its parts asks for no more, so it is judged as if it were fetched: by
    /// what is known of its digest, or by itself. Registries count those that are fetched, so no more of them are than must be.
    async fn look(
        &self,
        permit: &Permit,
        pointer: &Pointer,
        request: Request<Body>,
    ) -> Result<Response<Body>, Unserved> {
        let (mut parts, _) = whole(request).into_parts();
        let ask = |parts| Request::from_parts(parts, Body::empty());
        let looked = self.fetch(ask(parts.clone())).await?;
        if looked.status() != StatusCode::OK {
            return Ok(stream(looked));
        }
        let announced = looked.headers().get(CONTENT_DIGEST);
        let announced = announced.and_then(|digest| digest.to_str().ok()?.parse().ok());
        let digest = match pointer {
            Pointer::Digest(digest) => Some(digest.clone()),
            Pointer::Tag(_) => announced,
        };
        if let Some(digest) = digest
            && self.mirror.origins().knows(permit.repository(), &digest)?
        {
            self.hear(permit, &digest).await?;
            return Ok(stream(looked));
        }
        parts.method = Method::GET;
        let mut response = self.manifest(permit, pointer, ask(parts)).await?;
        let body = std::mem::take(response.body_mut());
        if let Some(length) = body.size_hint().exact() {
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_LENGTH, length.into());
        }
        Ok(response)
    }

    /// A blob, passed on as it comes; an image's config is looked at first, for what its layers are.
    async fn blob(
        &self,
        permit: &Permit,
        digest: &Digest,
        request: Request<Body>,
    ) -> Result<Response<Body>, Unserved> {
        self.hear(permit, digest).await?;
        let origins = self.mirror.origins();
        let is_config = origins.knows(permit.repository(), digest)?;
        if *request.method() == Method::HEAD {
            return Ok(stream(self.fetch(request).await?));
        }
        let request = if is_config { whole(request) } else { request };
        let response = self.fetch(request).await?;
        let small = response
            .content_length()
            .is_some_and(|length| length <= CONFIG_SIZE_MAX_BYTES);
        let is_whole = response.status() == StatusCode::OK;
        if !(is_whole && small && is_config) {
            return Ok(stream(response));
        }
        let headers = response.headers().clone();
        let limit = usize::try_from(CONFIG_SIZE_MAX_BYTES).unwrap_or(usize::MAX);
        let config = limited(response, limit).await?.ok_or(Unserved::TooLarge)?;
        if Verified::of(&config, digest).is_none() {
            return Err(Unserved::Mismatch);
        }
        origins.saw_config(permit.repository(), &config).await?;
        Ok(respond(StatusCode::OK, &headers, Body::from(config)))
    }

    async fn hear(&self, permit: &Permit, digest: &Digest) -> Result<(), Unserved> {
        self.mirror
            .hear_for(self.asker, permit, self.policy, digest)
            .await
    }

    /// Sends a request for content, and follows redirects to hosts that are named.
    async fn fetch(&self, request: Request<Body>) -> Result<reqwest::Response, UpstreamError> {
        let upstream = self.upstream()?;
        let base = &upstream.url;
        let (parts, _) = request.into_parts();
        let mut url = target(base, parts.uri.path(), parts.uri.query());
        let mut headers = outgoing(&parts.headers);
        // A length without its content would make the start of the connection's next request, whosever it is, that content.
        headers.remove(header::CONTENT_LENGTH);
        // The digest is of the content, not of a coding of it.
        headers.insert(header::ACCEPT_ENCODING, IDENTITY);
        for _ in 0..=REDIRECTS_MAX {
            upstream.judge(&url)?;
            let request = upstream.client.request(parts.method.clone(), url.clone());
            let response = request
                .headers(headers.clone())
                .send()
                .await
                .map_err(UpstreamError::unreachable)?;
            if !response.status().is_redirection() {
                self.learn(&response);
                return Ok(response);
            }
            let location = response.headers().get(header::LOCATION);
            let next = location
                .and_then(|location| location.to_str().ok())
                .and_then(|location| url.join(location).ok())
                .ok_or(UpstreamError::Redirects)?;
            if !same_authority(&next, base) {
                if !upstream.may_follow(self.registry, self.policy, &next) {
                    return Err(UpstreamError::ForeignRedirect(place(&next)));
                }
                // Credentials, in whatever header, are the registry's alone; a presigned address takes no second authorization.
                headers = of_content(&headers);
            }
            url = next;
        }
        Err(UpstreamError::Redirects)
    }

    /// Sends a request with its body, and follows nothing.
    async fn send(&self, request: Request<Body>) -> Result<reqwest::Response, UpstreamError> {
        let upstream = self.upstream()?;
        let base = &upstream.url;
        let (parts, body) = request.into_parts();
        let url = target(base, parts.uri.path(), parts.uri.query());
        upstream.judge(&url)?;
        let mut headers = outgoing(&parts.headers);
        let mut outgoing = upstream.client.request(parts.method.clone(), url);
        if matches!(parts.method, Method::GET | Method::HEAD) {
            // As in `fetch`.
            headers.remove(header::CONTENT_LENGTH);
        } else {
            outgoing = outgoing.body(reqwest::Body::wrap_stream(body.into_data_stream()));
        }
        let sent = outgoing.headers(headers).send().await;
        let response = sent.map_err(UpstreamError::unreachable)?;
        self.learn(&response);
        Ok(response)
    }

    /// The registry, at the host that the client asked for unless the settings say where it is.
    fn upstream(&self) -> Result<Reached, UpstreamError> {
        self.mirror.upstreams().reach(self.registry, self.host)
    }

    /// Where the registry says that its tokens are, if on its own host: what is asked there may pass.
    fn learn(&self, response: &reqwest::Response) {
        if response.status() != StatusCode::UNAUTHORIZED {
            return;
        }
        let challenges = response.headers().get_all(header::WWW_AUTHENTICATE).iter();
        for challenge in challenges.filter_map(|value| value.to_str().ok()) {
            let Ok(challenge) = Challenge::parse(challenge) else {
                continue;
            };
            let realm = challenge.realm;
            let host = realm.host_str().and_then(|host| host.parse().ok());
            let port = realm.port_or_known_default().unwrap_or(DEFAULT_PORT);
            let own = host.map(|host| Registry::new(host, port)).as_ref() == Some(self.registry);
            // What is of a repository stays so, whatever the registry says.
            if own && path::parse(realm.path(), None).is_err() {
                self.realms.learn(self.registry, realm.path());
            }
        }
    }
}

/// The request for all of it.
fn whole(mut request: Request<Body>) -> Request<Body> {
    request.headers_mut().remove(header::RANGE);
    request.headers_mut().remove(header::IF_RANGE);
    request
}

fn failed(problem: &Unserved, kind: Kind) -> Response<Body> {
    let cause = std::error::Error::source(problem).map(ToString::to_string);
    tracing::warn!(error = %problem, cause, "upstream failed");
    answer::unserved(problem, kind)
}

/// `path` and `query` as they came, which were judged, at `base`.
fn target(base: &Url, path: &str, query: Option<&str>) -> Url {
    let mut url = base.clone();
    url.set_path(path);
    url.set_query(query);
    url
}

fn same_authority(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host_str() == other.host_str()
        && one.port_or_known_default() == other.port_or_known_default()
}

fn stream(response: reqwest::Response) -> Response<Body> {
    let (status, headers) = (response.status(), response.headers().clone());
    respond(status, &headers, Body::from_stream(response.bytes_stream()))
}

fn respond(status: StatusCode, headers: &HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = end_to_end(headers);
    response
}

const IDENTITY: axum::http::HeaderValue = axum::http::HeaderValue::from_static("identity");
/// Docker Hub redirects once; some registries twice.
const REDIRECTS_MAX: usize = 5;
