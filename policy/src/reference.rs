//! References exactly as dockerd reads them.
//!
//! A reference is `[host[:port]/]path[:tag][@digest]`. The *familiar* form leaves out `docker.io/` and `library/`; the
//! *canonical* form has them. Source: distribution/reference `normalize.go` and `regexp.go`, the only parser in dockerd.
//!
//! What is accepted here, dockerd reads in the same way; nothing is accepted that it refuses. Two kinds of names are
//! refused although dockerd takes them, because not every version or part of it reads them alike:
//!
//! - names over 255 bytes, registry included: since 27.0 (distribution/reference 0.6) only the path is counted;
//! - names whose first part has both a dot and an underscore, `my_host.example/app`: dockerd's parser takes all of it
//!   for the path and finds no registry, its containerd image store dials that part.
//!
//! Hosts with capitals and neither dot nor port (`Registry/app`), and hosts in brackets, are refused by dockerd before
//! 25.0 and read as here since. A port over 65535 or brackets without an address pass the grammar; they fail in
//! [`Reference::repository`]. Judged is always the [`Repository`], never the text.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::digest::{Digest, InvalidDigest};
use crate::host::{DOCKER_HUB, InvalidHost, Registry};
use crate::repository::Repository;

/// A named reference in canonical form, the host spelled as it was given.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// What a text names where dockerd takes an image: a reference, or the image by its ID.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ImageName {
    /// A reference that can mean nothing else.
    Reference(Reference),
    /// A whole digest, or 64 hexadecimal digits, which stand for one of SHA-256: the image by its ID and nothing else.
    Id(Digest),
    /// Up to 63 hexadecimal digits, bare or after `sha256:`: to dockerd a name first and the start of an image ID next.
    Ambiguous(String),
}

/// Why a text is no reference.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidReference {
    /// There is nothing.
    #[error("the reference is empty")]
    Empty,
    /// 64 hexadecimal digits, which would be mistaken for an image ID.
    #[error("a reference cannot be 64 hexadecimal digits, which is the form of an image ID")]
    ImageId,
    /// The path has an upper-case letter.
    #[error("the repository path must be lower-case")]
    Uppercase,
    /// It does not follow the grammar.
    #[error("invalid reference format")]
    Format,
    /// The name, registry and path, is over 255 characters.
    #[error("the repository name is longer than 255 characters")]
    Length,
    /// The digest is not one.
    #[error("{0}")]
    Digest(#[from] InvalidDigest),
    /// The host or port cannot be dialled.
    #[error("{0}")]
    Host(#[from] InvalidHost),
}

// === impl Reference ===

impl Reference {
    /// The repository as judged.
    ///
    /// # Errors
    /// [`InvalidReference::Host`] where the grammar took a host or port that names no server, such as port 99999.
    pub fn repository(&self) -> Result<Repository, InvalidReference> {
        Repository::new(self.domain.parse::<Registry>()?, &self.path)
    }

    /// The host and port as they were written, or `docker.io`.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The path below the domain, with `library/` where dockerd puts it.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag, if one was written.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if one was written.
    #[must_use]
    pub const fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The short form, as the docker command line shows it, where it is read back as this reference; the canonical form
    /// where it is not: `docker.io/example.com/app` is not the `example.com/app` that docker shows.
    #[must_use]
    pub fn familiar(&self) -> String {
        let familiar = self.with_suffix(self.familiar_name());
        match familiar.parse::<Self>() {
            Ok(read) if read == *self => familiar,
            Ok(_) | Err(_) => self.to_string(),
        }
    }

    /// dockerd's `familiarizeName`.
    fn familiar_name(&self) -> String {
        if self.domain != DOCKER_HUB {
            return format!("{}/{}", self.domain, self.path);
        }
        match self.path.strip_prefix(OFFICIAL_PREFIX) {
            Some(rest) if !rest.contains('/') => rest.to_owned(),
            Some(_) | None => self.path.clone(),
        }
    }

    fn with_suffix(&self, mut name: String) -> String {
        if let Some(tag) = &self.tag {
            name.push(':');
            name.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            name.push('@');
            name.push_str(digest.as_str());
        }
        name
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    /// dockerd's `ParseNormalizedNamed`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(InvalidReference::Empty);
        }
        if is_hexadecimal(text) && text.len() == IMAGE_ID_LENGTH {
            return Err(InvalidReference::ImageId);
        }
        let (domain, remainder) = split_domain(text);
        // The rest after a colon may be a tag, which may have capitals.
        let before_tag = remainder.split(':').next().unwrap_or_default();
        if before_tag.chars().any(has_lower_case) {
            return Err(InvalidReference::Uppercase);
        }
        let (name_and_tag, digest) = match remainder.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (remainder.as_str(), None),
        };
        let (path, tag) = match name_and_tag.split_once(':') {
            Some((path, tag)) if is_tag(tag) => (path, Some(tag.to_owned())),
            Some(_) => return Err(InvalidReference::Format),
            None => (name_and_tag, None),
        };
        check_path(path)?;
        check_domain(domain)?;
        // The strict reading of the limit, which holds in every version.
        if domain.len() + 1 + path.len() > NAME_LENGTH_MAX {
            return Err(InvalidReference::Length);
        }
        let digest = digest.map(str::parse::<Digest>).transpose()?;
        Ok(Self {
            domain: domain.to_owned(),
            path: path.to_owned(),
            tag,
            digest,
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.with_suffix(format!("{}/{}", self.domain, self.path)))
    }
}

