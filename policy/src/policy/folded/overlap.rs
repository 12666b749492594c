//! What two patterns both cover.

use crate::scope::Glob;

/// What two patterns of repositories both cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overlap {
    /// Nothing.
    None,
    /// What the first covers.
    First,
    /// What the second covers.
    Second,
    /// Something that neither of them says.
    Cut,
}

// === impl Overlap ===

impl Overlap {
    /// Never wrong, and [`Self::Cut`] where it cannot tell.
    pub(super) fn of(first: &Glob, second: &Glob) -> Self {
        let (one, other) = (first.as_str(), second.as_str());
        if one == other || other == ALL {
            return Self::First;
        }
        if one == ALL {
            return Self::Second;
        }
        match (one.contains('*'), other.contains('*')) {
            (false, _) if second.covers(one) => Self::First,
            (_, false) if first.covers(other) => Self::Second,
            (false, _) | (_, false) => Self::None,
            (true, true) => Self::of_wildcards(one, other),
        }
    }

    fn of_wildcards(one: &str, other: &str) -> Self {
        let (head, other_head) = (literal(one), literal(other));
        if !head.starts_with(other_head) && !other_head.starts_with(head) {
            return Self::None;
        }
        // `acme/**` covers all that begins with `acme/`.
        let whole = |pattern: &str, head: &str| pattern.len() == head.len() + ALL.len();
        let below = |pattern: &str, head: &str| pattern.ends_with(ALL) && whole(pattern, head);
        if below(other, other_head) && head.starts_with(other_head) {
            Self::First
        } else if below(one, head) && other_head.starts_with(head) {
            Self::Second
        } else {
            Self::Cut
        }
    }
}

/// What stands before the first `*`.
fn literal(pattern: &str) -> &str {
    pattern.split('*').next().unwrap_or_default()
}

const ALL: &str = "**";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(one: &str, other: &str, expected: Overlap) {
        let glob = |text| Glob::parse(text).unwrap();
        assert_eq!(
            Overlap::of(&glob(one), &glob(other)),
            expected,
            "{one} {other}"
        );
    }

    #[test]
    fn the_narrower_of_two_patterns_is_what_both_cover() {
        check("acme/**", "**", Overlap::First);
        check("**", "acme/*", Overlap::Second);
        check("acme/app", "acme/**", Overlap::First);
        check("acme/**", "acme/a*", Overlap::Second);
        check("acme/a/**", "acme/**", Overlap::First);
    }

    #[test]
    fn patterns_that_share_nothing_are_told_apart() {
        check("acme/**", "acme-evil/**", Overlap::None);
        check("acme/app", "acme/ap", Overlap::None);
        check("acme/app", "other/*", Overlap::None);
    }

    #[test]
    fn what_no_pattern_says_is_not_guessed() {
        check("acme/*a", "acme/b*", Overlap::Cut);
        check("a*/x", "*b/x", Overlap::Cut);
    }
}
