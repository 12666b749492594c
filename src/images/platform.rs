//! Which of an index's images are meant.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Which platforms are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Platforms {
    /// All that there are, and what is of none, such as attestations.
    All,
    /// These.
    These(Vec<Platform>),
}

/// A platform as an index has it; source: OCI image-spec `image-index.md`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Platform {
    pub(crate) os: String,
    pub(crate) architecture: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) variant: Option<String>,
}

// === impl Platforms ===

impl Platforms {
    /// What the command line says; this host's own if it says nothing.
    pub(crate) fn read(texts: &[String]) -> Result<Self, String> {
        if texts.is_empty() {
            return Ok(Self::These(vec![Platform::own()]));
        }
        if texts.iter().any(|text| text == "all") {
            return Ok(Self::All);
        }
        let these: Result<_, _> = texts.iter().map(|text| text.parse()).collect();
        these.map(Self::These)
    }

    /// Whether an entry of an index with this platform is wanted.
    pub(crate) fn want(&self, platform: Option<&Platform>) -> bool {
        match (self, platform) {
            (Self::All, _) => true,
            // An index in an index, or an entry that does not say: its content will.
            (Self::These(_), None) => true,
            (Self::These(these), Some(platform)) => these.iter().any(|wanted| wanted.is(platform)),
        }
    }
}

// === impl Platform ===

impl Platform {
    fn own() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Self {
            os: "linux".to_owned(),
            architecture: architecture.to_owned(),
            variant: None,
        }
    }

    fn is(&self, other: &Self) -> bool {
        let variant = self.variant.is_none() || self.variant == other.variant;
        self.os == other.os && self.architecture == other.architecture && variant
    }
}

impl FromStr for Platform {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("`{text}` is no platform; `linux/amd64`, `linux/arm/v7` or `all` is expected")
        };
        let mut parts = text.split('/').map(str::to_owned);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(os), Some(architecture), variant, None)
                if !os.is_empty() && !architecture.is_empty() =>
            {
                Ok(Self {
                    os,
                    architecture,
                    variant,
                })
            }
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_wanted_by_what_was_said_of_them() {
        let read = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            Platforms::read(&texts)
        };
        let arm7: Platform = "linux/arm/v7".parse().unwrap();
        let amd64: Platform = "linux/amd64".parse().unwrap();
        assert!(read(&["linux/arm"]).unwrap().want(Some(&arm7)));
        assert!(!read(&["linux/arm/v6"]).unwrap().want(Some(&arm7)));
        assert!(!read(&["linux/arm/v7"]).unwrap().want(Some(&amd64)));
        assert!(
            read(&["linux/arm/v7", "linux/amd64"])
                .unwrap()
                .want(Some(&amd64))
        );
        assert!(read(&["all"]).unwrap().want(Some(&arm7)));
        assert!(read(&["linux/arm"]).unwrap().want(None));
        for wrong in ["linux", "linux/", "/amd64", "a/b/c/d", ""] {
            assert!(read(&[wrong]).is_err(), "{wrong}");
        }
    }
}
