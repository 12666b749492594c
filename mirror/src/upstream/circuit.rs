//! When an upstream is left alone: while it says so (429 with `Retry-After`), and for a while after it could not be reached, so
//! that not every client waits for the same connection to fail.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use reqwest::header::HeaderValue;

/// The state of one upstream.
#[derive(Debug, Default)]
pub(crate) struct Circuit {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rest: Option<Rest>,
    /// Connections that failed in a row.
    failures: u32,
    /// Whether one has been let through to see if it is back.
    probing: bool,
}

/// Why an upstream is not asked, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rest {
    pub(crate) until: Instant,
    pub(crate) why: Why,
}

/// Why an upstream is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It said that it was asked too often.
    RateLimited,
    /// It could not be reached.
    Unreachable,
}

// === impl Circuit ===

impl Circuit {
    /// Whether the upstream may be asked now. The one that is let through after a failure tries for all: until it is known how
    /// that ends, or `patience` is over, the others are not.
    pub(crate) fn admit(&self, now: Instant, patience: Duration) -> Result<(), Rest> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.rest {
            Some(rest) if rest.until > now => Err(rest),
            Some(rest) => {
                state.probing = rest.why == Why::Unreachable;
                state.rest = state.probing.then(|| Rest {
                    until: now + patience,
                    why: rest.why,
                });
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// It answered.
    pub(crate) fn answered(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.failures = 0;
        state.probing = false;
        if state.rest.is_some_and(|rest| rest.why == Why::Unreachable) {
            state.rest = None;
        }
    }

    /// It could not be reached. Once may be chance; from the second time on it is left alone, longer each time.
    pub(crate) fn failed(&self, now: Instant) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Many may have been under way when it failed, which makes it no worse.
        let resting = state.rest.is_some_and(|rest| rest.until > now);
        if resting && !state.probing {
            return;
        }
        state.probing = false;
        state.failures = state.failures.saturating_add(1);
        if state.failures < FAILURES_MIN {
            return;
        }
        let doublings = (state.failures - FAILURES_MIN).min(5);
        let pause = (BACK_OFF * 2_u32.pow(doublings)).min(BACK_OFF_MAX);
        state.rest = Some(Rest {
            until: now + pause,
            why: Why::Unreachable,
        });
    }

    /// It limits the rate. What is already longer stays: requests that were under way are answered in any order.
    pub(crate) fn limited(&self, retry_after: Duration, now: Instant) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let until = now + retry_after;
        let longer = state
            .rest
            .is_some_and(|rest| rest.why == Why::RateLimited && rest.until > until);
        if !longer {
            state.rest = Some(Rest {
                until,
                why: Why::RateLimited,
            });
        }
    }
}

/// How long a `Retry-After` says to wait: seconds or a date (RFC 9110, 10.2.3). Within limits: an upstream that says nothing is
/// not asked at once again, and one that says a year is asked in an hour.
pub(crate) fn retry_after(header: Option<&HeaderValue>, now: SystemTime) -> Duration {
    let text = header.and_then(|value| value.to_str().ok()).map(str::trim);
    let seconds = text.and_then(|text| text.parse::<u64>().ok());
    let date = || {
        let date = httpdate::parse_http_date(text?).ok()?;
        Some(date.duration_since(now).unwrap_or_default())
    };
    seconds
        .map(Duration::from_secs)
        .or_else(date)
        .unwrap_or(RETRY_AFTER_DEFAULT)
        .clamp(RETRY_AFTER_MIN, RETRY_AFTER_MAX)
}

/// A connection that fails once is tried again by the next request.
const FAILURES_MIN: u32 = 2;
const BACK_OFF: Duration = Duration::from_secs(1);
/// An upstream that is back is noticed after so long at most.
const BACK_OFF_MAX: Duration = Duration::from_secs(30);
/// Docker Hub's limits are per minute and per six hours; who says nothing is asked again soon.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(10);
const RETRY_AFTER_MIN: Duration = Duration::from_secs(1);
const RETRY_AFTER_MAX: Duration = Duration::from_hours(1);

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    #[test]
    fn one_failure_is_chance_and_the_second_is_not() {
        let (circuit, now) = (Circuit::default(), Instant::now());
        circuit.failed(now);
        assert_eq!(circuit.admit(now, PATIENCE), Ok(()));
        circuit.failed(now);
        let rest = circuit.admit(now, PATIENCE).unwrap_err();
        assert_eq!((rest.why, rest.until - now), (Why::Unreachable, BACK_OFF));
    }

    #[test]
    fn after_the_rest_one_tries_for_all() {
        let (circuit, now) = (Circuit::default(), Instant::now());
        circuit.failed(now);
        circuit.failed(now);
        let later = now + BACK_OFF;
        assert_eq!(circuit.admit(later, PATIENCE), Ok(()));
        assert!(circuit.admit(later, PATIENCE).is_err());
        circuit.answered();
        assert_eq!(circuit.admit(later, PATIENCE), Ok(()));
    }

    #[test]
    fn rests_grow_and_have_an_end() {
        let (circuit, mut now) = (Circuit::default(), Instant::now());
        let mut rests = Vec::new();
        for _ in 0..9 {
            circuit.admit(now, PATIENCE).unwrap();
            circuit.failed(now);
            let rest = circuit.admit(now, PATIENCE).err();
            let seconds = rest.map_or(0, |rest| (rest.until - now).as_secs());
            rests.push(seconds);
            now += Duration::from_secs(seconds);
        }
        assert_eq!(rests, [0, 1, 2, 4, 8, 16, 30, 30, 30]);
    }

    #[test]
    fn many_failures_at_once_are_one() {
        let (circuit, now) = (Circuit::default(), Instant::now());
        for _ in 0..100 {
            circuit.failed(now);
        }
        let rest = circuit.admit(now, PATIENCE).unwrap_err();
        assert_eq!(rest.until - now, BACK_OFF);
    }

    #[test]
    fn a_limited_upstream_is_left_alone_until_it_said() {
        let (circuit, now) = (Circuit::default(), Instant::now());
        circuit.limited(Duration::from_secs(60), now);
        // Neither a shorter word nor an answer that was under way ends it.
        circuit.limited(Duration::from_secs(1), now);
        circuit.answered();
        circuit.failed(now);
        circuit.failed(now);
        let rest = circuit.admit(now, PATIENCE).unwrap_err();
        assert_eq!(
            (rest.why, (rest.until - now).as_secs()),
            (Why::RateLimited, 60)
        );
        let later = now + Duration::from_secs(60);
        assert_eq!(circuit.admit(later, PATIENCE), Ok(()));
        assert_eq!(circuit.admit(later, PATIENCE), Ok(()));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_within_limits() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let read =
            |text: &'static str| retry_after(Some(&HeaderValue::from_static(text)), now).as_secs();
        assert_eq!(read("120"), 120);
        assert_eq!(read("Tue, 14 Nov 2023 22:14:20 GMT"), 60);
        // The past, a year, and nonsense.
        assert_eq!(read("Tue, 14 Nov 2000 22:14:20 GMT"), 1);
        assert_eq!(read("31536000"), 3600);
        assert_eq!(read("18446744073709551616"), 10);
        assert_eq!(read("soon"), 10);
        assert_eq!(retry_after(None, now).as_secs(), 10);
        assert_eq!(read("0"), 1);
    }
}
