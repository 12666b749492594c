//! What is concluded for each field of the map, why, and what would close it.

use super::{Granularity, Local, Path, State, Terms};

/// The state of a field, the reason, and the fix.
type Verdict = (State, &'static str, Option<&'static str>);

// === impl Terms ===

impl Terms {
    pub(super) fn verdict(&self, path: Path, granularity: Granularity) -> Verdict {
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
            Path::Push if self.inspect && self.egress => enforced(READ),
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
            Granularity::Repository | Granularity::Category if self.inspect && self.egress => {
                enforced(READ)
            }
            Granularity::Repository if self.other_repositories && !steered => open(
                "of registries other than Docker Hub the network gate sees the host alone",
                "`ramgate install --level strict`; or give the registry to the mirror by `hosts.toml` (engines since 28.0; docker pull \
                 and classic builds with the containerd store), or allow it whole",
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
const READ: &str = "what goes to registries is read by the network gate, and judged by repository";
const PLUGIN: &str =
    "set `authorization-plugins` in daemon.json to [\"ramgate\"] and restart or reload the engine";
const EGRESS: &str = "send the engine through ramgate's network gate: `proxies` in daemon.json, or HTTP_PROXY and HTTPS_PROXY of \
                      docker.service";
