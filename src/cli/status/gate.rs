//! The gates that the settings enable, and whether each takes connections.

use std::net::SocketAddr;

use serde::Serialize;

use crate::settings::Settings;

/// A gate that the settings enable.
#[derive(Debug, Serialize)]
pub(super) struct Gate {
    pub(super) name: &'static str,
    pub(super) address: String,
    pub(super) listens: bool,
}

/// Asks at each.
pub(super) async fn gates(settings: &Settings) -> Vec<Gate> {
    let mut gates = Vec::new();
    if let Some(socket) = &settings.plugin_socket {
        gates.push(Gate {
            name: "plugin",
            address: socket.display().to_string(),
            listens: tokio::net::UnixStream::connect(socket).await.is_ok(),
        });
    }
    let mirror = settings.mirror.as_ref().map(|mirror| mirror.listen);
    for (name, address) in [
        ("mirror", mirror),
        (
            "egress",
            settings.egress.as_ref().map(|egress| egress.listen),
        ),
    ] {
        if let Some(address) = address {
            gates.push(Gate {
                name,
                address: address.to_string(),
                listens: listens(address).await,
            });
        }
    }
    gates
}

async fn listens(address: SocketAddr) -> bool {
    tokio::net::TcpStream::connect(address).await.is_ok()
}
