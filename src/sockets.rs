//! The listeners: taken from systemd, or bound here, with errors that say what to do.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use listenfd::ListenFd;
use thiserror::Error;
use tokio::net::{TcpListener, UnixListener};

/// Why there is no listener.
#[derive(Debug, Error)]
pub(crate) enum SocketError {
    /// Something else listens there.
    #[error("{key}: {address} is taken by another process; stop it, or set another address")]
    Taken {
        /// The key of the settings.
        key: &'static str,
        /// The address.
        address: SocketAddr,
    },
    /// A live process answers at the socket.
    #[error("{key}: {path} is served by a running process; is ramgate running already?")]
    Live {
        /// The key of the settings.
        key: &'static str,
        /// The socket.
        path: PathBuf,
    },
    /// There is something at the path that is no socket.
    #[error("{key}: {path} exists and is no socket; move it away")]
    NoSocket {
        /// The key of the settings.
        key: &'static str,
        /// What is there.
        path: PathBuf,
    },
    /// Anything else.
    #[error("{key}: {place}: {source}")]
    Failed {
        /// The key of the settings.
        key: &'static str,
        /// The address or path.
        place: String,
        /// Why.
        source: io::Error,
    },
}

/// Listens at a TCP address.
pub(crate) async fn tcp(
    key: &'static str,
    address: SocketAddr,
) -> Result<TcpListener, SocketError> {
    TcpListener::bind(address).await.map_err(|source| {
        if source.kind() == io::ErrorKind::AddrInUse {
            SocketError::Taken { key, address }
        } else {
            SocketError::Failed {
                key,
                place: address.to_string(),
                source,
            }
        }
    })
}

/// The plugin's socket: the one that systemd holds open, or one bound at `path`.
pub(crate) fn plugin(path: &Path) -> Result<UnixListener, SocketError> {
    let failed = |source| failed(PLUGIN_KEY, path, source);
    if let Some(inherited) = ListenFd::from_env().take_unix_listener(0).map_err(failed)? {
        inherited.set_nonblocking(true).map_err(failed)?;
        return UnixListener::from_std(inherited).map_err(failed);
    }
    unix(PLUGIN_KEY, path)
}

/// A Unix socket bound at `path`, the owner's alone. One that a dead process left is replaced; one that answers is not.
pub(crate) fn unix(key: &'static str, path: &Path) -> Result<UnixListener, SocketError> {
    let failed = |source| failed(key, path, source);
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
        Ok(found) if !found.file_type().is_socket() => {
            let path = path.to_owned();
            return Err(SocketError::NoSocket { key, path });
        }
        Ok(_) => match std::os::unix::net::UnixStream::connect(path) {
            Ok(_) => {
                let path = path.to_owned();
                return Err(SocketError::Live { key, path });
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                tracing::info!(socket = %path.display(), "replacing a socket that nobody serves");
                std::fs::remove_file(path).map_err(failed)?;
            }
            Err(error) => return Err(failed(error)),
        },
    }
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(failed)?;
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    // dockerd and administrators are root; nobody else has a question to ask.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

fn failed(key: &'static str, path: &Path, source: io::Error) -> SocketError {
    SocketError::Failed {
        key,
        place: path.display().to_string(),
        source,
    }
}

const PLUGIN_KEY: &str = "plugin.socket";

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_that_a_dead_process_left_is_replaced_and_a_live_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("plugins/ramgate.sock");
        let first = plugin(&path).unwrap();
        assert!(matches!(plugin(&path), Err(SocketError::Live { .. })));
        drop(first);
        assert!(path.exists(), "a dropped listener leaves its socket");
        plugin(&path).unwrap();
    }

    #[tokio::test]
    async fn a_file_in_the_sockets_place_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ramgate.sock");
        std::fs::write(&path, "precious").unwrap();
        assert!(matches!(plugin(&path), Err(SocketError::NoSocket { .. })));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test]
    async fn a_taken_port_names_its_key() {
        let first = tcp("mirror.listen", "127.0.0.1:0".parse().unwrap())
            .await
            .unwrap();
        let error = tcp("egress.listen", first.local_addr().unwrap())
            .await
            .unwrap_err();
        assert!(
            error.to_string().starts_with("egress.listen: 127.0.0.1:"),
            "{error}"
        );
        assert!(
            error
                .to_string()
                .ends_with("taken by another process; stop it, or set another address"),
            "{error}"
        );
    }
}
