//! Well-known registries and the hosts beside their own that a pull from them needs: token services and the places that
//! blobs are redirected to.
//!
//! Facts, not policy: allowing `ghcr.io` should not make the administrator learn by failing pulls that its layers come from
//! `pkg-containers.githubusercontent.com`. All of them are reached at port 443 alone. A registry at another port is some
//! other server and needs none of them.
//!
//! What is **not** listed, and why. A host that serves anyone's content is a way out of the policy, not a part of a
//! registry, and is left to `redirect-hosts`, or better to the mirror, which follows redirects while such hosts stay closed:
//!
//! | registry | it also redirects to | why it is left out |
//! |---|---|---|
//! | `registry.k8s.io`, `registry.istio.io` | `*-docker.pkg.dev` | Artifact Registry: anyone's images |
//! | `gcr.io`, `*-docker.pkg.dev`, `registry.gitlab.com` | `storage.googleapis.com` | anyone's buckets; today's Artifact Registry serves blobs itself |
//! | `*.azurecr.io` without dedicated data endpoints | `*.blob.core.windows.net` | anyone's storage accounts |
//! | cloud registries | `api.ecr.<region>.amazonaws.com`, `api.ngc.nvidia.com` and the like | the vendor's command line asks them, the daemon does not |
//!
//! A bucket or distribution of the registry's own is listed by its whole name.

mod data;

use data::{DOCKER_HUB_BUCKET, DOCKER_HUB_DOMAINS, DOCKER_HUB_TOKEN_HOST, OBJECT_STORES};
pub use data::{KNOWN_REGISTRIES, KnownRegistry};

use crate::host::{DEFAULT_PORT, Host, Registry};

/// A pattern of hosts. `*` stands for one or more characters of one label, so never for a dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct HostPattern(String);

/// What a word of a [`KnownRegistry`] stands for.
type Bindings<'a> = Vec<(&'static str, &'a str)>;

/// The hosts at which an allowed `registry` may be reached beside its own, at port 443.
pub(crate) fn hosts_of(registry: &Registry) -> impl Iterator<Item = HostPattern> {
    let host = registry.host().as_str();
    known(registry)
        .filter_map(move |known| known.bind(host).map(|bindings| known.expand(&bindings)))
        .flatten()
}

/// The hosts that give out tokens for `registry`, other than itself, at port 443.
pub(crate) fn token_hosts_of(registry: &Registry) -> impl Iterator<Item = HostPattern> {
    let host = registry.host().as_str();
    known(registry)
        .filter(move |known| known.bind(host).is_some())
        .flat_map(|known| known.tokens)
        .map(|host| HostPattern((*host).to_owned()))
}

fn known(registry: &Registry) -> impl Iterator<Item = &'static KnownRegistry> + use<> {
    let at_default_port = registry.port() == DEFAULT_PORT;
    KNOWN_REGISTRIES.iter().filter(move |_| at_default_port)
}

/// The domains in which Docker Hub's registry has its names.
pub(crate) fn docker_hub_domains() -> impl Iterator<Item = Host> {
    ["docker.io", "hub.docker.com"]
        .into_iter()
        .filter_map(|domain| domain.parse().ok())
}

/// Whether `host` gives out Docker Hub's tokens, and nothing else.
pub(crate) fn is_docker_hub_token_host(host: &Host) -> bool {
    host.as_str() == DOCKER_HUB_TOKEN_HOST
}

/// The same for an allowed `*.domain`, for every known registry that lies below `domain`.
///
/// `*.dkr.ecr.eu-west-1.amazonaws.com` opens the layer bucket of that region only.
pub(crate) fn hosts_below(domain: &Host) -> impl Iterator<Item = HostPattern> {
    let domain = domain.as_str();
    KNOWN_REGISTRIES
        .iter()
        .filter_map(move |known| {
            known
                .bind_below(domain)
                .map(|bindings| known.expand(&bindings))
        })
        .flatten()
}

/// Whether `host` is a well-known registry itself.
pub(crate) fn is_registry(host: &Host) -> bool {
    is_docker_hub_host(host)
        || KNOWN_REGISTRIES
            .iter()
            .any(|known| known.bind(host.as_str()).is_some())
}

