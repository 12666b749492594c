//! The rules by which routes are decided, and in words what each asks and why.

/// By which rule a route is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// It only reads.
    Read,
    /// It changes something, and bears no image.
    NoImage,
    /// Pull or import.
    CreateImage,
    /// Load.
    LoadImage,
    /// Tag.
    TagImage,
    /// Push.
    PushImage,
    /// Search.
    SearchImages,
    /// What a registry says of an image.
    InspectDistribution,
    /// Build.
    Build,
    /// BuildKit: a build whose content is not seen.
    BuildSession,
    /// Create a container.
    CreateContainer,
    /// Start a container that was created before, perhaps from a checkpoint.
    StartContainer,
    /// Stop a container and start it.
    RestartContainer,
    /// Give a container another name.
    RenameContainer,
    /// Run something in a container, which may be a builder.
    ExecInContainer,
    /// Commit.
    CommitContainer,
    /// Create a service.
    CreateService,
    /// Update or roll back a service.
    UpdateService,
    /// Become part of a swarm, whose tasks come without requests.
    JoinSwarm,
    /// What a registry says of a managed plugin.
    InspectPlugin,
    /// Install a managed plugin.
    PullPlugin,
    /// Put another managed plugin in the place of one.
    UpgradePlugin,
    /// Push a managed plugin.
    PushPlugin,
    /// Make a managed plugin from files.
    CreatePlugin,
    /// Run a managed plugin that is there.
    EnablePlugin,
    /// Switch off, remove or change a managed plugin, which may be this one.
    ChangePlugin,
}

// === impl Rule ===

impl Rule {
    /// Every rule, in the order of the document.
    pub(crate) const ALL: [Self; 26] = [
        Self::Read,
        Self::NoImage,
        Self::CreateImage,
        Self::LoadImage,
        Self::TagImage,
        Self::PushImage,
        Self::SearchImages,
        Self::InspectDistribution,
        Self::Build,
        Self::BuildSession,
        Self::CreateContainer,
        Self::StartContainer,
        Self::RestartContainer,
        Self::RenameContainer,
        Self::ExecInContainer,
        Self::CommitContainer,
        Self::CreateService,
        Self::UpdateService,
        Self::JoinSwarm,
        Self::InspectPlugin,
        Self::PullPlugin,
        Self::UpgradePlugin,
        Self::PushPlugin,
        Self::CreatePlugin,
        Self::EnablePlugin,
        Self::ChangePlugin,
    ];

    /// Its name in the document.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Read => "reads",
            Self::NoImage => "no image",
            Self::CreateImage => "pull, import",
            Self::LoadImage => "load",
            Self::TagImage => "tag",
            Self::PushImage => "push",
            Self::SearchImages => "search",
            Self::InspectDistribution => "inspect at the registry",
            Self::Build => "build",
            Self::BuildSession => "BuildKit",
            Self::CreateContainer => "create",
            Self::StartContainer => "start",
            Self::RestartContainer => "restart",
            Self::RenameContainer => "rename",
            Self::ExecInContainer => "exec",
            Self::CommitContainer => "commit",
            Self::CreateService => "create service",
            Self::UpdateService => "update service",
            Self::JoinSwarm => "swarm",
            Self::InspectPlugin => "inspect plugin at the registry",
            Self::PullPlugin => "install plugin",
            Self::UpgradePlugin => "upgrade plugin",
            Self::PushPlugin => "push plugin",
            Self::CreatePlugin => "create plugin",
            Self::EnablePlugin => "enable plugin",
            Self::ChangePlugin => "change plugin",
        }
    }

    /// What must be allowed.
    pub(crate) const fn asks(self) -> &'static str {
        match self {
            Self::Read | Self::NoImage => "nothing: it passes",
            Self::CreateImage => {
                "`fromImage` (all its tags alike): pull of that repository. Else `local-images.import`, and the host of `fromSrc`"
            }
            Self::LoadImage => "`local-images.load`: the names are in the archive",
            Self::TagImage => "`local-images.tag`, and that the image may run by its old name",
            Self::PushImage => "push of the repository, whichever tags",
            Self::SearchImages => "the registry in front of `term`, else Docker Hub",
            Self::InspectDistribution => "pull of the repository",
            Self::Build => {
                "`local-images.build`; the host of `remote`; pull of what `cachefrom` names; push of what `outputs` pushes"
            }
            Self::BuildSession => "`local-images.build`: after the upgrade nothing is seen",
            Self::CreateContainer => {
                "that `Image`, and each image in `Mounts`, may run, and the images of the containers in `VolumesFrom`; `local-images.builder` where it is a builder"
            }
            Self::StartContainer => {
                "that the container's image, and each image that was mounted into it, may run; with `checkpoint-dir` also `local-images.unknown`"
            }
            Self::RestartContainer => "that the container's image may run",
            Self::RenameContainer => {
                "that the container's image may run: a denied one takes no name that another is started by"
            }
            Self::ExecInContainer => "`local-images.builder` where it is `buildctl`; else nothing",
            Self::CommitContainer => {
                "`local-images.commit`, and that the container's image may run"
            }
            Self::CreateService => "that the image may run; pull of a plugin's `remote`",
            Self::UpdateService => {
                "as for create; with `rollback` also that the image before may run"
            }
            Self::JoinSwarm => "that mirror and network gate are in force",
            Self::InspectPlugin => "pull of `remote`",
            Self::PullPlugin => "pull of `remote`; not under the name of ramgate",
            Self::UpgradePlugin => {
                "pull of `remote`; not in the place of ramgate, and no plugin by its ID"
            }
            Self::PushPlugin => "push of the repository; no plugin by its ID",
            Self::CreatePlugin => "`local-images.load`; not under the name of ramgate",
            Self::EnablePlugin => "pull of what it came from; ramgate itself is let pass",
            Self::ChangePlugin => "that it is not ramgate, and no plugin by its ID",
        }
    }
}
