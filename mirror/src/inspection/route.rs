//! What a request to a registry is for. Pure.

use std::borrow::Cow;
use std::time::Instant;

use axum::http::{HeaderMap, Method, Request, header};
use ramgate_policy::{Action, Digest, Registry, Repository};
use reqwest::Url;

use super::Realms;
use crate::audit::{Asked, Asker};
use crate::path::{self, InvalidPath, Pointer, Target};

/// What a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/v2/`: is this a registry, and what does it want?
    Base,
    /// Something of a repository.
    Repository(Repository, Purpose),
    /// Docker Hub's search.
    Search,
    /// A token, where the registry itself said that they are.
    Token,
}

/// What is done with a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A blob comes in.
    Blob(Digest),
    /// Tags or referrers are listed.
    Listing,
    /// A manifest comes in.
    Manifest(Pointer),
    /// Content goes out, is removed, or is mounted from other repositories.
    Push {
        /// Where from.
        mounts: Vec<Repository>,
    },
}

// === impl Purpose ===

impl Purpose {
    /// What is asked, as the log has it.
    pub(super) fn asked<'a>(
        &'a self,
        asker: Asker<'a>,
        repository: &'a Repository,
        started: Instant,
    ) -> Asked<'a> {
        let (tag, digest) = match self {
            Self::Manifest(pointer) => pointer.parts(),
            Self::Blob(digest) => (None, Some(digest)),
            Self::Listing | Self::Push { .. } => (None, None),
        };
        let action = match self {
            Self::Push { .. } => Action::Push,
            Self::Blob(_) | Self::Listing | Self::Manifest(_) => Action::Pull,
        };
        Asked {
            asker,
            repository,
            tag,
            digest,
            action,
            started,
        }
    }
}

// === impl Route ===

impl Route {
    /// Reads a request to `registry`. What is not known is not let through.
    pub(crate) fn read<B>(
        request: &Request<B>,
        registry: &Registry,
        realms: &Realms,
    ) -> Result<Self, InvalidPath> {
        let (path, method) = (request.uri().path(), request.method());
        let reads = matches!(*method, Method::GET | Method::HEAD);
        if realms.know(registry, path) && (reads || *method == Method::POST) {
            return Ok(Self::Token);
        }
        if path == SEARCH && reads && registry.is_docker_hub() {
            return Ok(Self::Search);
        }
        let rest = path.strip_prefix("/v2/").unwrap_or_default();
        let first = rest.split('/').next().unwrap_or_default();
        // The mirror takes such a component for a registry; here it would be passed on as part of the name.
        if first.contains(['.', ':']) || first == "localhost" {
            return Err(InvalidPath::AmbiguousNamespace);
        }
        // Only here is the registry known from elsewhere; whatever `ns` the client sends means nothing.
        let target = path::parse(&session_named(path), Some(&format!("ns={registry}")))?;
        let (repository, purpose) = match target {
            Target::Base if reads => return Ok(Self::Base),
            Target::Base => return Err(InvalidPath::Unknown),
            Target::Manifest(repository, pointer) if reads => {
                (repository, Purpose::Manifest(pointer))
            }
            Target::Blob(repository, digest) if reads => (repository, Purpose::Blob(digest)),
            Target::Tags(repository) if reads => (repository, Purpose::Listing),
            Target::Referrers(repository, _) if reads => (repository, Purpose::Listing),
            Target::Manifest(repository, _) if writes(method) => (repository, push(Vec::new())),
            Target::Blob(repository, _) if *method == Method::DELETE => {
                (repository, push(Vec::new()))
            }
            Target::Other(repository) if path.contains("/blobs/uploads") => {
                // Distribution takes `mount` and `from` from a form as well (Go's `FormValue`), which nobody has read here.
                if has_form(request.headers()) {
                    return Err(InvalidPath::Form);
                }
                let mounts = mounts(request.uri().query(), registry)?;
                (repository, push(mounts))
            }
            Target::Manifest(..)
            | Target::Blob(..)
            | Target::Tags(_)
            | Target::Referrers(..)
            | Target::Other(_) => {
                return Err(InvalidPath::Unknown);
            }
        };
        Ok(Self::Repository(repository, purpose))
    }
}

/// `path`, with a name for the session where it begins one: the distribution spec ends that path with a slash.
fn session_named(path: &str) -> Cow<'_, str> {
    let begun = path.strip_suffix('/').unwrap_or(path);
    if begun.ends_with("/blobs/uploads") {
        Cow::Owned(format!("{begun}/new"))
    } else {
        Cow::Borrowed(path)
    }
}

/// Whether the content is what Go takes for parameters.
fn has_form(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    types.any(|value| {
        let value = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
        value.contains("x-www-form-urlencoded") || value.contains("multipart/")
    })
}

fn writes(method: &Method) -> bool {
    matches!(*method, Method::PUT | Method::DELETE)
}

const fn push(mounts: Vec<Repository>) -> Purpose {
    Purpose::Push { mounts }
}

/// The repositories that an upload may take its blob from (distribution spec, "Mounting a blob from another repository"). All
/// values of `from`: which of two a registry takes is its own affair.
fn mounts(query: Option<&str>, registry: &Registry) -> Result<Vec<Repository>, InvalidPath> {
    let Some(query) = query else {
        return Ok(Vec::new());
    };
    let Ok(url) = Url::parse(&format!("http://registry.invalid/?{query}")) else {
        return Err(InvalidPath::Unclean);
    };
    url.query_pairs()
        .filter(|(key, _)| key.eq_ignore_ascii_case("from"))
        .map(|(_, value)| Ok(Repository::new(registry.clone(), &value)?))
        .collect()
}