/// Whether `host` is a well-known registry, or serves the content of one. Hosts of tokens do not: `gitlab.com` is one.
pub(crate) fn serves_registry(host: &Host) -> bool {
    is_registry(host)
        || KNOWN_REGISTRIES.iter().any(|known| {
            let hosts = known.hosts.iter();
            hosts
                .map(|pattern| HostPattern(substitute(pattern, &Vec::new())))
                .any(|pattern| pattern.covers(host))
        })
}

/// The well-known registries, and hosts of their content, that have one name.
pub(crate) fn names() -> impl Iterator<Item = Host> {
    KNOWN_REGISTRIES
        .iter()
        .flat_map(|known| std::iter::once(&known.registry).chain(known.hosts))
        .filter(|name| !name.contains('<'))
        .filter_map(|name| name.parse().ok())
}

/// Whether `host` serves Docker Hub: its registry, its tokens, its search or its content.
///
/// Wider than [`hosts_of`] Docker Hub, on purpose. That list opens, and so names what a pull needs. This one closes, and
/// so names whatever could carry Docker Hub's content past the mirror.
pub(crate) fn is_docker_hub_host(host: &Host) -> bool {
    let in_domain =
        |domain: &&str| host.as_str() == *domain || host.parents().any(|parent| parent == *domain);
    let in_bucket = || {
        host.as_str().split('.').next() == Some(DOCKER_HUB_BUCKET)
            && OBJECT_STORES.iter().any(in_domain)
    };
    DOCKER_HUB_DOMAINS.iter().any(in_domain) || in_bucket()
}

// === impl HostPattern ===

impl HostPattern {
    /// Whether the pattern covers `host`.
    pub(crate) fn covers(&self, host: &Host) -> bool {
        let mut labels = host.as_str().split('.');
        self.0.split('.').all(|pattern| {
            labels
                .next()
                .is_some_and(|label| covers_label(pattern, label))
        }) && labels.next().is_none()
    }

    /// Its first label, if that is of one name alone.
    pub(crate) fn first_label(&self) -> Option<&str> {
        let first = self.0.split('.').next();
        first.filter(|label| !label.contains('*'))
    }
}

/// At most one `*` to a label, as [`KNOWN_REGISTRIES`] has it.
fn covers_label(pattern: &str, label: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == label,
        Some((before, after)) => {
            let rest = label
                .strip_prefix(before)
                .and_then(|rest| rest.strip_suffix(after));
            rest.is_some_and(|rest| !rest.is_empty())
        }
    }
}

// === impl KnownRegistry ===

impl KnownRegistry {
    /// Whether `registry` is this one, or one of these.
    #[must_use]
    pub fn describes(&self, registry: &Registry) -> bool {
        registry.port() == DEFAULT_PORT && self.bind(registry.host().as_str()).is_some()
    }

    /// What the words stand for, if `host` is this registry.
    fn bind<'a>(&self, host: &'a str) -> Option<Bindings<'a>> {
        // Most hosts are told apart by their end, which takes no splitting: a policy may have a hundred thousand of them.
        let end = self
            .registry
            .rsplit_once('>')
            .map_or(self.registry, |(_, end)| end);
        let same_length =
            host.ends_with(end) && self.registry.split('.').count() == host.split('.').count();
        same_length
            .then(|| bind_labels(self.registry.split('.'), host.split('.')))
            .flatten()
    }

    /// What the words stand for, if this registry lies below `domain`; those left of it stand for anything.
    fn bind_below<'a>(&self, domain: &'a str) -> Option<Bindings<'a>> {
        let below = self.registry.split('.').count() > domain.split('.').count();
        below
            .then(|| bind_labels(self.registry.rsplit('.'), domain.rsplit('.')))
            .flatten()
    }

    fn expand(&self, bindings: &Bindings<'_>) -> impl Iterator<Item = HostPattern> + use<> {
        let patterns: Vec<_> = self
            .hosts
            .iter()
            .chain(self.tokens)
            .map(|host| HostPattern(substitute(host, bindings)))
            .collect();
        patterns.into_iter()
    }
}

