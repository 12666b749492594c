//! What is known of a namespace of Docker Hub when a decision is made, and what is not.
//!
//! Only Docker Hub knows whose namespaces are verified publishers' and sponsored projects'. The policy asks nobody: whoever
//! asks it says what is known, and may look at what was wanted.

use std::fmt;

use crate::category::Category;

/// What is known of a namespace's category.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Docker Hub, or a bundle that an administrator trusts, says so.
    Is(Category),
    /// Nobody says. It counts as community.
    Unknown(Doubt),
}

/// Why a category is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Doubt {
    /// Docker Hub was not asked: there is no catalogue, or it is kept offline.
    NotAsked,
    /// It cannot be reached.
    Unreachable,
    /// It limits the rate.
    Limited,
    /// Its answer is none.
    Unreadable,
    /// It has not answered in time.
    Slow,
}

/// What is known of namespaces. An evaluation asks only for those that bear on it.
pub trait Categories {
    /// What is known of a namespace other than `library`.
    fn standing(&self, namespace: &str) -> Standing;
}

/// Nothing is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct NothingKnown;

// === impl Standing ===

impl Standing {
    /// The category that counts.
    #[must_use]
    pub const fn category(self) -> Category {
        match self {
            Self::Is(category) => category,
            Self::Unknown(_) => Category::Community,
        }
    }

    /// Why it is not known.
    #[must_use]
    pub const fn doubt(self) -> Option<Doubt> {
        match self {
            Self::Is(_) => None,
            Self::Unknown(doubt) => Some(doubt),
        }
    }
}

// === impl Doubt ===

impl Doubt {
    /// The word for logs and metrics.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotAsked => "not-asked",
            Self::Unreachable => "unreachable",
            Self::Limited => "limited",
            Self::Unreadable => "unreadable",
            Self::Slow => "slow",
        }
    }
}

impl fmt::Display for Doubt {
    /// To be read behind `whether … is a verified publisher is not known: `.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NotAsked => "Docker Hub was not asked",
            Self::Unreachable => "Docker Hub could not be asked",
            Self::Limited => "Docker Hub limits the rate of questions",
            Self::Unreadable => "Docker Hub's answer cannot be read",
            Self::Slow => "Docker Hub has not answered in time; try again",
        })
    }
}

// === impl NothingKnown ===

impl Categories for NothingKnown {
    fn standing(&self, _: &str) -> Standing {
        Standing::Unknown(Doubt::NotAsked)
    }
}

impl<C: Categories + ?Sized> Categories for &C {
    fn standing(&self, namespace: &str) -> Standing {
        (**self).standing(namespace)
    }
}
