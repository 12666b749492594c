//! The listening side: connections, their limits, and their end.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::gate::Egress;
use crate::tasks::Tasks;

/// Serves `egress` on `listener` until `shutdown` is cancelled.
///
/// Then nothing new is taken. Requests and tunnels under way have [`Config::shutdown_grace`](crate::Config::shutdown_grace)
/// to end before they are cut; the function returns when none is left.
///
/// # Errors
/// When `listener` is not in a state to listen. Connections that fail are logged and end by themselves.
pub async fn serve(
    listener: TcpListener,
    egress: Egress,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    info!(gate = "egress", %address, "gate open");
    let tasks = Tasks::default();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => tasks.spawn(converse(
                stream,
                egress.clone(),
                tasks.clone(),
                shutdown.clone(),
            )),
            Err(error) => {
                // Of one connection, or for want of file descriptors. Neither is a reason to close the gate, and the
                // second would come back at once.
                warn!(%error, "connection not accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    tasks.finish(egress.config().shutdown_grace).await;
    info!(gate = "egress", %address, "gate closed");
    Ok(())
}

/// One client's connection, from its first request to its last or to its upgrade.
async fn converse(stream: TcpStream, egress: Egress, tasks: Tasks, shutdown: CancellationToken) {
    // Only latency is lost where the socket refuses.
    let _ = stream.set_nodelay(true);
    let config = egress.config();
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(config.header_read_timeout)
        .max_buf_size(config.header_size_max_bytes.max(BUFFER_LEAST_BYTES));
    let service = service_fn(|request| {
        let (egress, tasks) = (egress.clone(), tasks.clone());
        async move { Ok::<_, Infallible>(egress.answer(request, &tasks).await) }
    });
    let mut connection = pin!(
        server
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, error_source = "downstream", "connection broken off");
    }
}

/// hyper panics below it: `max_buf_size` of its server's builder.
const BUFFER_LEAST_BYTES: usize = 8192;
/// Long enough not to spin, short enough not to be noticed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
