//! What a request to the mirror names: pure, and closed to everything that could be read two ways.
//!
//! | form | registry |
//! |---|---|
//! | `/v2/<repository>/…?ns=<registry>` | `ns`: containerd, BuildKit, dockerd through `hosts.toml` |
//! | `/v2/<registry>/<repository>/…` | the first component, if it looks like a host |
//! | `/v2/<repository>/…` | Docker Hub: `registry-mirrors` |
//!
//! `ns` is a key to look up, never a host to dial: what is not allowed by the policy is never an upstream.

use ramgate_policy::{Digest, InvalidDigest, InvalidHost, InvalidReference, Registry, Repository};
use thiserror::Error;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// `/v2/`: is this a registry?
    Base,
    /// A manifest.
    Manifest(Repository, Pointer),
    /// A blob.
    Blob(Repository, Digest),
    /// The list of a repository's tags.
    Tags(Repository),
    /// What refers to a manifest.
    Referrers(Repository, Digest),
    /// Something of a repository that this mirror does not serve: uploads.
    Other(Repository),
}

/// What kind of thing is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Base,
    Manifest,
    Blob,
    Tags,
    Referrers,
    Other,
}

/// How a manifest is named.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Pointer {
    /// By a tag, which may move.
    Tag(String),
    /// By its digest.
    Digest(Digest),
}

/// Why a request names nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum InvalidPath {
    /// It is not below `/v2/`.
    #[error("the path is not one of a registry: it does not begin with `/v2/`")]
    NoRegistryPath,
    /// It has an escape, an empty component or dots.
    #[error("the path has an escape, an empty component or dots")]
    Unclean,
    /// It asks for the list of all repositories.
    #[error("this mirror has no catalog: which repositories there are, only their registries know")]
    Catalog,
    /// It names no manifest, blob, tag list or referrer.
    #[error("the path names no manifest and no blob")]
    Unknown,
    /// The repository is none.
    #[error("the repository is none: {0}")]
    Repository(#[from] InvalidReference),
    /// The tag is none.
    #[error("the tag is none")]
    Tag,
    /// The digest is none.
    #[error("the digest is none: {0}")]
    Digest(#[from] InvalidDigest),
    /// `ns` is no registry.
    #[error("`ns` is no registry: {0}")]
    Namespace(InvalidHost),
    /// `ns` stands twice, or is escaped wrongly, or differs from the registry in the path.
    #[error(
        "`ns` is ambiguous: it stands twice, is escaped wrongly, or differs from the registry in the path"
    )]
    AmbiguousNamespace,
    /// Parameters in the content.
    #[error("the upload has a form for its content, which could name what its query does not")]
    Form,
    /// `artifactType` stands twice or is escaped wrongly.
    #[error("`artifactType` is ambiguous: it stands twice or is escaped wrongly")]
    ArtifactType,
}

// === impl Pointer ===

impl Pointer {
    /// The tag or the digest.
    pub(crate) fn parts(&self) -> (Option<&str>, Option<&Digest>) {
        match self {
            Self::Tag(tag) => (Some(tag), None),
            Self::Digest(digest) => (None, Some(digest)),
        }
    }
}

// === impl Target ===

impl Target {
    /// The repository that it is of.
    pub(crate) const fn repository(&self) -> Option<&Repository> {
        match self {
            Self::Base => None,
            Self::Manifest(repository, _)
            | Self::Blob(repository, _)
            | Self::Tags(repository)
            | Self::Referrers(repository, _)
            | Self::Other(repository) => Some(repository),
        }
    }

    pub(crate) const fn kind(&self) -> Kind {
        match self {
            Self::Base => Kind::Base,
            Self::Manifest(..) => Kind::Manifest,
            Self::Blob(..) => Kind::Blob,
            Self::Tags(_) => Kind::Tags,
            Self::Referrers(..) => Kind::Referrers,
            Self::Other(_) => Kind::Other,
        }
    }
}

// === impl InvalidPath ===

impl InvalidPath {
    /// A stable code for logs.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::NoRegistryPath => "no-registry-path",
            Self::Unclean => "registry-path-unclean",
            Self::Catalog => "no-catalog",
            Self::Unknown => "registry-path-unknown",
            Self::Repository(_) => "repository-invalid",
            Self::Tag => "tag-invalid",
            Self::Digest(_) => "digest-invalid",
            Self::Namespace(_) => "namespace-invalid",
            Self::AmbiguousNamespace => "namespace-ambiguous",
            Self::Form => "upload-form",
            Self::ArtifactType => "artifact-type-ambiguous",
        }
    }
}