// === impl ImageName ===

impl FromStr for ImageName {
    type Err = InvalidReference;

    /// dockerd's reading of an image in `containers/create` (`ParseAnyReference`, then the search of the image store):
    /// 64 digits or a whole digest, then a name, then the start of an ID.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(id) = text.parse::<Digest>() {
            return Ok(Self::Id(id));
        }
        let bare = text.strip_prefix("sha256:").unwrap_or(text);
        if bare.is_empty() || bare.len() > IMAGE_ID_LENGTH || !is_hexadecimal(bare) {
            return text.parse().map(Self::Reference);
        }
        match format!("sha256:{bare}").parse::<Digest>() {
            Ok(id) => Ok(Self::Id(id)),
            Err(_) => Ok(Self::Ambiguous(text.to_owned())),
        }
    }
}

/// Checks that `path` follows the grammar of repository paths.
///
/// # Errors
/// [`InvalidReference`] when it does not.
pub fn check_path(path: &str) -> Result<(), InvalidReference> {
    if !path.split('/').all(is_path_component) {
        return Err(InvalidReference::Format);
    }
    if path.len() > NAME_LENGTH_MAX {
        return Err(InvalidReference::Length);
    }
    Ok(())
}

/// Checks that `domain` follows the grammar of `host[:port]`.
///
/// Go takes a first part that is no host for a part of the path if it has the form of one, and leaves the registry
/// empty. Such a part has a dot and an underscore; it is refused, as who dials what then depends on the image store.
fn check_domain(domain: &str) -> Result<(), InvalidReference> {
    if is_domain(domain) {
        return Ok(());
    }
    // `Acme_Corp/app`: capitals made it a host, and in lower case it would be a path.
    let lower_case = domain.to_ascii_lowercase();
    if lower_case != domain && is_path_component(&lower_case) {
        Err(InvalidReference::Uppercase)
    } else {
        Err(InvalidReference::Format)
    }
}

/// dockerd's `splitDockerDomain`: what stands before the first slash is a host if it looks like one.
fn split_domain(text: &str) -> (&str, String) {
    let (domain, remainder) = match text.split_once('/') {
        Some(("index.docker.io", rest)) => (DOCKER_HUB, rest),
        Some((first, rest)) if looks_like_host(first) => (first, rest),
        Some(_) | None => (DOCKER_HUB, text),
    };
    if domain == DOCKER_HUB && !remainder.contains('/') {
        return (domain, format!("{OFFICIAL_PREFIX}{remainder}"));
    }
    (domain, remainder.to_owned())
}

fn looks_like_host(first: &str) -> bool {
    // Capitals are never part of a path, so Go takes the word for a host.
    first == "localhost" || first.contains(['.', ':']) || first.chars().any(has_lower_case)
}

/// Whether Go's `strings.ToLower` changes the letter; Unicode's capitals are more and fewer than those.
fn has_lower_case(letter: char) -> bool {
    !letter.to_lowercase().eq([letter])
}

/// `domain-name | [IPv6]`, with an optional port of any number of digits.
fn is_domain(text: &str) -> bool {
    let (host, port) = match text
        .strip_prefix('[')
        .and_then(|inner| inner.split_once(']'))
    {
        Some((address, rest)) => {
            if address.is_empty()
                || !address
                    .bytes()
                    .all(|byte| byte.is_ascii_hexdigit() || byte == b':')
            {
                return false;
            }
            (None, rest)
        }
        None => match text
            .find(':')
            .and_then(|colon| text.split_at_checked(colon))
        {
            Some((host, port)) => (Some(host), port),
            None => (Some(text), ""),
        },
    };
    let good_host = host.is_none_or(|name| name.split('.').all(is_domain_component));
    let good_port = port.is_empty()
        || port.strip_prefix(':').is_some_and(|digits| {
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        });
    good_host && good_port
}

fn is_domain_component(label: &str) -> bool {
    let inner = label
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    inner && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
}

/// `[a-z0-9]+` joined by one of: a dot, one or two underscores, any number of dashes.
fn is_path_component(component: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let (Some(first), Some(last)) = (component.bytes().next(), component.bytes().last()) else {
        return false;
    };
    let separators =
        component.split(|letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit());
    alphanumeric(first)
        && alphanumeric(last)
        && separators.into_iter().all(|between| {
            matches!(between, "" | "." | "_" | "__") || between.bytes().all(|byte| byte == b'-')
        })
}

/// `[A-Za-z0-9_]` and up to 127 of `[A-Za-z0-9_.-]`.
fn is_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= TAG_LENGTH_MAX
        && tag.bytes().next().is_some_and(word)
        && tag
            .bytes()
            .all(|byte| word(byte) || matches!(byte, b'.' | b'-'))
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

const OFFICIAL_PREFIX: &str = "library/";
/// SHA-256 in hexadecimal digits.
const IMAGE_ID_LENGTH: usize = 64;
/// distribution/reference `reference.go`, `NameTotalLengthMax`, since 0.6 `RepositoryNameTotalLengthMax`.
const NAME_LENGTH_MAX: usize = 255;
/// distribution/reference `regexp.go`, tag: one character and 127 more.
const TAG_LENGTH_MAX: usize = 128;
