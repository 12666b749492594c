//! `CONNECT`: bytes from one side to the other. The first of the client's are looked at, the rest is unseen.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::debug;

use crate::activity::Activity;
use crate::buffers::Buffers;
use crate::client_hello::{OPENING_MAX_BYTES, Opening};
use crate::guard::{Guard, RefusedOpening};
use crate::metrics::Metrics;
use crate::pump::{Source, Way};

/// What a tunnel needs besides its two ends.
#[derive(Debug)]
pub(crate) struct Tunnel<'a> {
    pub(crate) guard: &'a Guard,
    pub(crate) buffers: &'a Buffers,
    pub(crate) metrics: &'a Metrics,
    pub(crate) idle_timeout: Duration,
    /// For a client that has begun its first message to end it.
    pub(crate) opening_timeout: Duration,
}

/// The far end of a tunnel.
#[derive(Debug)]
pub(crate) struct FarEnd {
    pub(crate) stream: TcpStream,
    /// What it sent already, behind the head of its answer, where it is reached through another proxy.
    pub(crate) early: Bytes,
}

/// How a tunnel ends before its time.
#[derive(Debug, Error)]
enum Broken {
    /// One side broke off.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Its first bytes are not what it may carry.
    #[error(transparent)]
    Refused(#[from] RefusedOpening),
    /// A first message that does not end.
    #[error("the first message did not end in time")]
    Unfinished,
}

// === impl Tunnel ===

impl Tunnel<'_> {
    /// Carries bytes until both sides have closed, one has broken off, nothing has moved for the idle timeout, or the first
    /// bytes are refused: then, why.
    ///
    /// A side that closes its half closes that half on the other side; the other direction goes on. What the client sent
    /// right behind the head of its request is the first of what is carried.
    pub(crate) async fn carry(
        &self,
        upgrade: OnUpgrade,
        far: FarEnd,
    ) -> Result<(), RefusedOpening> {
        let upgraded = match upgrade.await {
            Ok(upgraded) => upgraded,
            Err(error) => {
                debug!(%error, error_source = "downstream", "tunnel not taken up");
                return Ok(());
            }
        };
        match upgraded.downcast::<TokioIo<TcpStream>>() {
            // HTTP/1.1: the connection itself, without what HTTP needed.
            Ok(parts) => {
                let mut stream = parts.io.into_inner();
                let (mut read, mut write) = stream.split();
                self.join(&mut read, &mut write, parts.read_buf, far).await
            }
            Err(upgraded) => self.join_stream(upgraded, far).await,
        }
    }

    /// The same for a connection that was captured; `early` was read from it.
    pub(crate) async fn carry_captured(
        &self,
        mut stream: TcpStream,
        early: Bytes,
        far: FarEnd,
    ) -> Result<(), RefusedOpening> {
        let (mut read, mut write) = stream.split();
        self.join(&mut read, &mut write, early, far).await
    }

    /// HTTP/2: one stream of a connection.
    async fn join_stream(&self, upgraded: Upgraded, far: FarEnd) -> Result<(), RefusedOpening> {
        let (mut read, mut write) = tokio::io::split(TokioIo::new(upgraded));
        self.join(&mut read, &mut write, Bytes::new(), far).await
    }

    async fn join(
        &self,
        read: &mut impl Source,
        write: &mut (impl AsyncWrite + Unpin),
        early: Bytes,
        mut far: FarEnd,
    ) -> Result<(), RefusedOpening> {
        let activity = Activity::new();
        let (mut far_read, mut far_write) = far.stream.split();
        let way = |carried| Way {
            buffers: self.buffers,
            activity: &activity,
            carried,
        };
        let sent = async {
            let opening = self.opening(read, early, &activity).await?;
            let way = way(&self.metrics.sent_bytes);
            way.write(&opening, &mut far_write).await?;
            drop(opening);
            Ok(way.carry(read, &mut far_write).await?)
        };
        let received = async {
            let way = way(&self.metrics.received_bytes);
            way.write(&far.early, write).await?;
            Ok(way.carry(&mut far_read, write).await?)
        };
        let ended: Result<_, Broken> = tokio::select! {
            ended = async { tokio::try_join!(sent, received) } => ended,
            () = activity.idle(self.idle_timeout) => {
                debug!("tunnel idle, closed");
                return Ok(());
            }
        };
        match ended {
            Ok((sent_bytes, received_bytes)) => {
                debug!(sent_bytes, received_bytes, "tunnel closed");
                Ok(())
            }
            Err(Broken::Refused(refused)) => {
                if let Some(alert) = refused.alert() {
                    // The client may be gone.
                    let _ = write.write_all(&alert).await;
                }
                let _ = write.shutdown().await;
                Err(refused)
            }
            Err(error) => {
                debug!(%error, "tunnel broken off");
                Ok(())
            }
        }
    }

    /// The client's first bytes, of which the guard has nothing to refuse.
    async fn opening(
        &self,
        read: &mut impl Source,
        early: Bytes,
        activity: &Activity,
    ) -> Result<Vec<u8>, Broken> {
        // Not `Vec::from`: it would keep the whole buffer that HTTP read into, for as long as the client says nothing.
        let mut bytes = early.to_vec();
        drop(early);
        if bytes.is_empty() && !more(read, &mut bytes, activity).await? {
            return Ok(bytes);
        }
        let finish = async {
            loop {
                let opening = Opening::read(&bytes).map_err(RefusedOpening::from)?;
                if let Some(opening) = opening {
                    self.guard.judge(&opening)?;
                    return Ok::<_, Broken>(());
                }
                // A side that closes here has said nothing that a server would act on.
                if !more(read, &mut bytes, activity).await? {
                    return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                }
            }
        };
        timeout(self.opening_timeout, finish)
            .await
            .map_err(|_| Broken::Unfinished)??;
        Ok(bytes)
    }
}

/// Reads some more of a first message; false when the side has closed.
async fn more(
    read: &mut impl Source,
    bytes: &mut Vec<u8>,
    activity: &Activity,
) -> Result<bool, Broken> {
    std::future::poll_fn(|context| read.poll_readable(context)).await?;
    let room = OPENING_MAX_BYTES.saturating_sub(bytes.len()).max(1);
    let room = u64::try_from(room.min(OPENING_STEP_BYTES)).unwrap_or(1);
    let length = (&mut *read).take(room).read_buf(bytes).await?;
    activity.note();
    Ok(length > 0)
}

/// A ClientHello has 300 bytes to 2 KiB.
const OPENING_STEP_BYTES: usize = 2048;
