//! What an upstream says of its rate limit: Docker Hub's `ratelimit-limit` and `ratelimit-remaining`, as in `100;w=21600`.
//!
//! Source: docker/docs `content/manuals/docker-hub/usage/pulls.md`.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ramgate_policy::Registry;
use reqwest::header::HeaderMap;

use crate::metrics::Metrics;

/// The rate limit of a registry as it was last told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Pulls in a window.
    pub limit: u64,
    /// Pulls that are left.
    pub remaining: u64,
    /// The window, if it was told.
    pub window: Option<Duration>,
}

/// The rate limits of all registries that have told one.
#[derive(Debug)]
pub(crate) struct Rates {
    metrics: Metrics,
    by_registry: Mutex<BTreeMap<Registry, Rate>>,
}

// === impl Rate ===

impl Rate {
    /// Reads the headers of an answer.
    pub(crate) fn read(headers: &HeaderMap) -> Option<Self> {
        let text = |name: &str| headers.get(name)?.to_str().ok();
        let (limit, window) = quantity(text("ratelimit-limit")?)?;
        let (remaining, _) = quantity(text("ratelimit-remaining")?)?;
        Some(Self {
            limit,
            remaining,
            window,
        })
    }
}

/// Reads `100;w=21600`.
fn quantity(text: &str) -> Option<(u64, Option<Duration>)> {
    let mut parts = text.split(';').map(str::trim);
    let number = parts.next()?.parse().ok()?;
    let window = parts
        .find_map(|part| part.strip_prefix("w="))
        .and_then(|seconds| seconds.parse().ok())
        .map(Duration::from_secs);
    Some((number, window))
}

// === impl Rates ===

impl Rates {
    pub(crate) const fn new(metrics: Metrics) -> Self {
        Self {
            metrics,
            by_registry: Mutex::new(BTreeMap::new()),
        }
    }

    pub(crate) fn note(&self, registry: &Registry, headers: &HeaderMap) {
        let Some(rate) = Rate::read(headers) else {
            return;
        };
        let mut rates = self
            .by_registry
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if rates.len() >= REGISTRIES_MAX && !rates.contains_key(registry) {
            return;
        }
        if rate.remaining == 0 {
            tracing::warn!(%registry, limit = rate.limit, "the upstream's rate limit is used up");
        }
        self.metrics
            .rate(registry.to_string(), rate.limit, rate.remaining);
        rates.insert(registry.clone(), rate);
    }

    pub(crate) fn all(&self) -> BTreeMap<Registry, Rate> {
        self.by_registry
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Each is a line in the metrics.
const REGISTRIES_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_hubs_headers_are_read() {
        let read = |limit: &'static str, remaining: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("ratelimit-limit", limit.parse().unwrap());
            headers.insert("ratelimit-remaining", remaining.parse().unwrap());
            Rate::read(&headers)
        };
        assert_eq!(
            read("100;w=21600", "76;w=21600"),
            Some(Rate {
                limit: 100,
                remaining: 76,
                window: Some(Duration::from_hours(6)),
            })
        );
        assert_eq!(
            read("100", "0"),
            Some(Rate {
                limit: 100,
                remaining: 0,
                window: None,
            })
        );
        assert_eq!(read("many", "76"), None);
        assert_eq!(read("-1", "76"), None);
        assert_eq!(Rate::read(&HeaderMap::new()), None);
    }
}
