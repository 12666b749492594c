//! The listening side: connections, their limits, and their end.

use std::io;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

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

/// Long enough not to spin, short enough not to be noticed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
