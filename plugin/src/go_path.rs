//! The request target as dockerd's router reads it.
//!
//! gorilla/mux matches the *decoded* path, once decoded; it redirects unclean paths before any handler. Here a target is
//! either read as dockerd will read it, or refused: what no client sends is not worth imitating.

use std::borrow::Cow;

use crate::unreadable::Unreadable;

/// A request target, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    /// The decoded path. Most are written without an escape.
    decoded: Cow<'a, str>,
    /// How much of it is `/v1.44`; nothing if there is no version.
    versioned: usize,
    /// The query as it stands, without `?`.
    pub(crate) query: &'a str,
}

// === impl Target ===

impl<'a> Target<'a> {
    pub(crate) fn parse(uri: &'a str) -> Result<Self, Unreadable> {
        if !uri.starts_with('/') {
            return Err(Unreadable::TargetForm);
        }
        if uri.contains('#') {
            return Err(Unreadable::Fragment);
        }
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let path = decode_path(path)?;
        let components = path.get(1..).unwrap_or_default().split('/');
        let first = components.clone().next().unwrap_or_default();
        // A version is one only in front of something.
        let version = first
            .strip_prefix('v')
            .filter(|rest| rest.starts_with(|next: char| next == '.' || next.is_ascii_digit()))
            .filter(|_| path.len() > 1 + first.len());
        let versioned = version.map_or(0, |_| 1 + first.len());
        let below = path.get(versioned..).unwrap_or_default();
        let counted = components.clone().count() - usize::from(SLASHED.contains(&below));
        let unclean = |component: &str| matches!(component, "" | "." | "..");
        if path.len() > 1 && components.take(counted).any(unclean) {
            return Err(Unreadable::PathUnclean);
        }
        if version.is_some_and(|version| !is_version(version)) {
            return Err(Unreadable::Version);
        }
        Ok(Self {
            versioned,
            decoded: path,
            query,
        })
    }

    /// `1.44` of `/v1.44/…`.
    pub(crate) fn version(&self) -> Option<&str> {
        self.decoded.get("/v".len()..self.versioned)
    }

    /// The decoded path below the version, with its leading slash.
    pub(crate) fn path(&self) -> &str {
        self.decoded.get(self.versioned..).unwrap_or_default()
    }
}

/// `1.44`: two numbers without leading zeros.
fn is_version(text: &str) -> bool {
    let number = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_digit())
            && (part.len() == 1 || !part.starts_with('0'))
    };
    text.split_once('.')
        .is_some_and(|(major, minor)| number(major) && number(minor))
}

/// Decodes once. Escapes of letters, digits, dots, dashes and underscores serve only to hide what they stand for.
fn decode_path(path: &str) -> Result<Cow<'_, str>, Unreadable> {
    if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Unreadable::PathUnclean);
    }
    if !path.contains('%') {
        return Ok(Cow::Borrowed(path));
    }
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let decoded = rest
            .next()
            .zip(rest.next())
            .and_then(|(high, low)| hexadecimal(high, low))
            .ok_or(Unreadable::PathEscape)?;
        if decoded.is_ascii_alphanumeric()
            || matches!(decoded, b'.' | b'-' | b'_' | b'~')
            || decoded.is_ascii_control()
        {
            return Err(Unreadable::PathEscape);
        }
        bytes.push(decoded);
    }
    let decoded = String::from_utf8(bytes).map_err(|_| Unreadable::PathEscape)?;
    Ok(Cow::Owned(decoded))
}

/// The two routes that end in a slash. On all others, dockerd redirects or finds nothing.
const SLASHED: [&str; 2] = ["/networks/", "/debug/pprof/"];

/// The byte of two hexadecimal digits.
pub(crate) fn hexadecimal(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(uri: &str, expected: Result<(Option<&str>, &str), Unreadable>) {
        let target = Target::parse(uri);
        match (&target, expected) {
            (Ok(target), Ok(expected)) => {
                assert_eq!((target.version(), target.path()), expected, "{uri}");
            }
            (_, expected) => assert_eq!(target.err(), expected.err(), "{uri}"),
        }
    }

    #[test]
    fn the_version_is_taken_off_and_names_are_decoded() {
        check(
            "/v1.41/containers/json?all=1",
            Ok((Some("1.41"), "/containers/json")),
        );
        check("/_ping", Ok((None, "/_ping")));
        check("/version", Ok((None, "/version")));
        check("/volumes", Ok((None, "/volumes")));
        check(
            "/v1.45/images/registry:5000/acme/app/push",
            Ok((Some("1.45"), "/images/registry:5000/acme/app/push")),
        );
        check(
            "/v1.45/images/ghcr.io%2Facme%2Fapp/push",
            Ok((Some("1.45"), "/images/ghcr.io/acme/app/push")),
        );
        check(
            "/v1.45/images/a%40sha256%3Aabc/tag",
            Ok((Some("1.45"), "/images/a@sha256:abc/tag")),
        );
        check("/", Ok((None, "/")));
        check("/v1.45", Ok((None, "/v1.45")));
        check("/networks/", Ok((None, "/networks/")));
        check("/v1.45/debug/pprof/", Ok((Some("1.45"), "/debug/pprof/")));
    }

    #[test]
    fn targets_that_hide_something_are_refused() {
        check("http://x/v1.44/images/create", Err(Unreadable::TargetForm));
        check("*", Err(Unreadable::TargetForm));
        check("", Err(Unreadable::TargetForm));
        check("/services/create?#%zz", Err(Unreadable::Fragment));
        check("/v1.44/%63ontainers/create", Err(Unreadable::PathEscape));
        check("/v1.44/images/cr%65ate", Err(Unreadable::PathEscape));
        check("/%761%2e44/images/create", Err(Unreadable::PathEscape));
        check("/images/a%2e%2e/tag", Err(Unreadable::PathEscape));
        check("/images/%00/tag", Err(Unreadable::PathEscape));
        check("/images/%zz/tag", Err(Unreadable::PathEscape));
        check("/images/%2", Err(Unreadable::PathEscape));
        check("/images/%ff/tag", Err(Unreadable::PathEscape));
        check("//containers/create", Err(Unreadable::PathUnclean));
        check("/containers//start", Err(Unreadable::PathUnclean));
        check("/images/a%2F%2Fb/tag", Err(Unreadable::PathUnclean));
        check("/v1.44/../containers/create", Err(Unreadable::PathUnclean));
        check("/containers/create/", Err(Unreadable::PathUnclean));
        check("/images/networks/", Err(Unreadable::PathUnclean));
        check("/networks//", Err(Unreadable::PathUnclean));
        check("/v1.44//networks/", Err(Unreadable::PathUnclean));
        check("/containers/ä/start", Err(Unreadable::PathUnclean));
        check("/v1.044/images/create", Err(Unreadable::Version));
        check("/v1.44.9/images/create", Err(Unreadable::Version));
        check("/v.1.44/images/create", Err(Unreadable::Version));
        check("/v1/images/create", Err(Unreadable::Version));
        check("/v1x/images/create", Err(Unreadable::Version));
    }
}
