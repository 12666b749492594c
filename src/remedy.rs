//! What to do about a refusal, by its code. `docs/reasons.md` has the whole table.

/// What an administrator, or whoever asked, does about it.
pub(crate) fn remedy(reason: &str) -> &'static str {
    match reason {
        "registry-not-allowed" => {
            "if the registry is to be used, add its host to `registries` of the policy"
        }
        "repository-not-allowed" => {
            "if the repository is to be used, add it to the registry's `repositories` in the policy"
        }
        "action-not-allowed" => "add the right, usually `push`, to the `actions` of the rule",
        "category-not-allowed" => {
            "use an official image, or add the repository to `docker-hub.repositories` of the policy"
        }
        "category-unknown" => {
            "what Docker Hub says of the namespace is not known: see `ramgate catalog show NAMESPACE`"
        }
        "origin-unclear" => "see `origins` of the policy, and name the registry that it comes from",
        "identity-required" => {
            "the policy's `subjects.require-identity` wants a TLS client certificate"
        }
        "local-image-not-allowed" => {
            "see `local-images` of the policy; an image of unknown origin is vouched for with `ramgate ledger adopt IMAGE`"
        }
        "gates-not-in-force" => "`ramgate doctor` says what the engine lacks",
        "host-not-allowed" => {
            "if the engine is to fetch from this host, add it to `egress.hosts` of the policy, or its registry to `registries`"
        }
        "docker-hub-only-by-mirror" => {
            "`ramgate check IMAGE` says whether the image is allowed; Docker Hub is reached through the mirror alone"
        }
        "registry-not-direct" => {
            "pull through the mirror; or set another `via` for the registry in the policy, or `egress.inspect`"
        }
        "no-registry-path" => {
            "what is no registry belongs into `egress.hosts` of the policy, not into `registries`"
        }
        "own-plugin" => "administrators change this in daemon.json",
        "engine-unavailable" | "timeout" => "try again; if it stays, see `ramgate status`",
        _ => "see the code in docs/reasons.md",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_a_policys_denial_has_its_remedy() {
        let table = include_str!("../docs/reasons.md");
        let policy = table.split("\n## It could not").next().unwrap();
        let codes: Vec<&str> = policy
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
            .collect();
        assert!(codes.len() > 10, "{codes:?}");
        for code in codes {
            assert!(!remedy(code).contains("docs/reasons.md"), "{code}");
        }
    }
}
