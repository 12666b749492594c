//! The registries that are known, and what of Docker Hub is known: data, each row with its source and when that was last read.
//!
//! A row that is changed gets a new date; a registry without hosts of others needs no row.

/// A registry and the hosts that it needs. `<word>` as a whole label of the registry stands for any label, and in a host
/// for the same text.
#[derive(Clone, Copy, Debug)]
pub struct KnownRegistry {
    /// Its own host.
    pub registry: &'static str,
    /// Who says so.
    pub source: &'static str,
    /// The month in which the source was last read.
    pub seen: &'static str,
    /// Where its content comes from, beside itself.
    pub hosts: &'static [&'static str],
    /// Where its tokens come from, if from another host; these serve no content.
    pub tokens: &'static [&'static str],
}

/// The registries that are known, in the order in which they are shown.
pub const KNOWN_REGISTRIES: &[KnownRegistry] = &[
    // Which of the three kinds of CDN serves a blob is chosen per request; R2 serves personal
    // and anonymous pulls. Any account may own a bucket of that name in R2, hence the whole account here.
    KnownRegistry {
        registry: "docker.io",
        source: "docker/docs, `allow-list.md`",
        seen: "2026-11",
        hosts: &[
            "registry-1.docker.io",
            "index.docker.io",
            "registry.hub.docker.com",
            "hub.docker.com",
            "production.cloudflare.docker.com",
            "production.cloudfront.docker.com",
            "docker-images-prod.6aa30f8b08e16409b46e0173d6de2f56.r2.cloudflarestorage.com",
            "docker-images-prod.s3.<region>.amazonaws.com",
            "docker-images-prod.s3.dualstack.<region>.amazonaws.com",
        ],
        tokens: &["auth.docker.io"],
    },
    // Its blobs come from Docker Hub's CDN; where Docker Hub is closed, dhi.io is reached
    // through the mirror.
    KnownRegistry {
        registry: "dhi.io",
        source: "docker/docs, `allow-list.md`",
        seen: "2026-11",
        hosts: &[
            "registry.scout.docker.com",
            "production.cloudflare.docker.com",
            "production.cloudfront.docker.com",
            "docker-images-prod.6aa30f8b08e16409b46e0173d6de2f56.r2.cloudflarestorage.com",
        ],
        tokens: &[],
    },
    KnownRegistry {
        registry: "ghcr.io",
        source: "aquasecurity/trivy, documentation on air gaps and firewalls",
        seen: "2026-11",
        hosts: &["pkg-containers.githubusercontent.com"],
        tokens: &[],
    },
    // 01 to 03 in 2023, and 04 to 06 from April 2025. The number is left open because it grew before; the domain is Quay's alone.
    KnownRegistry {
        registry: "quay.io",
        source: "Red Hat, \"Firewall changes for container image pulls\", and OpenShift's firewall pages",
        seen: "2026-11",
        hosts: &["cdn.quay.io", "cdn<number>.quay.io"],
        tokens: &[],
    },
    // Blobs have come from Quay's CDN since May 2023.
    KnownRegistry {
        registry: "registry.redhat.io",
        source: "Red Hat, \"Firewall changes for container image pulls\", and OpenShift's firewall pages",
        seen: "2026-11",
        hosts: &["cdn.quay.io", "cdn<number>.quay.io"],
        tokens: &["sso.redhat.com"],
    },
    KnownRegistry {
        registry: "registry.access.redhat.com",
        source: "Red Hat, \"Firewall changes for container image pulls\", and OpenShift's firewall pages",
        seen: "2026-11",
        hosts: &["cdn.quay.io", "cdn<number>.quay.io"],
        tokens: &["sso.redhat.com"],
    },
    // One layer bucket of AWS's own to a region.
    KnownRegistry {
        registry: "<account>.dkr.ecr.<region>.amazonaws.com",
        source: "AWS, endpoint policies for ECR in a VPC",
        seen: "2026-11",
        hosts: &["prod-<region>-starport-layer-bucket.s3.<region>.amazonaws.com"],
        tokens: &[],
    },
    // Distributions of ECR's own.
    KnownRegistry {
        registry: "public.ecr.aws",
        source: "AWS, requirements of EKS Anywhere",
        seen: "2026-11",
        hosts: &[
            "d2glxqk2uabbnd.cloudfront.net",
            "d5l0dvt14r5h8.cloudfront.net",
        ],
        tokens: &[],
    },
    KnownRegistry {
        registry: "mcr.microsoft.com",
        source: "Microsoft, \"MCR client firewall rules\"",
        seen: "2026-11",
        hosts: &["<region>.data.mcr.microsoft.com"],
        tokens: &[],
    },
    KnownRegistry {
        registry: "<name>.azurecr.io",
        source: "Microsoft, \"dedicated data endpoints\" of Azure Container Registry",
        seen: "2026-11",
        hosts: &["<name>.<region>.data.azurecr.io"],
        tokens: &[],
    },
    // Buckets of the project's own. Manifests are redirected to Artifact Registry, see above.
    KnownRegistry {
        registry: "registry.k8s.io",
        source: "kubernetes/registry.k8s.io",
        seen: "2026-11",
        hosts: &["prod-registry-k8s-io-<region>.s3.dualstack.<region>.amazonaws.com"],
        tokens: &[],
    },
    KnownRegistry {
        registry: "nvcr.io",
        source: "egress lists",
        seen: "2026-11",
        hosts: &["layers.nvcr.io"],
        tokens: &["authn.nvidia.com"],
    },
    KnownRegistry {
        registry: "registry.gitlab.com",
        source: "GitLab, documentation: tokens from gitlab.com/jwt/auth",
        seen: "2026-11",
        hosts: &["cdn.registry.gitlab-static.net"],
        tokens: &["gitlab.com"],
    },
];

/// Docker Hub's domains, each with all that lies below. Not `docker.com` as a whole: the engine's own packages come from
/// `download.docker.com`. `ipv6.docker.com` held the registry for networks without IPv4 (docker/docs, 2021 to 2023).
pub(super) const DOCKER_HUB_DOMAINS: &[&str] = &[
    "docker.io",
    "hub.docker.com",
    "cloudflare.docker.com",
    "cloudfront.docker.com",
    "ipv6.docker.com",
];

/// docker/docs `allow-list.md`: "authentication".
pub(super) const DOCKER_HUB_TOKEN_HOST: &str = "auth.docker.io";

/// The bucket of Docker Hub's blobs, under whatever account, region and endpoint of [`OBJECT_STORES`].
pub(super) const DOCKER_HUB_BUCKET: &str = "docker-images-prod";

pub(super) const OBJECT_STORES: &[&str] = &["amazonaws.com", "cloudflarestorage.com"];
