//! What is known of one namespace.

use ramgate_policy::Category;
use serde::{Deserialize, Serialize};

/// What is known of one namespace, since when, and until when it is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Entry {
    /// Its category; community also where there is no such organization.
    pub category: Category,
    /// When Docker Hub said so, in seconds since 1970.
    pub checked: u64,
    /// Until when it is believed.
    pub expires: u64,
    /// Who said so.
    pub source: Source,
}

/// Who says what a namespace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Docker Hub, to us.
    DockerHub,
    /// A signed bundle.
    Bundle,
}

/// How far an entry is to be believed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    /// It is.
    Fresh,
    /// For the moment, while Docker Hub is asked.
    Stale,
    /// No longer.
    Expired,
}

// === impl Entry ===

impl Entry {
    /// `stale` seconds beyond its expiry, what Docker Hub said is used while it is asked again. A bundle ends when it says.
    pub(crate) fn age(&self, now: u64, stale: u64) -> Age {
        // A clock that was set back must not make an answer last for ever.
        let ahead = self.checked > now.saturating_add(CLOCK_TOLERANCE);
        let grace = match self.source {
            Source::DockerHub => stale,
            Source::Bundle => 0,
        };
        if !ahead && now < self.expires {
            Age::Fresh
        } else if !ahead && now < self.expires.saturating_add(grace) {
            Age::Stale
        } else {
            Age::Expired
        }
    }
}

// === impl Source ===

impl Source {
    /// In words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DockerHub => "Docker Hub",
            Self::Bundle => "a bundle",
        }
    }
}

/// As far as clocks of machines differ that are looked after.
const CLOCK_TOLERANCE: u64 = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_fresh_then_stale_then_expired() {
        let mut entry = Entry {
            category: Category::VerifiedPublisher,
            checked: 10_000,
            expires: 10_100,
            source: Source::DockerHub,
        };
        let age = |entry: &Entry, now| entry.age(now, 50);
        assert_eq!(age(&entry, 10_000), Age::Fresh);
        assert_eq!(age(&entry, 10_099), Age::Fresh);
        assert_eq!(age(&entry, 10_100), Age::Stale);
        assert_eq!(age(&entry, 10_150), Age::Expired);
        assert_eq!(age(&entry, 9_000), Age::Expired, "from the future");
        entry.source = Source::Bundle;
        assert_eq!(age(&entry, 10_100), Age::Expired);
    }
}
