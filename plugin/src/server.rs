//! Serves the plugin protocol on a Unix socket.
//!
//! hyper alone: the engine waits for us on each call of its API, and of three routes nobody needs a router.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::answer::Answer;
use crate::authorizer::Authorizer;
use crate::call;
use crate::message::{ACTIVATED, MEDIA_TYPE};

/// What answers. Shared by all calls: what it consists of takes a dozen atomic operations to clone.
#[derive(Debug)]
struct Gate {
    authorizer: Authorizer,
    shutdown: CancellationToken,
}

/// Serves `authorizer` at `listener` until `shutdown`, then lets open requests end.
///
/// A call that dockerd is writing while its connection is closed, it writes again without its body, which is a denial. So before
/// they are closed, connections are used up: each answer is the last on its own.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(
    listener: UnixListener,
    authorizer: Authorizer,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let gate = Arc::new(Gate {
        authorizer,
        shutdown: shutdown.clone(),
    });
    let drained = async {
        shutdown.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    let mut drained = pin!(drained);
    let closing = CancellationToken::new();
    let open = TaskTracker::new();
    loop {
        tokio::select! {
            () = &mut drained => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    open.spawn(Arc::clone(&gate).converse(stream, closing.clone()));
                }
                // Too many open files, mostly: they will be fewer again.
                Err(error) => {
                    tracing::error!(%error, "the engine's connection could not be taken");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    closing.cancel();
    open.close();
    open.wait().await;
    Ok(())
}

// === impl Gate ===

impl Gate {
    /// Answers the calls of one connection, one after the other, until `closing`.
    async fn converse(self: Arc<Self>, stream: UnixStream, closing: CancellationToken) {
        let service = service_fn(|request| {
            let gate = Arc::clone(&self);
            async move { Ok::<_, Infallible>(gate.respond(request).await) }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            biased;
            ended = &mut connection => ended,
            () = closing.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        // The engine went away, or is no engine.
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection of the engine's broke off");
        }
    }

    async fn respond(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        // The body is read to its end whatever it is: a connection with a rest in it is closed, and dockerd waits a second before it
        // tries another.
        let body = call::read(body).await;
        if head.method != Method::POST {
            return empty(StatusCode::METHOD_NOT_ALLOWED);
        }
        match (head.uri.path(), body) {
            // dockerd sends no `Content-Type`, so the body is taken as it is.
            ("/AuthZPlugin.AuthZReq", Ok(body)) => {
                self.answer(self.authorizer.authorize(&body).await.to_json())
            }
            ("/AuthZPlugin.AuthZReq", Err(_)) => self.answer(self.authorizer.too_large().to_json()),
            // It comes after the deed, and undoes nothing.
            ("/AuthZPlugin.AuthZRes", body) => {
                if let Ok(body) = body {
                    self.authorizer.carried_out(&body).await;
                }
                self.answer(Answer::allow().to_json())
            }
            ("/Plugin.Activate", _) => {
                self.authorizer.activated();
                self.answer(Bytes::from_static(ACTIVATED.as_bytes()))
            }
            _ => empty(StatusCode::NOT_FOUND),
        }
    }

    fn answer(&self, body: Bytes) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(body));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if self.shutdown.is_cancelled() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

/// dockerd keeps two idle connections, and asks several times a second where anything goes on.
const DRAIN: Duration = Duration::from_millis(300);
/// Before the next attempt to take a connection.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
