//! What is never evicted: repositories by pattern, whole or by one tag.

use std::str::FromStr;

use ramgate_policy::{Registry, Repository};
use thiserror::Error;

/// A pattern of repositories, as in `docker.io/library/alpine`, `ghcr.io/acme/*`, `ghcr.io/acme/**` or `ghcr.io/acme/app:1.2`.
///
/// `*` stands for one component of a path and `**`, at the end, for one or more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    registry: Registry,
    components: Vec<String>,
    tag: Option<String>,
}

/// Why a text is no pin.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidPin {
    /// There is no registry in front.
    #[error("no registry stands in front, as in `docker.io/library/alpine`")]
    NoRegistry,
    /// A component is no part of a repository's name, nor a wildcard.
    #[error("`{0}` is no component of a repository's name, nor `*`, nor `**` at the end")]
    Component(String),
    /// The tag is none.
    #[error("`{0}` is no tag")]
    Tag(String),
}

// === impl Pin ===

impl Pin {
    /// Whether it is about this repository.
    #[must_use]
    pub fn covers(&self, repository: &Repository) -> bool {
        if self.registry != *repository.registry() {
            return false;
        }
        let mut path = repository.path().split('/');
        for component in &self.components {
            match (component.as_str(), path.next()) {
                ("**", Some(_)) => return true,
                ("*", Some(_)) => {}
                (literal, Some(found)) if literal == found => {}
                (_, Some(_) | None) => return false,
            }
        }
        path.next().is_none()
    }

    /// The one tag that it is about; without one it is about the whole repository.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }
}

impl FromStr for Pin {
    type Err = InvalidPin;

    fn from_str(text: &str) -> Result<Self, InvalidPin> {
        let (registry, rest) = text.split_once('/').ok_or(InvalidPin::NoRegistry)?;
        let registry = registry.parse().map_err(|_| InvalidPin::NoRegistry)?;
        let (path, tag) = match rest.split_once(':') {
            Some((path, tag)) => (path, Some(tag.to_owned())),
            None => (rest, None),
        };
        let is_tag = |tag: &str| {
            let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            (1..=128).contains(&tag.len())
                && tag.bytes().all(letter)
                && !tag.starts_with(['.', '-'])
        };
        if let Some(tag) = tag.as_deref().filter(|tag| !is_tag(tag)) {
            return Err(InvalidPin::Tag(tag.to_owned()));
        }
        let components: Vec<String> = path.split('/').map(ToOwned::to_owned).collect();
        for (index, component) in components.iter().enumerate() {
            let fits = match component.as_str() {
                "*" => true,
                "**" => index + 1 == components.len(),
                name => ramgate_policy::check_path(name).is_ok(),
            };
            if !fits {
                return Err(InvalidPin::Component(component.clone()));
            }
        }
        Ok(Self {
            registry,
            components,
            tag,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pin: &str, covered: &[&str], others: &[&str]) {
        let pin: Pin = pin.parse().unwrap();
        let repository = |text: &str| {
            let (registry, path) = text.split_once('/').unwrap();
            Repository::new(registry.parse().unwrap(), path).unwrap()
        };
        for text in covered {
            assert!(pin.covers(&repository(text)), "{pin:?} {text}");
        }
        for text in others {
            assert!(!pin.covers(&repository(text)), "{pin:?} {text}");
        }
    }

    #[test]
    fn a_pin_ends_at_a_component() {
        check(
            "ghcr.io/acme/app",
            &["ghcr.io/acme/app"],
            &[
                "ghcr.io/acme/app-x",
                "ghcr.io/acme/app/x",
                "quay.io/acme/app",
            ],
        );
        check(
            "ghcr.io/acme/*",
            &["ghcr.io/acme/app"],
            &["ghcr.io/acme/app/x", "ghcr.io/acme-evil/app"],
        );
        check(
            "ghcr.io/acme/**",
            &["ghcr.io/acme/app", "ghcr.io/acme/app/x"],
            &["ghcr.io/acme-evil/app", "ghcr.io/acme"],
        );
        check(
            "index.docker.io/library/alpine:3",
            &["docker.io/library/alpine"],
            &[],
        );
    }

    #[test]
    fn what_is_no_pin_is_refused() {
        for text in [
            "alpine",
            "ghcr.io/",
            "ghcr.io/**/x",
            "ghcr.io/a*",
            "ghcr.io/a:",
            "ghcr.io/../x",
        ] {
            assert!(text.parse::<Pin>().is_err(), "{text}");
        }
    }
}
