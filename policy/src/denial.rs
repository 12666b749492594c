//! Refusals, and the words in which users read them.
//!
//! A denial begins with the stable wording of Docker Desktop's own refusals, so that runbooks match, and goes on to the
//! rule, and whom to ask.

use std::fmt;
use std::sync::Arc;

use crate::action::Action;
use crate::category::Category;
use crate::host::{Host, Registry};
use crate::local::LocalImage;
use crate::official::OFFICIAL_NAMES_DATE;
use crate::repository::{OFFICIAL_NAMESPACE, Repository};
use crate::standing::Doubt;
use crate::via::Via;

/// A refusal. Its [`Display`](fmt::Display) is the text that users read: one line, fit for a reason phrase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Boxed, so that a decision is small whichever way it goes.
    reason: Box<Reason>,
    derived_from: Option<Box<Repository>>,
    contact: Option<Arc<str>>,
    drop_in: Option<Arc<str>>,
}

/// Why something is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The registry is on no allow-list.
    RegistryNotAllowed(Registry),
    /// The registry is on the list, but not for this repository.
    RepositoryNotAllowed(Repository),
    /// The rule that covers the repository does not give the right.
    ActionNotAllowed(Repository, Action, Arc<str>),
    /// Docker Hub's category of the repository is not allowed.
    CategoryNotAllowed(Repository, Category),
    /// Docker Hub's category of the repository is not known, and community is not allowed.
    CategoryUnknown(Repository, Doubt),
    /// Where the content comes from cannot be told.
    OriginUnclear(Repository),
    /// The caller gave no identity and the policy wants one.
    IdentityRequired,
    /// An image may not come to be this way.
    LocalImageNotAllowed(LocalImage),
    /// Gates that the policy relies on are not in force.
    GatesNotInForce(LocalImage),
    /// The host is neither an allowed registry, nor one of its hosts, nor in `egress.hosts`.
    HostNotAllowed(Registry, u16),
    /// Docker Hub is reached through the mirror alone.
    DockerHubOnlyByMirror(Host),
    /// The registry is reached another way than by a tunnel.
    NotDirect(Registry, Via),
}

// === impl Denial ===

impl Denial {
    pub(crate) fn new(reason: Reason, contact: Option<Arc<str>>) -> Self {
        Self {
            reason: Box::new(reason),
            derived_from: None,
            contact,
            drop_in: None,
        }
    }

    /// Notes which drop-in denies it.
    pub(crate) fn by_drop_in(self, name: &Arc<str>) -> Self {
        Self {
            drop_in: Some(Arc::clone(name)),
            ..self
        }
    }

    /// Notes under which name the caller asked for content that the reason names by its origin.
    pub(crate) fn of_origin(self, named: Repository) -> Self {
        Self {
            derived_from: Some(Box::new(named)),
            ..self
        }
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> &Reason {
        &self.reason
    }

    /// The line of the policy that decided, for logs.
    #[must_use]
    pub fn rule(&self) -> String {
        match &self.drop_in {
            Some(name) => format!("{name}: {}", self.reason.rule()),
            None => self.reason.rule(),
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} (ramgate: ", self.reason)?;
        if let Some(named) = &self.derived_from {
            write!(formatter, "{named} serves content of another origin; ")?;
        }
        self.reason.write_explanation(formatter)?;
        if let Some(name) = &self.drop_in {
            write!(formatter, ", by the drop-in {name}")?;
        }
        if let Some(contact) = &self.contact {
            write!(formatter, "; contact {contact}")?;
        }
        formatter.write_str(")")
    }
}

// === impl Reason ===

impl Reason {
    /// A stable code for logs and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::RegistryNotAllowed(_) => "registry-not-allowed",
            Self::RepositoryNotAllowed(_) => "repository-not-allowed",
            Self::ActionNotAllowed(..) => "action-not-allowed",
            Self::CategoryNotAllowed(..) => "category-not-allowed",
            Self::CategoryUnknown(..) => "category-unknown",
            Self::OriginUnclear(_) => "origin-unclear",
            Self::IdentityRequired => "identity-required",
            Self::LocalImageNotAllowed(_) => "local-image-not-allowed",
            Self::GatesNotInForce(_) => "gates-not-in-force",
            Self::HostNotAllowed(..) => "host-not-allowed",
            Self::DockerHubOnlyByMirror(_) => "docker-hub-only-by-mirror",
            Self::NotDirect(..) => "registry-not-direct",
        }
    }

    fn rule(&self) -> String {
        match self {
            Self::RegistryNotAllowed(_) | Self::RepositoryNotAllowed(_) | Self::NotDirect(..) => {
                "registries".to_owned()
            }
            Self::ActionNotAllowed(_, _, rule) => rule.as_ref().to_owned(),
            Self::CategoryNotAllowed(_, category) => category.rule().to_owned(),
            Self::CategoryUnknown(..) => Category::Community.rule().to_owned(),
            Self::OriginUnclear(_) => "origins".to_owned(),
            Self::IdentityRequired => "subjects.require-identity".to_owned(),
            Self::LocalImageNotAllowed(kind) | Self::GatesNotInForce(kind) => {
                format!("local-images.{}", kind.key())
            }
            Self::HostNotAllowed(..) | Self::DockerHubOnlyByMirror(_) => "egress".to_owned(),
        }
    }

