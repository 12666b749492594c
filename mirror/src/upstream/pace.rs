//! An end to what an upstream sends too slowly.
//!
//! The client gives up on an upstream that is silent. One that sends a byte now and then is never silent, and would hold a
//! connection, a file and the clients that wait for as long as it likes.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use reqwest::Response;
use thiserror::Error;
use tokio::time::Sleep;

use crate::config::Timeouts;

/// How a body has to come.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// What is held in memory: whole, within a time.
    Whole,
    /// What streams: at a rate in each window of the time that was spent waiting for the upstream.
    Rate,
}

/// It did not.
#[derive(Debug, Error)]
#[error("the upstream sends too slowly")]
struct TooSlow;

struct Paced {
    inner: reqwest::Body,
    /// When the whole has to be there.
    deadline: Option<Pin<Box<Sleep>>>,
    /// How long the upstream may be waited for before what came in this time is looked at.
    window: Duration,
    rate_min: u32,
    /// In this window.
    received: u64,
    /// In this window.
    waited: Duration,
    /// Since when the upstream is waited for. A client that is slow itself counts for nothing.
    waiting_since: Option<Instant>,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// `response`, which breaks off if its body does not come at `pace`.
pub(crate) fn paced(response: Response, pace: Pace, timeouts: &Timeouts) -> Response {
    let (parts, inner) = axum::http::Response::from(response).into_parts();
    let (deadline, rate_min) = match pace {
        Pace::Whole => (Some(Box::pin(tokio::time::sleep(timeouts.whole))), 0),
        Pace::Rate => (None, RATE_MIN_BYTES_PER_SECOND),
    };
    let body = reqwest::Body::wrap(Paced {
        inner,
        deadline,
        window: timeouts.whole,
        rate_min,
        received: 0,
        waited: Duration::ZERO,
        waiting_since: None,
    });
    axum::http::Response::from_parts(parts, body).into()
}

// === impl Paced ===

impl Paced {
    /// Looks at a window that is over, and begins the next. Each counts for itself: what came fast before is no licence to drip.
    fn is_too_slow(&mut self) -> bool {
        if self.waited <= self.window {
            return false;
        }
        let least = self.waited.as_secs_f64() * f64::from(self.rate_min);
        self.waited = Duration::ZERO;
        let received = std::mem::take(&mut self.received) as f64;
        received < least
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let frame = Pin::new(&mut this.inner).poll_frame(context);
        if frame.is_pending() {
            this.waiting_since.get_or_insert_with(Instant::now);
            if let Some(deadline) = &mut this.deadline {
                ready!(deadline.as_mut().poll(context));
                return Poll::Ready(Some(Err(TooSlow.into())));
            }
            return Poll::Pending;
        }
        if let Some(since) = this.waiting_since.take() {
            this.waited += since.elapsed();
        }
        let frame = ready!(frame);
        if let Some(Ok(frame)) = &frame {
            this.received += frame.data_ref().map_or(0, Bytes::len) as u64;
            let late = this.deadline.as_ref().is_some_and(|end| end.is_elapsed());
            if this.is_too_slow() || late {
                return Poll::Ready(Some(Err(TooSlow.into())));
            }
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A telephone line brings more. A layer of 1 MiB takes four minutes at this rate.
const RATE_MIN_BYTES_PER_SECOND: u32 = 4096;
