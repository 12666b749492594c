//! Tells systemd that the gates answer, as often as its watchdog wants to hear it. When it hears nothing it starts ramgate anew.

use std::path::PathBuf;

use hyper::StatusCode;
use tokio_util::sync::CancellationToken;

use crate::unix;

/// Asks the engine gate at `plugin` what the engine would ask first, and passes on that it answers, until `shutdown`.
///
/// Without a watchdog it ends at once.
pub(crate) async fn run(plugin: Option<PathBuf>, shutdown: CancellationToken) {
    let Some(interval) = sd_notify::watchdog_enabled() else {
        return;
    };
    // Twice as often, as sd_watchdog_enabled(3) advises.
    let mut ticks = tokio::time::interval(interval / 2);
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        let answers = match &plugin {
            Some(socket) => {
                let asked = unix::post(socket, "/Plugin.Activate", Vec::new());
                let answer = tokio::time::timeout(interval / 4, asked).await;
                matches!(answer, Ok(Ok((StatusCode::OK, _))))
            }
            // That this runs is all there is to say.
            None => true,
        };
        if answers {
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
        } else {
            tracing::error!("the engine gate does not answer; systemd will start it anew");
        }
    }
}