/// moby `daemon/pkg/registry/search_session.go`.
const SEARCH: &str = "/v1/search";

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn read(registry: &str, method: &str, uri: &str) -> String {
        let registry: Registry = registry.parse().unwrap();
        let realms = Realms::default();
        realms.learn(&"ghcr.io".parse().unwrap(), "/token");
        realms.learn(&"quay.io".parse().unwrap(), "/v2/auth");
        let request = Request::builder()
            .method(method)
            .uri(uri.replace("DIGEST", DIGEST))
            .body(())
            .unwrap();
        match Route::read(&request, &registry, &realms) {
            Ok(Route::Base) => "base".to_owned(),
            Ok(Route::Search) => "search".to_owned(),
            Ok(Route::Token) => "token".to_owned(),
            Ok(Route::Repository(repository, purpose)) => {
                let purpose = match purpose {
                    Purpose::Blob(_) => "blob".to_owned(),
                    Purpose::Listing => "listing".to_owned(),
                    Purpose::Manifest(_) => "manifest".to_owned(),
                    Purpose::Push { mounts } => {
                        let mounts: Vec<String> = mounts.iter().map(ToString::to_string).collect();
                        format!("push {}", mounts.join(" ")).trim_end().to_owned()
                    }
                };
                format!("{repository} {purpose}")
            }
            Err(error) => format!("{error:?}"),
        }
    }

    #[test]
    fn what_clients_ask_is_told_apart() {
        let read = |method, uri| read("ghcr.io", method, uri);
        assert_eq!(read("GET", "/v2/"), "base");
        assert_eq!(
            read("GET", "/v2/acme/app/manifests/1"),
            "ghcr.io/acme/app manifest"
        );
        assert_eq!(
            read("HEAD", "/v2/acme/app/manifests/DIGEST"),
            "ghcr.io/acme/app manifest"
        );
        assert_eq!(
            read("GET", "/v2/acme/app/blobs/DIGEST"),
            "ghcr.io/acme/app blob"
        );
        assert_eq!(
            read("GET", "/v2/acme/app/tags/list?n=2"),
            "ghcr.io/acme/app listing"
        );
        assert_eq!(
            read("GET", "/v2/acme/app/referrers/DIGEST"),
            "ghcr.io/acme/app listing"
        );
        assert_eq!(
            read("POST", "/v2/acme/app/blobs/uploads/"),
            "ghcr.io/acme/app push"
        );
        assert_eq!(
            read("POST", "/v2/acme/app/blobs/uploads"),
            "ghcr.io/acme/app push"
        );
        for method in ["PATCH", "PUT", "GET", "DELETE"] {
            assert_eq!(
                read(method, "/v2/acme/app/blobs/uploads/1?_state=x"),
                "ghcr.io/acme/app push"
            );
        }
        assert_eq!(
            read("PUT", "/v2/acme/app/manifests/1"),
            "ghcr.io/acme/app push"
        );
        assert_eq!(
            read("DELETE", "/v2/acme/app/manifests/DIGEST"),
            "ghcr.io/acme/app push"
        );
        assert_eq!(read("GET", "/token?scope=repository:x:pull"), "token");
    }

    #[test]
    fn a_mount_names_where_from() {
        let read = |query| {
            read(
                "ghcr.io",
                "POST",
                &format!("/v2/acme/app/blobs/uploads?{query}"),
            )
        };
        assert_eq!(
            read("mount=DIGEST&from=other/thing"),
            "ghcr.io/acme/app push ghcr.io/other/thing"
        );
        assert_eq!(
            read("from=a/b&%66rom=c%2Fd"),
            "ghcr.io/acme/app push ghcr.io/a/b ghcr.io/c/d"
        );
        assert!(read("from=../x").starts_with("Repository"));
    }

    #[test]
    fn what_is_not_known_is_not_let_through() {
        for (method, uri) in [
            ("GET", "/"),
            ("GET", "/v1/search?q=x"),
            ("GET", "/v1/images/x/layer"),
            ("GET", "/v2/_catalog"),
            ("GET", "/api/v1/repository"),
            ("GET", "/token/"),
            ("DELETE", "/token"),
            ("GET", "/v2/acme/../other/manifests/1"),
            ("GET", "/v2/acme/%61pp/manifests/1"),
            ("GET", "/v2//acme/app/manifests/1"),
            ("POST", "/v2/"),
            ("POST", "/v2/acme/app/manifests/1"),
            ("PUT", "/v2/acme/app/blobs/DIGEST"),
            ("GET", "/v2/quay.io/acme/app/manifests/1"),
            ("GET", "/v2/ghcr.io/acme/app/manifests/1"),
        ] {
            let got = read("ghcr.io", method, uri);
            assert!(
                [
                    "NoRegistryPath",
                    "Catalog",
                    "Unknown",
                    "Unclean",
                    "AmbiguousNamespace"
                ]
                .contains(&got.as_str()),
                "{method} {uri}: {got}"
            );
        }
        // A token's path is one registry's alone.
        assert_eq!(read("quay.io", "GET", "/token"), "NoRegistryPath");
        assert_eq!(read("quay.io", "GET", "/v2/auth?scope=x"), "token");
        assert_eq!(read("index.docker.io", "GET", "/v1/search?q=x"), "search");
    }
}
