//! The map of what is enforced: each way to an image, by each thing that the policy can tell images by.
//!
//! Pure: what is proven of engine and gates comes in as [`Terms`]. `tests/scenarios/doctor.rs` does what the map says can be done,
//! and what it says cannot.

mod verdict;

use serde::Serialize;

/// A way to an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Path {
    Pull,
    Run,
    ClassicBuild,
    BuildKit,
    AddUrl,
    PluginInstall,
    SwarmService,
    Push,
    Load,
    Import,
}

/// What images are told by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Granularity {
    /// The registry; of a URL, its host.
    Registry,
    /// The repository in it.
    Repository,
    /// Docker Hub's category.
    Category,
    /// What the image is, whatever it is called.
    Digest,
}

/// Whether the policy holds there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    Enforced,
    Open,
    NotApplicable,
}

/// One field of the map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Cell {
    pub(crate) path: Path,
    pub(crate) granularity: Granularity,
    pub(crate) state: State,
    pub(crate) reason: &'static str,
    /// What closes it.
    pub(crate) fix: Option<&'static str>,
}

/// What the map is drawn from.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, proven on its own"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// The policy's mode is `audit`.
    pub(crate) audit: bool,
    /// The policy has `registries`.
    pub(crate) registries: bool,
    /// It has `repositories` for Docker Hub.
    pub(crate) hub_repositories: bool,
    /// It has `repositories` for another registry.
    pub(crate) other_repositories: bool,
    /// It has `docker-hub`.
    pub(crate) hub: bool,
    /// `local-images.build`, `load` and `import`.
    pub(crate) build: Local,
    pub(crate) load: Local,
    pub(crate) import: Local,
    /// The engine asks ramgate: proven by a request that had to be denied.
    pub(crate) plugin: bool,
    /// The engine answers BuildKit over gRPC before it asks anybody.
    pub(crate) grpc: bool,
    /// Images lie in the containerd store.
    pub(crate) containerd: bool,
    /// The engine says that it asks the mirror for Docker Hub's images, and nobody beside it.
    pub(crate) mirror: bool,
    /// The engine reaches the network through the network gate: said by it, and proven by a canary.
    pub(crate) egress: bool,
    /// What goes to registries is read by the network gate, with a certificate that the engine trusts.
    pub(crate) inspect: bool,
    /// `hosts.toml` leads all registries to the mirror, and the engine reads it.
    pub(crate) hosts: bool,
    /// What `gated` asks for is there.
    pub(crate) gates: bool,
    /// The node is in a swarm.
    pub(crate) swarm: bool,
}

/// What the policy says of images that come without a pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Local {
    Allow,
    Gated,
    Deny,
}

/// Draws the map.
pub(crate) fn map(terms: &Terms) -> Vec<Cell> {
    let fields = Path::ALL
        .into_iter()
        .flat_map(|path| Granularity::ALL.map(|granularity| (path, granularity)));
    fields
        .map(|(path, granularity)| {
            let (state, reason, fix) = terms.verdict(path, granularity);
            Cell {
                path,
                granularity,
                state,
                reason,
                fix,
            }
        })
        .collect()
}

// === impl Path ===

impl Path {
    pub(crate) const ALL: [Self; 10] = [
        Self::Pull,
        Self::Run,
        Self::ClassicBuild,
        Self::BuildKit,
        Self::AddUrl,
        Self::PluginInstall,
        Self::SwarmService,
        Self::Push,
        Self::Load,
        Self::Import,
    ];

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Run => "run",
            Self::ClassicBuild => "classic build",
            Self::BuildKit => "BuildKit",
            Self::AddUrl => "ADD URL",
            Self::PluginInstall => "plugin install",
            Self::SwarmService => "swarm service",
            Self::Push => "push",
            Self::Load => "load",
            Self::Import => "import",
        }
    }
}

// === impl Granularity ===

impl Granularity {
    pub(crate) const ALL: [Self; 4] = [
        Self::Registry,
        Self::Repository,
        Self::Category,
        Self::Digest,
    ];

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::Repository => "repository",
            Self::Category => "category",
            Self::Digest => "digest",
        }
    }
}

#[cfg(test)]
mod tests;