// === impl Kind ===

impl Kind {
    /// As metrics have it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Manifest => "manifest",
            Self::Blob => "blob",
            Self::Tags => "tags",
            Self::Referrers => "referrers",
            Self::Other => "other",
        }
    }
}

/// A parameter that could be read two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ambiguous;

/// Reads path and query of a request.
pub(crate) fn parse(path: &str, query: Option<&str>) -> Result<Target, InvalidPath> {
    let rest = match path.strip_prefix("/v2") {
        Some("" | "/") => return Ok(Target::Base),
        Some(rest) => rest.strip_prefix('/').ok_or(InvalidPath::NoRegistryPath)?,
        None => return Err(InvalidPath::NoRegistryPath),
    };
    let clean = |component: &str| !matches!(component, "" | "." | "..");
    // No name, tag or digest needs an escape.
    if rest.contains(['%', '\\']) || !rest.split('/').all(clean) {
        return Err(InvalidPath::Unclean);
    }
    if rest == "_catalog" {
        return Err(InvalidPath::Catalog);
    }
    let components: Vec<&str> = rest.split('/').collect();
    // Names may contain the words themselves, so the last one counts.
    let keyword = components
        .iter()
        .rposition(|word| KEYWORDS.contains(word))
        .ok_or(InvalidPath::Unknown)?;
    let (name, tail) = components
        .split_at_checked(keyword)
        .ok_or(InvalidPath::Unknown)?;
    let repository = repository(name, namespace(query)?)?;
    match tail {
        ["manifests", pointer] => {
            pointer_of(pointer).map(|pointer| Target::Manifest(repository, pointer))
        }
        ["blobs", digest] => Ok(Target::Blob(repository, digest.parse()?)),
        ["tags", "list"] => Ok(Target::Tags(repository)),
        ["referrers", digest] => Ok(Target::Referrers(repository, digest.parse()?)),
        ["blobs", "uploads", ..] => Ok(Target::Other(repository)),
        _ => Err(InvalidPath::Unknown),
    }
}

fn repository(name: &[&str], namespace: Option<Registry>) -> Result<Repository, InvalidPath> {
    let explicit = match name {
        [host, rest @ ..] if !rest.is_empty() && looks_like_host(host) => Some((
            host.parse::<Registry>().map_err(InvalidReference::from)?,
            rest,
        )),
        _ => None,
    };
    let (registry, path) = match (explicit, namespace) {
        (Some((explicit, _)), Some(namespace)) if explicit != namespace => {
            return Err(InvalidPath::AmbiguousNamespace);
        }
        (Some((explicit, rest)), _) => (explicit, rest),
        (None, Some(namespace)) => (namespace, name),
        (None, None) => (Registry::docker_hub(), name),
    };
    Ok(Repository::new(registry, &path.join("/"))?)
}

/// The same rule as for references. A repository path can have a dot in its first component only where `ns` says which
/// registry it is of; then the two differ and the request is refused.
fn looks_like_host(component: &str) -> bool {
    component.contains(['.', ':']) || component == "localhost"
}

fn namespace(query: Option<&str>) -> Result<Option<Registry>, InvalidPath> {
    let value = parameter(query, "ns").map_err(|_| InvalidPath::AmbiguousNamespace)?;
    let registry = value.map(|value| value.parse().map_err(InvalidPath::Namespace));
    registry.transpose()
}

/// The value of a query's parameter, if it is there.
///
/// # Errors
/// When it stands twice, or an escape is wrong.
pub(crate) fn parameter(query: Option<&str>, name: &str) -> Result<Option<String>, Ambiguous> {
    let mut found = None;
    for pair in query.unwrap_or_default().split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if decode(key).ok_or(Ambiguous)? != name {
            continue;
        }
        if found.replace(decode(value).ok_or(Ambiguous)?).is_some() {
            return Err(Ambiguous);
        }
    }
    Ok(found)
}

/// Percent-decodes once; `None` where the escapes are wrong or give no UTF-8.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                bytes.push(u8::try_from(high * 16 + low).ok()?);
            }
            b'+' => bytes.push(b' '),
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).ok()
}

