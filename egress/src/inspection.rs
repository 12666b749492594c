//! Tunnels to registries, read: TLS ends here, and each request inside is judged by whoever judges registries' requests.
//!
//! That is the mirror's business, and the gates do not know one another. What judges and fetches is a [`tower`] service that
//! the program hands in.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use ramgate_policy::{Host, Subject, TunnelPermit, split_port};
use ramgate_provenance::DecisionId;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::rustls::server::Acceptor;
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;
use tracing::{debug, warn};

use crate::activity::Activity;
use crate::answer;
use crate::audit::{self, Client};
use crate::authority::Authority;
use crate::client_hello::{ClientHello, InvalidHello, Opening};
use crate::config::Config;
use crate::guard::{Guard, RefusedOpening};
use crate::invalid_target::InvalidTarget;

/// The registry that a request is for, which is where its tunnel leads, and who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspected {
    /// The host, as a permit names it.
    pub host: Host,
    /// The port.
    pub port: u16,
    /// Who opened the tunnel, or whose connection was captured.
    pub subject: Subject,
}

/// The body of an answer to a request that was read.
pub type InspectedBody = UnsyncBoxBody<Bytes, std::io::Error>;

/// Judges a request, which has an [`Inspected`] among its extensions, and answers it.
pub type Inspect = BoxCloneSyncService<Request<Incoming>, Response<InspectedBody>, Infallible>;

/// What reads tunnels.
#[derive(Clone, Debug)]
pub struct Inspection {
    authority: Arc<Authority>,
    inspect: Inspect,
}

// === impl Inspection ===

impl Inspection {
    /// Ends TLS with certificates of `authority`, and gives requests to `inspect`.
    #[must_use]
    pub const fn new(authority: Arc<Authority>, inspect: Inspect) -> Self {
        Self { authority, inspect }
    }

    /// Reads a tunnel until either side closes it or nothing moves.
    pub(crate) async fn converse(
        &self,
        upgrade: OnUpgrade,
        permit: &TunnelPermit,
        client: Client,
        config: &Config,
    ) -> Result<(), RefusedOpening> {
        let upgraded = match upgrade.await {
            Ok(upgraded) => upgraded,
            Err(error) => {
                debug!(%error, error_source = "downstream", "tunnel not taken up");
                return Ok(());
            }
        };
        self.read(TokioIo::new(upgraded), permit, client, config)
            .await
    }

    /// Reads `stream`, which begins with TLS.
    pub(crate) async fn read<S>(
        &self,
        stream: S,
        permit: &TunnelPermit,
        client: Client,
        config: &Config,
    ) -> Result<(), RefusedOpening>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let activity = Activity::new();
        let stream = activity.watch(stream);
        let opened = timeout(config.header_read_timeout, self.open(stream, permit)).await;
        let Some(stream) = opened.ok().transpose()?.flatten() else {
            return Ok(());
        };
        let service = service_fn(|request| async move {
            Ok::<_, Infallible>(self.answer(request, permit, client).await)
        });
        let mut server = http1::Builder::new();
        server
            .timer(TokioTimer::new())
            .header_read_timeout(config.idle_timeout)
            .max_buf_size(HEAD_MAX_BYTES);
        tokio::select! {
            ended = server.serve_connection(TokioIo::new(stream), service) => if let Err(error) = ended {
                debug!(%error, error_source = "downstream", "tunnel broken off");
            },
            () = activity.idle(config.idle_timeout) => debug!("tunnel idle, closed"),
        }
        Ok(())
    }

    /// The inside of TLS; `None` when the client went away or does not trust us.
    async fn open<S>(
        &self,
        stream: S,
        permit: &TunnelPermit,
    ) -> Result<Option<tokio_rustls::server::TlsStream<S>>, RefusedOpening>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let host = permit.host();
        let guard = Guard::new(host.clone(), true);
        let mut start = match LazyConfigAcceptor::new(Acceptor::default(), stream).await {
            Ok(start) => start,
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                debug!(%error, "not read as TLS");
                return Err(RefusedOpening::Invalid(InvalidHello::Malformed));
            }
            Err(error) => {
                debug!(%error, error_source = "downstream", "tunnel broken off");
                return Ok(None);
            }
        };
        let server_name = match start.client_hello().server_name().map(str::parse) {
            Some(Err(_)) => return Err(RefusedOpening::Invalid(InvalidHello::ServerName)),
            Some(Ok(name)) => Some(name),
            None => None,
        };
        // An inner name is none to us: it is the outer one that this certificate is for.
        let hello = ClientHello {
            server_name,
            encrypted: false,
        };
        if let Err(refused) = guard.judge(&Opening::Hello(hello)) {
            if let Some(alert) = refused.alert() {
                // The client may be gone.
                let _ = start.io.write_all(&alert).await;
                let _ = start.io.shutdown().await;
            }
            return Err(refused);
        }
        if !self.authority.permits(host) {
            warn!(registry = %host, "the authority of inspection is not for this registry; run `ramgate egress ca rotate`");
        }
        let config = match self.authority.server(host, wall_clock()) {
            Ok(config) => config,
            Err(error) => {
                warn!(registry = %host, %error, "no certificate");
                return Ok(None);
            }
        };
        match start.into_stream(config).await {
            Ok(stream) => Ok(Some(stream)),
            Err(error) => {
                warn!(registry = %host, %error, error_source = "downstream",
                    "the client does not take inspection's certificate; see `ramgate egress ca install`");
                Ok(None)
            }
        }
    }

    /// Answers one request of `client` to the registry that `permit` leads to, and to no other.
    pub(crate) async fn answer(
        &self,
        mut request: Request<Incoming>,
        permit: &TunnelPermit,
        client: Client,
    ) -> Response<InspectedBody> {
        let (host, port) = (permit.host(), permit.port());
        if !names_only(&request, host, port) {
            let id = DecisionId::new();
            audit::unreadable(
                id,
                request.method(),
                InvalidTarget::HostHeader,
                client,
                Instant::now(),
            );
            return answer::other_host(id);
        }
        // Origin-form, whichever way it came.
        if let Some(path) = request.uri().path_and_query().cloned() {
            *request.uri_mut() = Uri::from(path);
        }
        request.extensions_mut().insert(Inspected {
            host: host.clone(),
            port,
            subject: client.subject(),
        });
        match self.inspect.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// Whether what the request says of its host is `host`, at `port` or one that is not said.
fn names_only(request: &Request<Incoming>, host: &Host, port: u16) -> bool {
    let mut headers = request.headers().get_all(http::header::HOST).iter();
    let (Some(header), None) = (headers.next(), headers.next()) else {
        return false;
    };
    let same = |text: &str| {
        split_port(text).is_ok_and(|(name, named)| {
            name.parse::<Host>().is_ok_and(|name| name == *host)
                && named.is_none_or(|named| named == port)
        })
    };
    let authority = request.uri().authority();
    header.to_str().is_ok_and(same)
        && authority.is_none_or(|authority| same(authority.as_str()))
        && request.uri().path().starts_with('/')
}

/// Certificates are good by the wall clock.
#[expect(
    clippy::disallowed_methods,
    reason = "the one clock of this crate; `Authority` takes its time as an argument"
)]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}

/// Registries' tokens have some KiB, and some have dozens; source: Azure's and GitLab's.
const HEAD_MAX_BYTES: usize = 64 * 1024;
