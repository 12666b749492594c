//! The map of what is enforced: each way to an image, by each thing that the policy can tell images by.
//!
//! Pure: what is proven of engine and gates comes in as [`Terms`]. `tests/scenarios/doctor.rs` does what the map says can be done,
//! and what it says cannot.

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

type Verdict = (State, &'static str, Option<&'static str>);

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

// === impl Terms ===

impl Terms {
    fn verdict(&self, path: Path, granularity: Granularity) -> Verdict {
        if let Some(reason) = self.inapplicable(path, granularity) {
            return (State::NotApplicable, reason, None);
        }
        if self.audit {
            return open(
                "the policy's mode is audit: what it denies passes",
                "set `mode` to `enforce` in the policy",
            );
        }
        match path {
            Path::Pull => self.pull(granularity),
            Path::Run if self.plugin => {
                enforced("the engine gate judges the image that starts, by its ID")
            }
            Path::Run => open("an image that is on the host starts unasked", PLUGIN),
            Path::ClassicBuild => {
                self.build(granularity, self.plugin, self.hosts && self.containerd)
            }
            Path::BuildKit | Path::AddUrl => {
                self.build(granularity, self.plugin && !self.grpc, self.hosts)
            }
            Path::PluginInstall if self.plugin => enforced(NAMED),
            Path::PluginInstall => self.unasked(granularity, false),
            Path::SwarmService => self.service(granularity),
            Path::Push if self.plugin => enforced(NAMED),
            Path::Push if granularity == Granularity::Registry && self.egress => enforced(HOST),
            Path::Push => open("nobody asks whether it may be pushed to", PLUGIN),
            Path::Load => self.local(self.load),
            Path::Import => self.local(self.import),
        }
    }

    /// Why there is nothing to enforce.
    fn inapplicable(&self, path: Path, granularity: Granularity) -> Option<&'static str> {
        if path == Path::SwarmService && !self.swarm {
            return Some(
                "this node is in no swarm, and ramgate lets it join one only while its gates are in force",
            );
        }
        let is_local = matches!(path, Path::Load | Path::Import);
        match granularity {
            Granularity::Registry | Granularity::Repository | Granularity::Category if is_local => {
                Some("what comes in a file bears no name to be believed")
            }
            Granularity::Digest if is_local => None,
            Granularity::Repository | Granularity::Category | Granularity::Digest
                if path == Path::AddUrl =>
            {
                Some("a URL is told by its host")
            }
            Granularity::Category | Granularity::Digest if path == Path::Push => {
                Some("the policy says where to may be pushed, not what")
            }
            Granularity::Digest if path == Path::PluginInstall => {
                Some("plugins are no images, and told by their names")
            }
            Granularity::Registry if !self.registries => {
                Some("the policy has no `registries`: all are allowed")
            }
            Granularity::Repository if !self.hub_repositories && !self.other_repositories => {
                Some("the policy names no `repositories` of a registry")
            }
            Granularity::Category if !self.hub => {
                Some("the policy has no `docker-hub`: all its images are allowed")
            }
            Granularity::Digest if !self.registries && !self.hub => {
                Some("the policy allows every image")
            }
            Granularity::Registry
            | Granularity::Repository
            | Granularity::Category
            | Granularity::Digest => None,
        }
    }

    fn pull(&self, granularity: Granularity) -> Verdict {
        match granularity {
            Granularity::Digest if self.plugin => {
                enforced("the engine gate judges the image by its ID when it starts")
            }
            _ if self.plugin => enforced(NAMED),
            Granularity::Registry
            | Granularity::Repository
            | Granularity::Category
            | Granularity::Digest => self.unasked(granularity, self.hosts && self.containerd),
        }
    }

    /// A build that the engine gate sees or not, whose fetches follow `hosts.toml` or not.
    fn build(&self, granularity: Granularity, seen: bool, steered: bool) -> Verdict {
        match self.build {
            Local::Deny if seen => enforced("builds are refused: `local-images.build` is deny"),
            Local::Gated if seen && !self.gates => {
                enforced("builds are refused until mirror and network gate are in force")
            }
            Local::Allow | Local::Gated | Local::Deny => match granularity {
                Granularity::Digest if self.plugin => {
                    enforced("what is built is judged when it starts, by what it rests on")
                }
                Granularity::Registry
                | Granularity::Repository
                | Granularity::Category
                | Granularity::Digest => self.unasked(granularity, steered),
            },
        }
    }

    /// What the engine fetches without a question to the engine gate.
    fn unasked(&self, granularity: Granularity, steered: bool) -> Verdict {
        match granularity {
            Granularity::Registry if self.egress => enforced(HOST),
            Granularity::Repository if self.other_repositories && !steered => open(
                "of registries other than Docker Hub the network gate sees the host alone",
                "give the registry to the mirror by `hosts.toml` (engines since 28.0; docker pull and classic builds with the \
                 containerd store), or allow it whole",
            ),
            Granularity::Registry | Granularity::Repository | Granularity::Category if steered => {
                enforced("`hosts.toml` leads all registries to the mirror")
            }
            Granularity::Registry => open("the engine reaches every host", EGRESS),
            Granularity::Repository | Granularity::Category if self.mirror && self.egress => {
                enforced("Docker Hub is reached through the mirror alone")
            }
            Granularity::Repository | Granularity::Category if !self.mirror => open(
                "Docker Hub is not asked through the mirror",
                "set `registry-mirrors` in daemon.json to ramgate's mirror alone, and the daemon's proxy to its network gate",
            ),
            Granularity::Repository | Granularity::Category => open(
                "refused by the mirror, the engine goes to Docker Hub itself",
                EGRESS,
            ),
            Granularity::Digest => open("an image under another name passes", PLUGIN),
        }
    }

    fn service(&self, granularity: Granularity) -> Verdict {
        match granularity {
            Granularity::Digest => open(
                "tasks start without a question; the watch finds those that are denied afterwards",
                "set `watch` to `stop` in the policy, so that they are stopped",
            ),
            _ if self.plugin => enforced(NAMED),
            Granularity::Registry | Granularity::Repository | Granularity::Category => {
                self.unasked(granularity, self.hosts && self.containerd)
            }
        }
    }

    fn local(&self, rule: Local) -> Verdict {
        match rule {
            _ if !self.plugin => open("nobody is asked", PLUGIN),
            Local::Deny => enforced("refused: `local-images` says deny"),
            Local::Gated if !self.gates => {
                enforced("refused until mirror and network gate are in force")
            }
            Local::Allow | Local::Gated => open(
                "the policy lets in what nobody knows the origin of",
                "set it to `deny` in `local-images` of the policy",
            ),
        }
    }
}