fn bind_labels<'a>(
    template: impl Iterator<Item = &'static str>,
    labels: impl Iterator<Item = &'a str>,
) -> Option<Bindings<'a>> {
    let mut bindings = Vec::new();
    for (expected, label) in template.zip(labels) {
        if expected.starts_with('<') {
            bindings.push((expected, label));
        } else if expected != label {
            return None;
        }
    }
    Some(bindings)
}

/// `host` with every bound word replaced by its text, and every other by `*`.
fn substitute(host: &str, bindings: &Bindings<'_>) -> String {
    let mut text = host.to_owned();
    for (word, label) in bindings {
        text = text.replace(word, label);
    }
    while let Some((before, (_, after))) = text
        .split_once('<')
        .and_then(|(before, rest)| Some((before, rest.split_once('>')?)))
    {
        text = format!("{before}*{after}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Host {
        text.parse().unwrap()
    }

    #[track_caller]
    fn check(registry: &str, asked: &str, expected: bool) {
        let registry: Registry = registry.parse().unwrap();
        let open = hosts_of(&registry).any(|pattern| pattern.covers(&host(asked)));
        assert_eq!(open, expected, "{asked} for {registry}");
    }

    #[track_caller]
    fn check_below(domain: &str, asked: &str, expected: bool) {
        let open = hosts_below(&host(domain)).any(|pattern| pattern.covers(&host(asked)));
        assert_eq!(open, expected, "{asked} for *.{domain}");
    }

    #[test]
    fn every_row_says_who_says_so_and_when() {
        for known in KNOWN_REGISTRIES {
            let (year, month) = known.seen.split_once('-').unwrap();
            let month: u8 = month.parse().unwrap();
            assert!(
                year.parse::<u16>().unwrap() >= 2026 && (1..=12).contains(&month),
                "{known:?}"
            );
            assert!(!known.source.is_empty(), "{known:?}");
            assert!(
                !(known.hosts.is_empty() && known.tokens.is_empty()),
                "{known:?}"
            );
        }
    }

    #[test]
    fn an_allowed_registry_opens_the_hosts_of_its_pulls() {
        check("docker.io", "registry-1.docker.io", true);
        check("docker.io", "auth.docker.io", true);
        check(
            "registry-1.docker.io",
            "production.cloudfront.docker.com",
            true,
        );
        check(
            "docker.io",
            "docker-images-prod.s3.dualstack.us-east-1.amazonaws.com",
            true,
        );
        check(
            "docker.io",
            "docker-images-prod.6aa30f8b08e16409b46e0173d6de2f56.r2.cloudflarestorage.com",
            true,
        );
        check("ghcr.io", "pkg-containers.githubusercontent.com", true);
        check("quay.io", "cdn.quay.io", true);
        check("quay.io", "cdn07.quay.io", true);
        check(
            "mcr.microsoft.com",
            "westeurope.data.mcr.microsoft.com",
            true,
        );
        check(
            "registry.k8s.io",
            "prod-registry-k8s-io-eu-west-1.s3.dualstack.eu-west-1.amazonaws.com",
            true,
        );
        check("registry.gitlab.com", "gitlab.com", true);
    }

    #[test]
    fn it_opens_nothing_of_its_neighbours() {
        check("ghcr.io", "raw.githubusercontent.com", false);
        check("quay.io", "evil.quay.io", false);
        check("quay.io", "cdn.quay.io.evil.example", false);
        check("mcr.microsoft.com", "a.b.data.mcr.microsoft.com", false);
        check("mcr.microsoft.com", "data.mcr.microsoft.com", false);
        check(
            "docker.io",
            "docker-images-prod.0123456789abcdef.r2.cloudflarestorage.com",
            false,
        );
        check("docker.io", "download.docker.com", false);
        check("registry.acme.example", "ghcr.io", false);
    }

    #[test]
    fn stores_that_serve_anyone_stay_closed() {
        for registry in KNOWN_REGISTRIES {
            let text = registry.registry.replace(['<', '>'], "");
            for store in [
                "storage.googleapis.com",
                "s3.amazonaws.com",
                "evil.s3.amazonaws.com",
                "evil.s3.eu-west-1.amazonaws.com",
                "evil.blob.core.windows.net",
                "us-docker.pkg.dev",
                "evil.r2.cloudflarestorage.com",
                "evil.cloudfront.net",
            ] {
                check(&text, store, false);
            }
        }
    }

    #[test]
    fn a_registry_of_one_region_or_name_opens_that_one_only() {
        let ecr = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
        check(
            ecr,
            "prod-eu-west-1-starport-layer-bucket.s3.eu-west-1.amazonaws.com",
            true,
        );
        check(
            ecr,
            "prod-us-east-1-starport-layer-bucket.s3.us-east-1.amazonaws.com",
            false,
        );
        check(
            ecr,
            "prod-eu-west-1-starport-layer-bucket.s3.us-east-1.amazonaws.com",
            false,
        );
        check("acme.azurecr.io", "acme.westeurope.data.azurecr.io", true);
        check("acme.azurecr.io", "evil.westeurope.data.azurecr.io", false);
    }

    #[test]
    fn a_wildcard_opens_the_hosts_of_the_registries_below_it() {
        check_below(
            "dkr.ecr.eu-west-1.amazonaws.com",
            "prod-eu-west-1-starport-layer-bucket.s3.eu-west-1.amazonaws.com",
            true,
        );
        check_below(
            "dkr.ecr.eu-west-1.amazonaws.com",
            "prod-us-east-1-starport-layer-bucket.s3.us-east-1.amazonaws.com",
            false,
        );
        check_below("azurecr.io", "acme.westeurope.data.azurecr.io", true);
        check_below("microsoft.com", "westeurope.data.mcr.microsoft.com", true);
        check_below("ghcr.io", "pkg-containers.githubusercontent.com", false);
        check_below(
            "acme.example",
            "pkg-containers.githubusercontent.com",
            false,
        );
    }

    #[test]
    fn another_port_is_another_server() {
        check(
            "ghcr.io:5000",
            "pkg-containers.githubusercontent.com",
            false,
        );
        check("docker.io:5000", "registry-1.docker.io", false);
    }

    #[test]
    fn every_way_to_docker_hub_is_known_as_one() {
        for name in [
            "docker.io",
            "Registry-1.Docker.io.",
            "index.docker.io",
            "auth.docker.io",
            "hub.docker.com",
            "registry.hub.docker.com",
            "registry.ipv6.docker.com",
            "production.cloudflare.docker.com",
            "production.cloudfront.docker.com",
            "docker-images-prod.6aa30f8b08e16409b46e0173d6de2f56.r2.cloudflarestorage.com",
            "docker-images-prod.s3.amazonaws.com",
            "docker-images-prod.s3.eu-central-1.amazonaws.com",
            "docker-images-prod.s3.dualstack.us-east-1.amazonaws.com",
        ] {
            assert!(is_docker_hub_host(&host(name)), "{name}");
        }
        for name in [
            "docker.com",
            "download.docker.com",
            "docker.io.evil.example",
            "evildocker.io",
            "docker-images-prod.evil.example",
            "other.s3.amazonaws.com",
            "dhi.io",
            "ghcr.io",
        ] {
            assert!(!is_docker_hub_host(&host(name)), "{name}");
        }
    }

    #[test]
    fn what_docker_hub_opens_is_closed_as_docker_hub() {
        for pattern in hosts_of(&Registry::docker_hub()) {
            let sample = pattern.0.replace('*', "us-east-1");
            assert!(is_docker_hub_host(&host(&sample)), "{sample}");
        }
    }

    #[test]
    fn the_table_is_well_formed() {
        for known in KNOWN_REGISTRIES {
            for label in known.registry.split('.') {
                assert_eq!(
                    label.contains('<'),
                    label.starts_with('<') && label.ends_with('>'),
                    "{label}"
                );
            }
            for expected in known.hosts {
                for label in expected.split('.') {
                    assert!(
                        label.matches('<').count() <= 1,
                        "{label}: `covers_label` takes one `*`"
                    );
                }
            }
        }
    }
}
