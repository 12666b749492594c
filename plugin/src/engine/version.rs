//! `GET /version`: how new the engine is.

use serde::Deserialize;

/// The part of `GET /version` that says how new the engine is.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Version {
    api_version: String,
}

// === impl Version ===

impl Version {
    /// Whether it speaks HTTP/2 on its socket: since 29.2, whose API is 1.53. That of 29.0 is counted in. `None` if it cannot be
    /// told.
    pub(super) fn speaks_http2(&self) -> Option<bool> {
        let (major, minor) = self.api_version.split_once('.')?;
        let version: (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
        Some(version >= (1, 52))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_since_29_are_taken_to_speak_http2() {
        let of = |version: &str| {
            let api_version = version.to_owned();
            Version { api_version }.speaks_http2()
        };
        assert_eq!(of("1.41"), Some(false));
        assert_eq!(of("1.51"), Some(false));
        assert_eq!(of("1.52"), Some(true));
        assert_eq!(of("1.156"), Some(true));
        assert_eq!(of("2.0"), Some(true));
        assert_eq!(of(""), None);
    }
}
