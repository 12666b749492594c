//! Where containers' packets come from.

use std::fmt;
use std::str::FromStr;

/// Which interfaces a container's packets come in by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Interface {
    /// All but the host's own.
    Any,
    /// Every one of a kind, whatever its name: `kind:bridge`.
    Kind(String),
    /// One by its name, or with a `*` at its end every one that begins so.
    Name(String),
}

// === impl Interface ===

impl FromStr for Interface {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        if let Some(kind) = text.strip_prefix(KIND) {
            let is_word = !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_lowercase());
            return is_word
                .then(|| Self::Kind(kind.to_owned()))
                .ok_or_else(|| format!("`{text}` is no kind of interface, as `kind:bridge`"));
        }
        let name = text.strip_suffix('*').unwrap_or(text);
        // What ends up between quotes in the rules. The kernel takes more, and no program makes such names.
        let is_name = !name.is_empty()
            && name.len() <= NAME_LENGTH_MAX
            && name.bytes().all(|byte| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'@')
            });
        is_name.then(|| Self::Name(text.to_owned())).ok_or_else(|| {
            format!("`{text}` is no interface; `docker0`, `br-*`, `kind:bridge` or `*` is expected")
        })
    }
}

impl fmt::Display for Interface {
    /// As a rule matches it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => formatter.write_str(r#"iifname != "lo""#),
            Self::Kind(kind) => write!(formatter, r#"meta iifkind "{kind}""#),
            Self::Name(name) => write!(formatter, r#"iifname "{name}""#),
        }
    }
}

const KIND: &str = "kind:";
/// `IFNAMSIZ` without its null byte.
const NAME_LENGTH_MAX: usize = 15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_kinds_and_all_are_read() {
        let rule = |text: &str| text.parse::<Interface>().map(|read| read.to_string());
        assert_eq!(rule("*").unwrap(), r#"iifname != "lo""#);
        assert_eq!(rule("kind:bridge").unwrap(), r#"meta iifkind "bridge""#);
        assert_eq!(rule("docker0").unwrap(), r#"iifname "docker0""#);
        assert_eq!(rule("br-*").unwrap(), r#"iifname "br-*""#);
    }

    #[test]
    fn what_could_be_a_rule_is_no_name() {
        for text in [
            "",
            "kind:",
            "kind:a b",
            "**",
            "a b",
            "a\"",
            "a;b",
            "a\nb",
            "br-*x",
            "sixteen-letters-",
        ] {
            assert!(text.parse::<Interface>().is_err(), "{text}");
        }
    }
}