fn pointer_of(text: &str) -> Result<Pointer, InvalidPath> {
    if text.contains(':') {
        return Ok(Pointer::Digest(text.parse()?));
    }
    if is_tag(text) {
        Ok(Pointer::Tag(text.to_owned()))
    } else {
        Err(InvalidPath::Tag)
    }
}

/// A reference's tag, read by the one parser of tags.
pub(crate) fn is_tag(text: &str) -> bool {
    let named = format!("a:{text}").parse::<ramgate_policy::Reference>();
    named.is_ok_and(|reference| reference.tag() == Some(text))
}

const KEYWORDS: [&str; 4] = ["manifests", "blobs", "tags", "referrers"];

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[track_caller]
    fn check(uri: &str, expected: Result<&str, &str>) {
        let (path, query) = uri
            .split_once('?')
            .map_or((uri, None), |(path, query)| (path, Some(query)));
        let got = match parse(path, query) {
            Ok(Target::Base) => Ok("base".to_owned()),
            Ok(Target::Manifest(repository, Pointer::Tag(tag))) => {
                Ok(format!("{repository}:{tag}"))
            }
            Ok(Target::Manifest(repository, Pointer::Digest(digest))) => {
                Ok(format!("{repository}@{digest}"))
            }
            Ok(Target::Blob(repository, digest)) => Ok(format!("blob {repository}@{digest}")),
            Ok(Target::Tags(repository)) => Ok(format!("tags {repository}")),
            Ok(Target::Referrers(repository, digest)) => {
                Ok(format!("referrers {repository}@{digest}"))
            }
            Ok(Target::Other(repository)) => Ok(format!("other {repository}")),
            Err(error) => Err(format!("{error:?}")),
        };
        match (&got, expected) {
            (Ok(got), Ok(expected)) => assert_eq!(got, expected, "{uri}"),
            (Err(got), Err(expected)) => assert!(got.starts_with(expected), "{uri}: {got}"),
            _ => panic!("{uri}: {got:?}, not {expected:?}"),
        }
    }

    #[test]
    fn the_registry_is_named_by_ns_by_the_path_or_is_docker_hub() {
        check("/v2/", Ok("base"));
        check("/v2", Ok("base"));
        check(
            "/v2/library/alpine/manifests/3",
            Ok("docker.io/library/alpine:3"),
        );
        check("/v2/alpine/manifests/3", Ok("docker.io/library/alpine:3"));
        check(
            "/v2/library/alpine/manifests/3?ns=docker.io",
            Ok("docker.io/library/alpine:3"),
        );
        check(
            "/v2/library/alpine/manifests/3?ns=registry-1.docker.io%3A443",
            Ok("docker.io/library/alpine:3"),
        );
        check(
            "/v2/acme/app/manifests/1?ns=ghcr.io",
            Ok("ghcr.io/acme/app:1"),
        );
        check(
            "/v2/acme/app/manifests/1?ns=GHCR.io%3A443",
            Ok("ghcr.io/acme/app:1"),
        );
        check(
            "/v2/acme/app/manifests/1?x=y&ns=ghcr.io",
            Ok("ghcr.io/acme/app:1"),
        );
        check("/v2/ghcr.io/acme/app/manifests/1", Ok("ghcr.io/acme/app:1"));
        check(
            "/v2/ghcr.io/acme/app/manifests/1?ns=ghcr.io",
            Ok("ghcr.io/acme/app:1"),
        );
        check(
            "/v2/docker.io/alpine/manifests/1",
            Ok("docker.io/library/alpine:1"),
        );
        check("/v2/localhost/app/manifests/1", Ok("localhost/app:1"));
        check(
            "/v2/r.example:5000/a/b/c/manifests/1",
            Ok("r.example:5000/a/b/c:1"),
        );
    }

    #[test]
    fn digests_name_manifests_and_blobs() {
        check(
            &format!("/v2/library/alpine/manifests/{DIGEST}"),
            Ok(&format!("docker.io/library/alpine@{DIGEST}")),
        );
        check(
            &format!("/v2/library/alpine/blobs/{DIGEST}"),
            Ok(&format!("blob docker.io/library/alpine@{DIGEST}")),
        );
        check("/v2/library/alpine/blobs/latest", Err("Digest"));
        check("/v2/library/alpine/manifests/sha256:12", Err("Digest"));
    }

    #[test]
    fn the_last_keyword_counts() {
        check(
            "/v2/acme/manifests/app/manifests/1",
            Ok("docker.io/acme/manifests/app:1"),
        );
        check(
            "/v2/acme/blobs/tags/manifests/manifests/1",
            Ok("docker.io/acme/blobs/tags/manifests:1"),
        );
        check("/v2/acme/app/manifests/blobs/x", Err("Digest"));
        check("/v2/manifests/1", Err("Repository"));
    }

    #[test]
    fn lists_and_what_the_mirror_does_not_serve_name_a_repository() {
        check("/v2/acme/app/tags/list", Ok("tags docker.io/acme/app"));
        check(
            "/v2/acme/app/tags/list?ns=ghcr.io",
            Ok("tags ghcr.io/acme/app"),
        );
        check(
            &format!("/v2/acme/app/referrers/{DIGEST}"),
            Ok(&format!("referrers docker.io/acme/app@{DIGEST}")),
        );
        check("/v2/acme/app/referrers/latest", Err("Digest"));
        check("/v2/acme/app/blobs/uploads/", Err("Unclean"));
        check(
            "/v2/acme/app/blobs/uploads/1234",
            Ok("other docker.io/acme/app"),
        );
        check("/v2/_catalog", Err("Catalog"));
        check("/v2/ghcr.io/_catalog", Err("Unknown"));
    }

    #[test]
    fn every_code_is_in_the_document_and_the_document_has_no_other() {
        let source = include_str!("path.rs");
        let (_, codes) = source.split_once("fn code(&self)").unwrap();
        let (codes, _) = codes.split_once("// ===").unwrap();
        let codes: Vec<&str> = codes.split('"').skip(1).step_by(2).collect();
        let document = include_str!("../../docs/reasons.md");
        let (_, section) = document.split_once("## The mirror cannot read it").unwrap();
        let section = section.split("\n## ").next().unwrap();
        let rows = section
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
        let rows: Vec<&str> = rows.map(|(code, _)| code).collect();
        assert_eq!(rows, codes);
    }

    #[test]
    fn what_could_be_read_two_ways_is_refused() {
        check(
            "/v2/ghcr.io/acme/app/manifests/1?ns=docker.io",
            Err("AmbiguousNamespace"),
        );
        check(
            "/v2/acme/app/manifests/1?ns=ghcr.io&ns=docker.io",
            Err("AmbiguousNamespace"),
        );
        check(
            "/v2/acme/app/manifests/1?ns=ghcr.io&n%73=docker.io",
            Err("AmbiguousNamespace"),
        );
        check("/v2/acme/app/manifests/1?ns=%zz", Err("AmbiguousNamespace"));
        check("/v2/acme/app/manifests/1?ns=", Err("Namespace"));
        check("/v2/acme/app/manifests/1?ns=ghcr.io/x", Err("Namespace"));
        check(
            "/v2/acme/app/manifests/1?ns=http://ghcr.io",
            Err("Namespace"),
        );
        check("/v2/acme/app/manifests/1?ns=user@ghcr.io", Err("Namespace"));
        check("/v2/acme%2Fapp/manifests/1", Err("Unclean"));
        check("/v2/acme/%61pp/manifests/1", Err("Unclean"));
        check("/v2//acme/app/manifests/1", Err("Unclean"));
        check("/v2/acme/../evil/manifests/1", Err("Unclean"));
        check("/v2/acme/./app/manifests/1", Err("Unclean"));
        check("/v2/acme/app/manifests/1/", Err("Unclean"));
        check("/v2/acme/app/manifests/1/2", Err("Unknown"));
        check("/v2x/acme/app/manifests/1", Err("NoRegistryPath"));
        check("/v1/acme/app/manifests/1", Err("NoRegistryPath"));
        check("/", Err("NoRegistryPath"));
        check("/v2/Acme/app/manifests/1", Err("Repository"));
        check("/v2/acme/app/manifests/-x", Err("Tag"));
        check("/v2/acme/app/manifests/a@b", Err("Tag"));
        // One component is never a host: so does dockerd read `ghcr.io:1`.
        check("/v2/ghcr.io/manifests/1", Ok("docker.io/library/ghcr.io:1"));
    }
}
