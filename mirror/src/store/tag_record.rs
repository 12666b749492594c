//! Where a tag pointed, and when its registry said so.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ramgate_policy::Digest;
use serde::{Deserialize, Serialize};

/// Where a tag pointed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TagRecord {
    digest: String,
    /// Seconds since 1970.
    checked: u64,
}

// === impl TagRecord ===

impl TagRecord {
    pub(crate) fn new(digest: &Digest, now: SystemTime) -> Self {
        let checked = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Self {
            digest: digest.to_string(),
            checked,
        }
    }

    pub(crate) fn digest(&self) -> Option<Digest> {
        self.digest.parse().ok()
    }

    /// How long ago the upstream said so. A time in the future counts as long ago: the clock was set back.
    pub(crate) fn age(&self, now: SystemTime) -> Duration {
        UNIX_EPOCH
            .checked_add(Duration::from_secs(self.checked))
            .and_then(|checked| now.duration_since(checked).ok())
            .unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_record_from_the_future_is_old_wherever_the_clock_jumps() {
        let digest = DIGEST.parse().unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let record = TagRecord::new(&digest, now);
        assert_eq!(record.age(now), Duration::ZERO);
        assert_eq!(
            record.age(now + Duration::from_secs(90)),
            Duration::from_secs(90)
        );
        assert_eq!(record.age(now - Duration::from_secs(1)), Duration::MAX);
        assert_eq!(record.age(UNIX_EPOCH), Duration::MAX);
        // A clock before 1970, and one so far off that no time can be told of it.
        assert_eq!(
            TagRecord::new(&digest, UNIX_EPOCH - Duration::from_secs(5)).checked,
            0
        );
        let far: TagRecord = serde_json::from_str(&format!(
            r#"{{"digest":"{DIGEST}","checked":{}}}"#,
            u64::MAX
        ))
        .unwrap();
        assert_eq!(far.age(now), Duration::MAX);
    }
}
