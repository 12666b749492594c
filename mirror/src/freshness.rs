//! For how long what is known of a tag counts, and for how long it may stand in while the upstream fails.
//!
//! Two clocks tell. This process's own cannot be set; the wall clock can, and is all there is for what an earlier process saw.

use std::time::{Duration, Instant, SystemTime};

use crate::store::TagRecord;

/// How long ago the upstream said where a tag points.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Age {
    /// By this process's clock, if this process asked.
    own: Option<Duration>,
    /// By the wall clock, if there is a record.
    wall: Option<Duration>,
}

// === impl Age ===

impl Age {
    pub(crate) fn new(
        checked: Option<Instant>,
        record: Option<&TagRecord>,
        now: SystemTime,
    ) -> Self {
        Self {
            own: checked.map(|checked| checked.elapsed()),
            wall: record.map(|record| record.age(now)),
        }
    }

    /// Whether the tag is taken to point where it did. Where this process asked, its clock decides: one that was set back would
    /// make an old record look new.
    pub(crate) fn is_fresh(self, ttl: Duration) -> bool {
        self.own.or(self.wall).is_some_and(|age| age < ttl)
    }

    /// Whether it may stand in for an upstream that fails. Either clock may say so: one that was set would otherwise stop pulls
    /// during an outage.
    pub(crate) fn may_stand_in(self, limit: Duration) -> bool {
        let youngest = self.own.into_iter().chain(self.wall).min();
        youngest.is_some_and(|age| age < limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(60);
    const LIMIT: Duration = Duration::from_hours(24);

    fn age(own: Option<u64>, wall: Option<u64>) -> Age {
        Age {
            own: own.map(Duration::from_secs),
            wall: wall.map(Duration::from_secs),
        }
    }

    #[test]
    fn a_clock_that_is_set_back_makes_nothing_new() {
        assert!(!age(Some(3_600), Some(5)).is_fresh(TTL));
        assert!(age(Some(5), Some(3_600)).is_fresh(TTL));
        assert!(age(None, Some(5)).is_fresh(TTL));
        assert!(!age(None, None).is_fresh(TTL));
    }

    #[test]
    fn a_clock_that_jumps_ahead_stops_no_pull_during_an_outage() {
        assert!(age(Some(3_600), Some(31_536_000)).may_stand_in(LIMIT));
        assert!(age(None, Some(3_600)).may_stand_in(LIMIT));
        assert!(!age(None, Some(31_536_000)).may_stand_in(LIMIT));
        assert!(!age(Some(100_000), Some(u64::MAX)).may_stand_in(LIMIT));
        assert!(!age(None, None).may_stand_in(LIMIT));
    }

    #[test]
    fn a_record_from_the_future_counts_as_old() {
        let digest = format!("sha256:{}", "a".repeat(64)).parse().unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let record = TagRecord::new(&digest, now + Duration::from_secs(60));
        let age = Age::new(None, Some(&record), now);
        assert!(!age.is_fresh(TTL));
        assert!(!age.may_stand_in(LIMIT));
    }
}
