//! Serves a mirror over HTTP.

use std::io;

use axum::Router;
use axum::extract::Request;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::mirror::Mirror;

/// Serves `mirror` at `listener` until `shutdown`, then lets open requests end.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    mirror: Mirror,
    shutdown: CancellationToken,
) -> io::Result<()> {
    // One handler for everything: repository names nest, which a router's patterns cannot say.
    let router = Router::new().fallback(move |request: Request| {
        let mirror = mirror.clone();
        async move { mirror.respond(request).await }
    });
    axum::serve(listener, router)
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .await
}
