//! The listening side: connections, their limits, and their end.

use std::io;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::captured;
use crate::conversation::converse;
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
    let grace = egress.config().shutdown_grace;
    take(listener, grace, shutdown.clone(), |stream, tasks| {
        converse(stream, egress.clone(), tasks, shutdown.clone())
    })
    .await
}

/// The same for connections that a firewall sends to `listener`, which were going elsewhere.
///
/// # Errors
/// As [`serve`].
pub async fn serve_captured(
    listener: TcpListener,
    egress: Egress,
    shutdown: CancellationToken,
) -> io::Result<()> {
    // What comes before that waits to be taken.
    let policy = egress.learn_closed().await;
    let learner = egress.clone();
    let learning = tokio::spawn(async move { learner.keep_learning(policy).await });
    let grace = egress.config().shutdown_grace;
    let ended = take(listener, grace, shutdown.clone(), |stream, tasks| {
        captured::converse(stream, egress.clone(), tasks, shutdown.clone())
    })
    .await;
    learning.abort();
    ended
}

async fn take<F: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    grace: Duration,
    shutdown: CancellationToken,
    converse: impl Fn(TcpStream, Tasks) -> F,
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
            Ok((stream, _)) => tasks.spawn(converse(stream, tasks.clone())),
            Err(error) => {
                // Of one connection, or for want of file descriptors. Neither is a reason to close the gate, and the
                // second would come back at once.
                warn!(%error, "connection not accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    tasks.finish(grace).await;
    info!(gate = "egress", %address, "gate closed");
    Ok(())
}

/// Long enough not to spin, short enough not to be noticed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
