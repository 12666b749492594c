//! A connection that was captured: what it is for is read from its first bytes, and not from where it was going.
//!
//! Where it was going is whatever somebody's hosts file or DNS said. Its name is resolved here, and that is where it goes: a
//! name that was given for another server's address leads to its own server, and an address alone leads nowhere unless the
//! policy names it.

use std::io::Cursor;

use bytes::Bytes;
use http::{Method, Request};
use hyper::body::Incoming;
use ramgate_policy::Host;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use crate::audit::{self, Asked, Client};
use crate::begun::Begun;
use crate::client_hello::{ClientHello, Opening};
use crate::conversation::{Limits, serve_http1};
use crate::gate::{Admitted, Egress};
use crate::guard::RefusedOpening;
use crate::original_destination::Ends;
use crate::target::Target;
use crate::tasks::Tasks;

/// One of them.
struct Captured {
    egress: Egress,
    ends: Ends,
    since: Instant,
}

/// From its first byte to its last.
pub(crate) async fn converse(
    stream: TcpStream,
    egress: Egress,
    tasks: Tasks,
    shutdown: CancellationToken,
) {
    // Only latency is lost where the socket refuses.
    let _ = stream.set_nodelay(true);
    let ends = match Ends::of(&stream) {
        Ok(Some(ends)) => ends,
        Ok(None) => {
            debug!("this listener is for what the firewall sends here");
            return;
        }
        Err(error) => {
            warn!(%error, "it is not known where a captured connection was going; closed");
            return;
        }
    };
    egress.metrics().captured.inc();
    let most = egress.config().captured_max_per_client;
    let Some(_place) = egress.places().take(ends.from.ip(), most) else {
        warn!(client = %ends.from.ip(), most, "the client has as many connections as one may have; closed");
        return;
    };
    let since = Instant::now();
    Captured {
        egress,
        ends,
        since,
    }
    .serve(stream, &tasks, &shutdown)
    .await;
}

// === impl Captured ===

impl Captured {
    async fn serve(&self, mut stream: TcpStream, tasks: &Tasks, shutdown: &CancellationToken) {
        let limit = self.egress.config().header_read_timeout;
        let begun = tokio::select! {
            begun = timeout(limit, Begun::read(&mut stream)) => begun,
            () = shutdown.cancelled() => return,
        };
        let Ok(Ok(Some(Begun { opening, early }))) = begun else {
            debug!(
                error_source = "downstream",
                "captured connection did not begin"
            );
            return;
        };
        if self.egress.own().has(self.ends.from) {
            error!(
                to = %self.ends.to,
                "a connection of the gate's own was captured and is closed: run ramgate in the group that the rules exempt"
            );
            return;
        }
        match opening {
            Ok(Opening::Hello(hello)) => self.serve_tls(stream, early, hello).await,
            Ok(Opening::Plain) => self.serve_http(stream, early, tasks, shutdown).await,
            Err(invalid) => {
                let refused = RefusedOpening::from(invalid);
                self.refuse(refused.code());
                close(&mut stream, refused.alert()).await;
            }
        }
    }

    async fn serve_tls(&self, mut stream: TcpStream, early: Vec<u8>, hello: ClientHello) {
        // Without a name there is the address, and the policy may name that.
        let host = hello.server_name.unwrap_or_else(|| self.address());
        let Ok(target) = Target::of_server_name(host, self.ends.to.port()) else {
            self.refuse(UNREADABLE);
            return close(&mut stream, Some(ACCESS_DENIED)).await;
        };
        let asked = Asked {
            method: &Method::CONNECT,
            target: &target,
            client: self.client(),
            since: self.since,
        };
        let ended = match self.egress.admit(&asked).await {
            Ok(Admitted::Connected(far, guard, _slot)) => {
                let tunnel = self.egress.tunnel(&guard);
                tunnel.carry_captured(stream, early.into(), far).await
            }
            Ok(Admitted::Inspected(permit, _slot)) => {
                let config = self.egress.config();
                let Some(inspection) = &config.inspection else {
                    self.refuse(UNINSPECTED);
                    return close(&mut stream, Some(ACCESS_DENIED)).await;
                };
                let stream = with(early, stream);
                inspection
                    .read(stream, &permit, self.client(), config)
                    .await
            }
            Err(answer) => {
                let denied = answer.status().is_client_error();
                let alert = if denied {
                    ACCESS_DENIED
                } else {
                    INTERNAL_ERROR
                };
                return close(&mut stream, Some(alert)).await;
            }
        };
        if let Err(refused) = ended {
            self.egress.opening_refused(&asked, &refused);
        }
    }

    /// `http://`, or what is nothing that can be judged.
    async fn serve_http(
        &self,
        stream: TcpStream,
        early: Vec<u8>,
        tasks: &Tasks,
        shutdown: &CancellationToken,
    ) {
        let limits = Limits {
            head_max_bytes: HEAD_MAX_BYTES,
            head_timeout: self.egress.config().header_read_timeout,
        };
        let (client, port) = (self.client(), self.ends.to.port());
        let answer = |mut request: Request<Incoming>| {
            let (egress, tasks) = (self.egress.clone(), tasks.clone());
            async move {
                let target = Target::read_captured(&mut request, port);
                egress.answer_read(request, target, client, &tasks).await
            }
        };
        let stream = with(early, stream);
        let ended = serve_http1(stream, limits, shutdown.clone(), answer).await;
        match ended {
            Ok(()) => {}
            Err(error) if error.is_parse() => self.refuse(UNREADABLE),
            Err(error) => {
                debug!(%error, error_source = "downstream", "connection broken off");
            }
        }
    }

    const fn client(&self) -> Client {
        Client::Captured(self.ends.from.ip())
    }

    fn address(&self) -> Host {
        Host::from(self.ends.to.ip())
    }

    fn refuse(&self, reason: &'static str) {
        audit::capture_refused(self.client(), self.ends.to, reason, self.since);
        self.egress.metrics().denied(reason, Some(&self.address()));
    }
}

/// `stream` with what was read from it.
fn with(early: Vec<u8>, stream: TcpStream) -> impl AsyncRead + AsyncWrite + Unpin + Send + 'static {
    let (read, write) = stream.into_split();
    tokio::io::join(Cursor::new(Bytes::from(early)).chain(read), write)
}

async fn close(stream: &mut TcpStream, alert: Option<[u8; 7]>) {
    // The client may be gone.
    if let Some(alert) = alert {
        let _ = stream.write_all(&alert).await;
    }
    let _ = stream.shutdown().await;
}

/// Stable codes for logs and metrics.
const UNINSPECTED: &str = "uninspected";
const UNREADABLE: &str = "captured-unreadable";
/// Fatal alerts (RFC 8446, section 6).
const ACCESS_DENIED: [u8; 7] = [21, 3, 3, 0, 2, 2, 49];
const INTERNAL_ERROR: [u8; 7] = [21, 3, 3, 0, 2, 2, 80];
/// Requests of browsers, cookies and all.
const HEAD_MAX_BYTES: usize = 64 * 1024;
