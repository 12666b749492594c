//! `http://`: one request is passed on, over a connection of its own.

use std::time::Duration;

use http::header;
use http::uri::{PathAndQuery, Uri};
use http::{HeaderValue, Request, Response, StatusCode, Version};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tracing::debug;

use crate::activity::Activity;
use crate::headers::{append_via, strip_hop_by_hop};
use crate::slot::Slot;
use crate::tasks::Tasks;
use crate::upstream::UpstreamError;
use crate::upstream_proxy::UpstreamProxy;

/// Sends `request`, made by [`outgoing`], over `stream`; `slot` is held until the answer's body has passed.
pub(crate) async fn send(
    request: Request<Incoming>,
    stream: TcpStream,
    slot: Slot,
    tasks: &Tasks,
    idle_timeout: Duration,
) -> Result<Response<Incoming>, UpstreamError> {
    let activity = Activity::new();
    let stream = TokioIo::new(activity.watch(stream));
    let (mut sender, connection) = http1::handshake(stream)
        .await
        .map_err(UpstreamError::Protocol)?;
    let watched = activity.clone();
    tasks.spawn(async move {
        let _slot = slot;
        tokio::select! {
            ended = connection => if let Err(error) = ended {
                debug!(%error, error_source = "upstream", "forwarded connection broken off");
            },
            // Breaks off the answer's body, if it has begun.
            () = watched.idle(idle_timeout) => debug!("forwarded connection idle, closed"),
        }
    });
    let response = tokio::select! {
        response = sender.send_request(request) => response.map_err(UpstreamError::Protocol)?,
        () = activity.idle(idle_timeout) => return Err(UpstreamError::ResponseTimeout),
    };
    incoming(response)
}

/// The request as the target's server is to see it: origin-form, the target's `Host`, nothing of this connection. Through
/// `proxy`: in absolute form, with what the proxy wants.
pub(crate) fn outgoing(
    request: Request<Incoming>,
    host: HeaderValue,
    proxy: Option<&UpstreamProxy>,
) -> Result<Request<Incoming>, http::Error> {
    let (mut parts, body) = request.into_parts();
    // Before a fragment there may be a path without a letter, which would go out as none.
    let path = parts.uri.path_and_query();
    let path = path
        .filter(|path| path.as_str() != "/")
        .cloned()
        .unwrap_or_else(|| PathAndQuery::from_static("/"));
    parts.uri = match proxy {
        None => Uri::from(path),
        // Put together from what was judged, not passed on as it came.
        Some(_) => Uri::builder()
            .scheme("http")
            .authority(host.as_bytes())
            .path_and_query(path)
            .build()?,
    };
    parts.version = Version::HTTP_11;
    // An upgrade would make a tunnel of what was judged as a request.
    parts.extensions.clear();
    strip_hop_by_hop(&mut parts.headers);
    append_via(&mut parts.headers);
    parts.headers.insert(header::HOST, host);
    if let Some(authorization) = proxy.and_then(UpstreamProxy::authorization) {
        let authorization = authorization.clone();
        parts
            .headers
            .insert(header::PROXY_AUTHORIZATION, authorization);
    }
    if body.size_hint().exact().is_none() {
        // hyper frames it so for most methods by itself, but would drop the body of a GET.
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.insert(
            header::TRANSFER_ENCODING,
            HeaderValue::from_static("chunked"),
        );
    }
    Ok(Request::from_parts(parts, body))
}

fn incoming(response: Response<Incoming>) -> Result<Response<Incoming>, UpstreamError> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(UpstreamError::Switched);
    }
    let (mut parts, body) = response.into_parts();
    parts.version = Version::HTTP_11;
    strip_hop_by_hop(&mut parts.headers);
    append_via(&mut parts.headers);
    Ok(Response::from_parts(parts, body))
}
