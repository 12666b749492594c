//! What is asked for on each path, and by what it is told.

use ramgate_lab::{Lab, Upstream};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Something allowed, of Docker Hub.
    Hub,
    /// Something allowed, of a registry that users log in to.
    Registry,
    /// Something allowed that is no registry's.
    Host,
    /// Something of a registry or host that is not allowed.
    DeniedHost,
    /// Something of a repository that is not allowed, in an allowed registry.
    DeniedRepository,
    /// Something of Docker Hub in a category that is not allowed.
    DeniedCategory,
    /// Something that may be pulled, and is pushed.
    DeniedAction,
}

// === impl Target ===

impl Target {
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Hub => "allowed, of Docker Hub",
            Self::Registry => "allowed, of ghcr.io",
            Self::Host => "allowed",
            Self::DeniedHost => "denied by host",
            Self::DeniedRepository => "denied by repository",
            Self::DeniedCategory => "denied by category",
            Self::DeniedAction => "denied by right",
        }
    }

    pub(crate) const fn is_denied(self) -> bool {
        matches!(
            self,
            Self::DeniedHost | Self::DeniedRepository | Self::DeniedCategory | Self::DeniedAction
        )
    }

    /// An image there.
    pub(crate) const fn image(self) -> &'static str {
        match self {
            Self::Hub | Self::Host => "docker.io/library/alpine:3",
            Self::Registry => "ghcr.io/acme/app:1",
            Self::DeniedHost => "denied.example/acme/app:1",
            Self::DeniedRepository => "ghcr.io/other/thing:1",
            Self::DeniedCategory => "docker.io/evil/tool:latest",
            Self::DeniedAction => "docker.io/acme/app:1",
        }
    }

    /// The repository of [`Self::image`].
    pub(crate) fn repository(self) -> &'static str {
        let repository = self.image().split_once('/').map(|(_, rest)| rest);
        let repository = repository.and_then(|rest| rest.rsplit_once(':'));
        repository.map_or("", |(repository, _)| repository)
    }

    /// A managed plugin there.
    pub(crate) const fn plugin(self) -> &'static str {
        match self {
            Self::Hub | Self::Host | Self::DeniedAction => "docker.io/acme/volumes:1",
            Self::Registry => "ghcr.io/acme/volumes:1",
            Self::DeniedHost => "denied.example/acme/volumes:1",
            Self::DeniedRepository => "ghcr.io/other/volumes:1",
            Self::DeniedCategory => "docker.io/evil/volumes:1",
        }
    }

    /// The registry or host.
    pub(crate) const fn host(self) -> &'static str {
        match self {
            Self::Hub | Self::DeniedCategory | Self::DeniedAction => "docker.io",
            Self::Registry | Self::DeniedRepository => "ghcr.io",
            Self::Host => "files.example",
            Self::DeniedHost => "denied.example",
        }
    }

    pub(crate) fn upstream(self, lab: &Lab) -> &Upstream {
        match self {
            Self::Hub | Self::DeniedCategory | Self::DeniedAction => lab.docker_hub(),
            Self::Registry | Self::DeniedRepository => lab.ghcr(),
            Self::Host => lab.files_host(),
            Self::DeniedHost => lab.denied_host(),
        }
    }

    /// What of the world has heard of it that should not have: connections to a host, requests for a repository.
    pub(crate) fn heard(self, lab: &Lab) -> Vec<String> {
        let upstream = self.upstream(lab);
        let asked = |paths: &[&str], is_bad: fn(&str) -> bool| {
            let requests = paths.iter().flat_map(|path| upstream.requests_under(path));
            let bad = requests.filter(|request| is_bad(request.method.as_str()));
            bad.map(|request| request.to_string()).collect()
        };
        match self {
            Self::Hub | Self::Registry | Self::Host => Vec::new(),
            Self::DeniedHost => (0..upstream.connections())
                .map(|_| "a connection".to_owned())
                .collect(),
            Self::DeniedRepository => asked(&["/v2/other/"], |_| true),
            Self::DeniedCategory => asked(&["/v2/evil/"], |_| true),
            Self::DeniedAction => {
                asked(&["/v2/acme/"], |method| method != "GET" && method != "HEAD")
            }
        }
    }
}
