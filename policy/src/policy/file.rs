//! The policy file as it is written: `/etc/ramgate/policy.json`. Its JSON Schema is derived from these types.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::action::Right;
use crate::local::LocalRule;
use crate::via::Via;

/// A ramgate policy: which registries, which of Docker Hub's images, and what may become an image on this host.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PolicyFile {
    /// Where the schema of this file is; for editors, ramgate does not read it.
    #[serde(rename = "$schema", default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// The version of this format: 1.
    pub version: u64,
    /// `enforce`, or `audit`: log what would be denied, and allow it.
    #[serde(default)]
    pub mode: Mode,
    /// Whom users turn to; stands in every denial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// Registry access management. Absent: all registries. Present: these and no others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registries: Option<Vec<RegistryFile>>,
    /// Image access management. Absent: all of Docker Hub's images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docker_hub: Option<DockerHubFile>,
    /// Which names serve content of another registry, as a Harbor proxy project does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<OriginFile>,
    /// Whether content that Docker Hub is known to have is judged as Docker Hub's under every other name as well. Default `true`.
    #[serde(default = "yes")]
    pub origins_by_digest: bool,
    /// What may become an image without a pull.
    #[serde(default)]
    pub local_images: LocalImagesFile,
    /// What becomes of a container that runs with a denied image and that no request asked for.
    #[serde(default)]
    pub watch: WatchMode,
    /// What the daemon may reach besides registries.
    #[serde(default)]
    pub egress: EgressFile,
    /// Who is exempt, and who has rules of their own.
    #[serde(default)]
    pub subjects: SubjectsFile,
}

const fn yes() -> bool {
    true
}

/// What becomes of a denial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// It is enforced.
    #[default]
    Enforce,
    /// It is logged, and the request passes.
    Audit,
}

/// What becomes of a container that runs with a denied image and that no request asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WatchMode {
    /// It is reported in the audit log.
    #[default]
    Report,
    /// It is reported and stopped.
    Stop,
}

/// An allowed registry.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RegistryFile {
    /// `host`, `host:port` or `*.domain`.
    pub host: String,
    /// Patterns of repositories, as `acme/**`. Absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repositories: Option<Vec<String>>,
    /// `pull`, `push`. Absent: `pull`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actions: Option<Vec<Right>>,
    /// Hosts that the registry redirects to; the daemon may reach them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redirect_hosts: Vec<String>,
    /// Which way the daemon takes there. Absent: `inspect` where the network gate inspects, else `direct`; Docker Hub by the
    /// mirror where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Via>,
}

/// Which of Docker Hub's images are allowed.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DockerHubFile {
    /// Namespaces of our own; always allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub organizations: Vec<String>,
    /// Docker Official Images. Absent: `deny`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub official: Option<Switch>,
    /// Which names of the namespace `library` are official: `all`, or `listed`: those that are maintained today. Absent: `all`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub official_names: Option<OfficialNames>,
    /// Images of verified publishers. Absent: `deny`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_publisher: Option<Switch>,
    /// Docker-Sponsored Open Source. Absent: `deny`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sponsored_open_source: Option<Switch>,
    /// All others. Absent: `deny`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub community: Option<Switch>,
    /// Patterns of repositories that are allowed whatever their category.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<String>,
}

/// Which names of the namespace `library` are official images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OfficialNames {
    /// All of them.
    #[default]
    All,
    /// Those in the list of official images that this version of ramgate brings along.
    Listed,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Switch {
    /// Yes.
    Allow,
    /// No.
    Deny,
}

/// A prefix of names whose content comes from elsewhere.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OriginFile {
    /// The prefix as users name it: `harbor.acme.example/hub/`.
    pub prefix: String,
    /// What it stands for: `docker.io/`.
    pub origin: String,
}

/// What may become an image without a pull.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct LocalImagesFile {
    /// `docker build`. Default `gated`: while the daemon uses the mirror and the egress gate.
    pub build: LocalRule,
    /// A builder in a container, as `docker buildx create --driver docker-container` makes it: it fetches past the daemon, and so
    /// past the mirror and the egress gate. Default `deny`.
    pub builder: LocalRule,
    /// `docker load`. Default `deny`.
    pub load: LocalRule,
    /// `docker import`. Default `deny`.
    pub import: LocalRule,
    /// `docker commit`. Default `allow`.
    pub commit: LocalRule,
    /// `docker tag`. Default `allow`.
    pub tag: LocalRule,
    /// Images of which it is not known where they came from. Default `deny`.
    pub unknown: LocalRule,
}

/// What the daemon may reach besides registries.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EgressFile {
    /// `host`, `host:port` or `*.domain`; without a port, 80 and 443.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// What becomes of containers' own traffic that is for no registry, where the network gate takes it. Default `pass`.
    #[serde(default, skip_serializing_if = "Containers::is_default")]
    pub containers: Containers,
}

/// What becomes of traffic that is taken from containers, and is for no registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Containers {
    /// It goes where its name leads: to public addresses.
    #[default]
    Pass,
    /// It goes where the daemon's may go, and nowhere else.
    Deny,
}

/// Who is exempt, and who has rules of their own.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SubjectsFile {
    /// Names of callers whom nothing is denied at the engine gate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<String>,
    /// Whether image actions need a caller with an identity.
    #[serde(default)]
    pub require_identity: bool,
    /// Groups of callers, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub teams: BTreeMap<String, TeamFile>,
}

/// A group of callers with rules of its own.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TeamFile {
    /// Names, `*` for any characters.
    pub members: Vec<String>,
    /// What differs from the policy's `docker-hub` for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docker_hub: Option<DockerHubFile>,
}

// === impl Containers ===

impl Containers {
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "as serde's `skip_serializing_if` calls it"
    )]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

// === impl LocalImagesFile ===

impl Default for LocalImagesFile {
    fn default() -> Self {
        Self {
            build: LocalRule::Gated,
            builder: LocalRule::Deny,
            load: LocalRule::Deny,
            import: LocalRule::Deny,
            commit: LocalRule::Allow,
            tag: LocalRule::Allow,
            unknown: LocalRule::Deny,
        }
    }
}
