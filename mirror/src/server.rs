//! Serves a mirror over HTTP.
//!
//! Over hyper rather than `axum::serve`, which does not let say how much a connection may buffer: with thousands of clients that is
//! most of the memory.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::body::Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::lane::Lane;
use crate::mirror::Mirror;
use crate::wire::Wire;

/// Serves `mirror` at `listener` until `shutdown`, then lets open requests end.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    mirror: Mirror,
    shutdown: CancellationToken,
) -> io::Result<()> {
    tokio::spawn(mirror.clone().keep_within_limit(shutdown.clone()));
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, mirror.clone(), shutdown.clone()));
            }
            // A client that has gone again, or no file left for another one; the next may be luckier.
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
    Ok(())
}

async fn connection(stream: TcpStream, mirror: Mirror, shutdown: CancellationToken) {
    // Answers are written whole; waiting for more to send with them only delays them.
    let _ = stream.set_nodelay(true);
    let lane = Lane::default();
    let wire = Wire::new(stream, lane.clone());
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        let mirror = mirror.clone();
        request.extensions_mut().insert(lane.clone());
        async move { Ok::<_, Infallible>(mirror.respond(request.map(Body::new)).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .max_buf_size(BUFFER_BYTES)
        // What stands in for a part of a file must not be copied; see `lane.rs`.
        .writev(true)
        .serve_connection(TokioIo::new(wire), service);
    let mut connection = pin!(connection);
    tokio::select! {
        // How it ends is the client's affair.
        _ = connection.as_mut() => return,
        () = shutdown.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

/// Of a request's head, and of what waits to be sent before the next piece is read. Docker's requests are below 4 KiB.
const BUFFER_BYTES: usize = 32 * 1024;
/// Before the next try when connections cannot be accepted.
const PAUSE: Duration = Duration::from_millis(100);