const fn enforced(reason: &'static str) -> Verdict {
    (State::Enforced, reason, None)
}

const fn open(reason: &'static str, fix: &'static str) -> Verdict {
    (State::Open, reason, Some(fix))
}

const NAMED: &str = "the engine gate judges the name before the engine acts";
const HOST: &str = "the network gate lets the engine reach allowed hosts alone";
const PLUGIN: &str =
    "set `authorization-plugins` in daemon.json to [\"ramgate\"] and restart or reload the engine";
const EGRESS: &str = "send the engine through ramgate's network gate: `proxies` in daemon.json, or HTTP_PROXY and HTTPS_PROXY of \
                      docker.service";

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Terms = Terms {
        audit: false,
        registries: true,
        hub_repositories: false,
        other_repositories: false,
        hub: true,
        build: Local::Gated,
        load: Local::Deny,
        import: Local::Deny,
        plugin: false,
        grpc: false,
        containerd: false,
        mirror: false,
        egress: false,
        hosts: false,
        gates: false,
        swarm: false,
    };
    const STANDARD: Terms = Terms {
        plugin: true,
        mirror: true,
        egress: true,
        gates: true,
        ..NONE
    };

    fn open_fields(terms: &Terms) -> Vec<(Path, Granularity)> {
        let open = map(terms)
            .into_iter()
            .filter(|cell| cell.state == State::Open);
        open.inspect(|cell| assert!(cell.fix.is_some(), "{cell:?}"))
            .map(|cell| (cell.path, cell.granularity))
            .collect()
    }

    #[test]
    fn at_level_standard_nothing_is_open() {
        assert_eq!(open_fields(&STANDARD), []);
    }

    #[test]
    fn without_anything_nothing_is_enforced() {
        let map = map(&NONE);
        assert!(map.iter().all(|cell| cell.state != State::Enforced));
        assert!(map.iter().any(|cell| cell.state == State::Open));
    }

    #[test]
    fn with_the_plugin_alone_builds_are_refused_unless_the_policy_allows_them_or_nobody_is_asked() {
        let plugin = Terms {
            plugin: true,
            ..NONE
        };
        assert_eq!(open_fields(&plugin), []);
        let builds = Terms {
            build: Local::Allow,
            ..plugin
        };
        let open: Vec<Path> = open_fields(&builds)
            .into_iter()
            .map(|(path, _)| path)
            .collect();
        for path in [Path::ClassicBuild, Path::BuildKit, Path::AddUrl] {
            assert!(open.contains(&path), "{path:?}");
        }
        assert!(!open.contains(&Path::Pull));
        let grpc = Terms {
            grpc: true,
            ..plugin
        };
        assert!(open_fields(&grpc).contains(&(Path::BuildKit, Granularity::Registry)));
        assert!(!open_fields(&grpc).contains(&(Path::ClassicBuild, Granularity::Registry)));
    }

    #[test]
    fn repositories_of_other_registries_are_open_to_builds_until_hosts_toml_leads_to_the_mirror() {
        let other = Terms {
            other_repositories: true,
            ..STANDARD
        };
        let builds = [
            (Path::ClassicBuild, Granularity::Repository),
            (Path::BuildKit, Granularity::Repository),
        ];
        assert_eq!(open_fields(&other), builds);
        let hosts = Terms {
            hosts: true,
            ..other
        };
        assert_eq!(open_fields(&hosts), builds[..1]);
        let containerd = Terms {
            containerd: true,
            ..hosts
        };
        assert_eq!(open_fields(&containerd), []);
    }

    #[test]
    fn a_mirror_without_the_network_gate_is_a_cache() {
        let mirror = Terms {
            mirror: true,
            ..NONE
        };
        assert!(open_fields(&mirror).contains(&(Path::Pull, Granularity::Category)));
        let both = Terms {
            egress: true,
            ..mirror
        };
        assert!(!open_fields(&both).contains(&(Path::Pull, Granularity::Category)));
    }

    #[test]
    fn in_mode_audit_whatever_applies_is_open() {
        let audit = Terms {
            audit: true,
            ..STANDARD
        };
        assert!(map(&audit).iter().all(|cell| cell.state != State::Enforced));
    }
}
