//! Debian's squid, as it comes: one process, but for a cache and a log.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use super::Proxy;
use crate::peer;
use crate::ramgate::free_address;
use crate::server::Server;

/// A running squid.
#[derive(Debug)]
pub(super) struct Squid {
    address: SocketAddr,
    server: Server,
    _directory: TempDir,
}

// === impl Squid ===

impl Squid {
    pub(super) fn start(program: &Path) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let address = free_address()?;
        let root = root(program).context("squid lies nowhere")?;
        let (share, lib) = (root.join("usr/share/squid"), root.join("usr/lib/squid"));
        let config = format!(
            "http_port {address}\nhttp_access allow all\ncache deny all\n\
             access_log none\ncache_store_log none\ncache_log /dev/null\n\
             pid_filename none\nnetdb_filename none\npinger_enable off\ncoredump_dir none\n\
             shutdown_lifetime 0 seconds\nmax_filedescriptors 16384\n\
             mime_table {share}/mime.conf\nicon_directory {share}/icons\nerror_directory {errors}\n\
             unlinkd_program {lib}/unlinkd\nlogfile_daemon {lib}/log_file_daemon\n",
            share = share.display(),
            // Those that it comes with are a package of translations.
            errors = directory.path().display(),
            lib = lib.display(),
        );
        let path = directory.path().join("squid.conf");
        std::fs::write(&path, config)?;
        let mut command = on(program);
        command.arg("-N").arg("-f").arg(path);
        let server = Server::start(command, || Ok(TcpStream::connect(address).is_ok()))?;
        Ok(Self {
            address,
            server,
            _directory: directory,
        })
    }

    pub(super) const fn proxy(&self) -> Proxy<'_> {
        Proxy {
            address: self.address,
            server: &self.server,
        }
    }
}

/// Where `make bench` unpacks it.
pub(super) fn program() -> Option<PathBuf> {
    let program = ramgate_lab::cache()
        .ok()?
        .join("tools/squid/usr/sbin/squid");
    program.is_file().then_some(program)
}

pub(super) fn version(program: &Path) -> String {
    peer::version_of("squid", on(program).arg("-v"))
}

fn root(program: &Path) -> Option<&Path> {
    program.ancestors().nth(3)
}

/// It finds its libraries beside it.
fn on(program: &Path) -> Command {
    let mut command = Command::new(program);
    let architecture = format!("{}-linux-gnu", std::env::consts::ARCH);
    if let Some(root) = root(program) {
        command.env("LD_LIBRARY_PATH", root.join("usr/lib").join(architecture));
    }
    command
}
