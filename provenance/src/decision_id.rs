//! What ties the text that a user reads to a line of the audit log.

use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The ID of a decision: eight hexadecimal digits, short enough to be read out over the telephone.
///
/// In one process no two are alike among four thousand million. They say nothing and secure nothing: they are for looking up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DecisionId(u32);

// === impl DecisionId ===

impl DecisionId {
    /// A new one.
    #[must_use]
    pub fn new() -> Self {
        static NEXT: OnceLock<AtomicU32> = OnceLock::new();
        // The system's randomness, so that two runs of the program rarely begin alike.
        let next = NEXT.get_or_init(|| {
            let word = RandomState::new().build_hasher().finish();
            AtomicU32::new(u32::try_from(word >> 32).unwrap_or_default())
        });
        Self(scattered(next.fetch_add(1, Ordering::Relaxed)))
    }
}

impl Default for DecisionId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for DecisionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:08x}", self.0)
    }
}

/// Neighbours far apart, so that a digit misread is no other decision. Each step can be undone, so no two numbers meet.
const fn scattered(number: u32) -> u32 {
    let number = number.wrapping_mul(ODD);
    let number = number ^ (number >> 16);
    number.wrapping_mul(ODD)
}

/// 2³² by the golden ratio, made odd (Knuth, vol. 3, 6.4).
const ODD: u32 = 0x9E37_79B1;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_decisions_have_the_same_id() {
        let threads = (0..4).map(|_| {
            std::thread::spawn(|| (0..10_000).map(|_| DecisionId::new()).collect::<Vec<_>>())
        });
        let threads: Vec<_> = threads.collect();
        let ids: HashSet<DecisionId> = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        assert_eq!(ids.len(), 40_000);
        assert!(ids.iter().all(|id| id.to_string().len() == 8));
    }
}
