//! Where the gates take connections.

use std::net::SocketAddr;

use tokio::net::{TcpListener, UnixListener};

use super::control_path;
use super::parts::captured_address;
use crate::metrics::Gate;
use crate::settings::Settings;
use crate::sockets;

/// The gates' listeners, of those that the settings enable.
pub(super) struct Listeners {
    pub(super) plugin: Option<UnixListener>,
    pub(super) mirror: Option<TcpListener>,
    pub(super) egress: Option<TcpListener>,
    pub(super) captured: Option<TcpListener>,
    pub(super) metrics: Option<TcpListener>,
    pub(super) control: UnixListener,
}

// === impl Listeners ===

impl Listeners {
    pub(super) async fn bind(settings: &Settings) -> anyhow::Result<Self> {
        let plugin = settings.plugin_socket.as_deref().map(sockets::plugin);
        let tcp = async |key, address: Option<SocketAddr>| match address {
            Some(address) => sockets::tcp(key, address).await.map(Some),
            None => Ok(None),
        };
        let mirror = settings.mirror.as_ref().map(|mirror| mirror.listen);
        Ok(Self {
            plugin: plugin.transpose()?,
            mirror: tcp("mirror.listen", mirror).await?,
            egress: tcp(
                "egress.listen",
                settings.egress.as_ref().map(|egress| egress.listen),
            )
            .await?,
            captured: tcp("egress.transparent.listen", captured_address(settings)).await?,
            metrics: tcp("metrics.listen", settings.metrics_listen).await?,
            control: sockets::unix("state-dir", &control_path(settings))?,
        })
    }

    /// Where the gates are reached.
    pub(super) fn gates(&self) -> std::io::Result<Vec<Gate>> {
        let mut gates = Vec::new();
        if let Some(listener) = &self.plugin {
            // Abstract names have no path, and dockerd knows none.
            let address = listener.local_addr()?;
            gates.extend(
                address
                    .as_pathname()
                    .map(|path| Gate::Unix("plugin.socket", path.to_owned())),
            );
        }
        for (key, listener) in [
            ("mirror.listen", &self.mirror),
            ("egress.listen", &self.egress),
        ] {
            if let Some(listener) = listener {
                gates.push(Gate::Tcp(key, listener.local_addr()?));
            }
        }
        Ok(gates)
    }
}