    fn write_explanation(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RegistryNotAllowed(registry) => {
                write!(formatter, "{registry} is not on the allow-list")
            }
            Self::RepositoryNotAllowed(repository) => {
                write!(
                    formatter,
                    "{repository} matches none of the repositories allowed there"
                )
            }
            Self::ActionNotAllowed(_, action, rule) => write!(
                formatter,
                "{rule} does not list `{}`",
                action.right().as_str()
            ),
            Self::CategoryNotAllowed(repository, Category::Community)
                if repository.namespace() == OFFICIAL_NAMESPACE =>
            {
                write!(
                    formatter,
                    "docker-hub.official-names is listed, and it is no official image of {OFFICIAL_NAMES_DATE}"
                )
            }
            Self::CategoryNotAllowed(_, category) => {
                write!(formatter, "{} is deny", category.rule())
            }
            Self::CategoryUnknown(repository, doubt) => write!(
                formatter,
                "{} is deny, and whether {} is a verified publisher or sponsored is not known: {doubt}",
                Category::Community.rule(),
                repository.namespace()
            ),
            Self::OriginUnclear(_) => {
                formatter.write_str("`origins` of the policy lead in a circle or too far")
            }
            Self::IdentityRequired => formatter.write_str("subjects.require-identity is true"),
            Self::LocalImageNotAllowed(kind) => {
                write!(formatter, "local-images.{} is deny", kind.key())
            }
            Self::GatesNotInForce(kind) => write!(
                formatter,
                "local-images.{} is gated, and the daemon does not use the mirror and the egress gate",
                kind.key()
            ),
            Self::HostNotAllowed(host, port) => {
                write!(
                    formatter,
                    "{}:{port} belongs to no allowed registry and is not in egress.hosts",
                    host.host()
                )
            }
            Self::NotDirect(_, Via::Mirror | Via::Direct) => formatter.write_str(
                "`via` of the registry is `mirror`; `ramgate check IMAGE` says whether an image is allowed",
            ),
            Self::NotDirect(_, Via::Inspect) => formatter.write_str(
                "`via` of the registry is `inspect`, and `egress.inspect` of the settings is not set",
            ),
            Self::DockerHubOnlyByMirror(_) => {
                formatter.write_str("Docker Hub is reached through the mirror only; `ramgate check IMAGE` says whether an image is allowed")
            }
        }
    }
}

impl fmt::Display for Reason {
    /// The stable first half; source of the wording: Docker Desktop 4.85 and docker/docs `image-access-management.md`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RegistryNotAllowed(registry) => {
                restricted(formatter, registry, "registry", "registries")
            }
            Self::RepositoryNotAllowed(repository) => {
                restricted(formatter, repository.registry(), "repository", "repositories")
            }
            Self::ActionNotAllowed(repository, action, _) => write!(
                formatter,
                "Access to {} has been restricted by your administrators: {action} of {repository} is not allowed",
                repository.registry()
            ),
            Self::CategoryNotAllowed(repository, category) => {
                write!(formatter, "image access denied: {category} images not allowed: {repository}")
            }
            Self::CategoryUnknown(repository, _) => {
                write!(formatter, "image access denied: {} images not allowed: {repository}", Category::Community)
            }
            Self::OriginUnclear(repository) => {
                write!(formatter, "image access denied: the origin of {repository} cannot be told")
            }
            Self::IdentityRequired => {
                formatter.write_str("image access denied: sign in to continue: this daemon wants callers with an identity")
            }
            Self::LocalImageNotAllowed(kind) => write!(formatter, "image access denied: {kind} has been restricted by your administrators"),
            Self::GatesNotInForce(kind) => write!(formatter, "image access denied: {kind} is not allowed on this daemon"),
            // A web port says nothing that the host does not.
            Self::HostNotAllowed(registry, 80 | 443) => {
                restricted(formatter, registry.host(), "registry", "registries")
            }
            Self::HostNotAllowed(registry, _) => {
                restricted(formatter, registry, "registry", "registries")
            }
            Self::NotDirect(registry, _) => write!(
                formatter,
                "Access to {registry} has been restricted by your administrators: the daemon may not fetch this directly"
            ),
            Self::DockerHubOnlyByMirror(_) => formatter
                .write_str("Access to docker.io has been restricted by your administrators: the mirror did not serve this, and the daemon may not fetch it directly"),
        }
    }
}

fn restricted(
    formatter: &mut fmt::Formatter<'_>,
    place: &dyn fmt::Display,
    one: &str,
    many: &str,
) -> fmt::Result {
    write!(
        formatter,
        "Access to {place} has been restricted by your administrators. \
         To access this {one}, ask your administrators to add it to the allowed {many}"
    )
}
