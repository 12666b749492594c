//! Where the network gate and the registry gate meet: what the one reads, the other judges. And the authority that lets it read.

use std::convert::Infallible;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use axum::body::Body;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use ramgate_egress::{Authority, Inspected, InspectedBody, Inspection, NewAuthority};
use ramgate_mirror::Inspector;
use tower::util::BoxCloneSyncService;

/// The files of the authority, below the state directory.
#[derive(Clone, Debug)]
pub(crate) struct AuthorityFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// What the network gate reads tunnels with: the authority of `state_dir`, and `inspector` to judge.
pub(crate) fn set_up(state_dir: &Path, inspector: Inspector) -> anyhow::Result<Inspection> {
    let authority = AuthorityFiles::below(state_dir).read()?;
    let service = tower::service_fn(move |request: Request<Incoming>| {
        let inspector = inspector.clone();
        async move { Ok::<_, Infallible>(judge(&inspector, request).await) }
    });
    Ok(Inspection::new(
        Arc::new(authority),
        BoxCloneSyncService::new(service),
    ))
}

async fn judge(inspector: &Inspector, mut request: Request<Incoming>) -> Response<InspectedBody> {
    let response = match request.extensions_mut().remove::<Inspected>() {
        Some(Inspected {
            host,
            port,
            subject,
        }) => {
            let request = request.map(Body::new);
            inspector.respond(&host, port, &subject, request).await
        }
        // The gate says it always.
        None => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::FORBIDDEN;
            response
        }
    };
    response.map(|body| body.map_err(io::Error::other).boxed_unsync())
}

// === impl AuthorityFiles ===

impl AuthorityFiles {
    pub(crate) fn below(state_dir: &Path) -> Self {
        Self {
            certificate: state_dir.join("inspection-ca.pem"),
            key: state_dir.join("inspection-ca.key"),
        }
    }

    pub(crate) fn exist(&self) -> bool {
        self.certificate.exists() || self.key.exists()
    }

    pub(crate) fn read(&self) -> anyhow::Result<Authority> {
        let read = |path: &Path| {
            std::fs::read_to_string(path).with_context(|| {
                format!(
                    "egress.inspect: {}; make it with `ramgate egress ca init`",
                    path.display()
                )
            })
        };
        let authority = Authority::read(&read(&self.certificate)?, &read(&self.key)?);
        authority.with_context(|| format!("egress.inspect: {}", self.certificate.display()))
    }

    /// Writes both, the key first and for its owner alone, and each in one step.
    pub(crate) fn write(&self, authority: &NewAuthority) -> anyhow::Result<()> {
        write(&self.key, &authority.key, 0o600)?;
        write(&self.certificate, &authority.certificate, 0o644)
    }
}

fn write(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let beside = path.with_extension("new");
    let written = || -> io::Result<()> {
        // One that is left over may have another mode.
        match std::fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    };
    written().with_context(|| path.display().to_string())
}
