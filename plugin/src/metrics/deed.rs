//! What a request does with images, in one word: for logs and as a label.

use ramgate_policy::{Action, LocalImage};

/// What a request does with images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Deed {
    /// What is neither done with a repository nor makes an image, and what could not be read.
    #[default]
    Other,
    Build,
    Builder,
    Commit,
    Import,
    Load,
    Pull,
    Push,
    Run,
    Tag,
    Unknown,
}

// === impl Deed ===

impl Deed {
    pub(super) const ALL: [Self; 11] = [
        Self::Other,
        Self::Build,
        Self::Builder,
        Self::Commit,
        Self::Import,
        Self::Load,
        Self::Pull,
        Self::Push,
        Self::Run,
        Self::Tag,
        Self::Unknown,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Other => "other",
            Self::Build => "build",
            Self::Builder => "builder",
            Self::Commit => "commit",
            Self::Import => "import",
            Self::Load => "load",
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Run => "run",
            Self::Tag => "tag",
            Self::Unknown => "unknown",
        }
    }

    /// The word in the audit log, which has none where nothing was done.
    pub(crate) fn logged(self) -> Option<&'static str> {
        (self != Self::Other).then(|| self.as_str())
    }
}

impl From<Action> for Deed {
    fn from(action: Action) -> Self {
        match action {
            Action::Pull => Self::Pull,
            Action::Push => Self::Push,
            Action::Run => Self::Run,
        }
    }
}

impl From<LocalImage> for Deed {
    fn from(kind: LocalImage) -> Self {
        match kind {
            LocalImage::Build => Self::Build,
            LocalImage::Builder => Self::Builder,
            LocalImage::Commit => Self::Commit,
            LocalImage::Import => Self::Import,
            LocalImage::Load => Self::Load,
            LocalImage::Tag => Self::Tag,
            LocalImage::Unknown => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_deed_stands_where_its_number_says() {
        for (place, deed) in Deed::ALL.into_iter().enumerate() {
            assert_eq!(deed as usize, place, "{deed:?}");
        }
        for kind in [LocalImage::Build, LocalImage::Builder, LocalImage::Unknown] {
            assert_eq!(Deed::from(kind).as_str(), kind.key());
        }
        assert_eq!(Deed::from(Action::Push).logged(), Some("push"));
        assert_eq!(Deed::default().logged(), None);
    }
}
