//! Policies, drop-ins and denials as somebody might write them.

use proptest::prelude::*;
use ramgate_policy::Policy;
use serde_json::{Map, Value, json};

use crate::asked::Answer;

/// Something that is denied besides.
#[derive(Clone, Debug)]
pub(crate) enum Denial {
    /// A category, by the policy and by the team.
    Category(&'static str),
    /// A way in which an image comes to be here.
    Local(&'static str),
    /// Callers without a name.
    Anonymous,
    /// What a closer rule no longer gives: pulling below a pattern of `ghcr.io`.
    Pulling(String),
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "ab", "library"]).prop_map(str::to_owned)
}

fn host() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "docker.io",
        "ghcr.io",
        "*.corp.example",
        "x.corp.example",
        "mirror.gcr.io",
        "site.example:5000",
    ])
}

fn pattern() -> impl Strategy<Value = String> {
    (
        name(),
        prop::sample::select(vec!["/**", "/*", "/a", "/b*", "/b*a"]),
    )
        .prop_map(|(name, end)| name + end)
}

fn registry() -> impl Strategy<Value = Value> {
    let actions = [json!(["pull"]), json!(["push"]), json!(["pull", "push"])];
    let patterns = prop::collection::btree_set(pattern(), 1..3);
    let redirects = prop::sample::subsequence(vec!["cdn.example", "x.corp.example"], 0..2);
    let parts = (
        host(),
        prop::option::of(patterns),
        prop::sample::select(actions.to_vec()),
        redirects,
    );
    parts.prop_map(|(host, repositories, actions, redirects)| {
        let mut entry = json!({ "host": host, "actions": actions, "redirect-hosts": redirects });
        if let Some(repositories) = repositories {
            entry["repositories"] = json!(repositories);
        }
        entry
    })
}

fn hub() -> impl Strategy<Value = Value> {
    let switch = || prop::option::of(prop::sample::select(vec!["allow", "allow", "deny"]));
    let names = prop::sample::select(vec!["all", "all", "listed"]);
    let switches = [switch(), switch(), switch(), switch()];
    let organizations = prop::sample::subsequence(vec!["a", "b"], 0..2);
    let repositories = prop::collection::btree_set(pattern(), 0..2);
    (switches, names, organizations, repositories).prop_map(
        |(switches, names, organizations, repositories)| {
            let mut hub = json!({ "official-names": names, "organizations": organizations, "repositories": repositories });
            for (category, switch) in CATEGORIES.into_iter().zip(switches) {
                if let Some(switch) = switch {
                    hub[category] = json!(switch);
                }
            }
            hub
        },
    )
}

fn local() -> impl Strategy<Value = Value> {
    let rule = || prop::option::of(prop::sample::select(vec!["allow", "gated", "deny"]));
    prop::array::uniform7(rule()).prop_map(|rules| {
        let keys = LOCAL.into_iter().zip(rules);
        let said = keys.filter_map(|(key, rule)| Some((key.to_owned(), json!(rule?))));
        Value::Object(said.collect::<Map<_, _>>())
    })
}

/// What a drop-in can have.
pub(crate) fn drop_in() -> impl Strategy<Value = Value> {
    let parts = (
        prop::option::of(prop::collection::vec(registry(), 0..4)),
        prop::option::of(hub()),
        prop::option::weighted(0.6, local()),
        prop::bool::weighted(0.2),
    );
    parts.prop_map(|(registries, hub, local, identity)| {
        let mut policy = json!({ "version": 1 });
        let parts = [
            ("registries", registries.map(Value::from)),
            ("docker-hub", hub),
            ("local-images", local),
            (
                "subjects",
                identity.then(|| json!({ "require-identity": true })),
            ),
        ];
        for (key, part) in parts {
            if let Some(part) = part {
                policy[key] = part;
            }
        }
        policy
    })
}

/// A policy; it may have teams, of which `m1` is a member, and a site's own copy of Docker Hub.
pub(crate) fn policy() -> impl Strategy<Value = Value> {
    let team = || prop::option::of(hub());
    let via = prop::sample::select(vec!["", "", "direct", "inspect", "mirror"]);
    let parts = (drop_in(), team(), team(), any::<bool>(), any::<bool>(), via);
    parts.prop_map(|(mut policy, one, other, has_origin, has_egress, via)| {
        let registries = policy.get_mut("registries").and_then(Value::as_array_mut);
        if let Some(entry) = registries.and_then(|entries| entries.first_mut())
            && !via.is_empty()
        {
            entry["via"] = json!(via);
        }
        for (name, members, hub) in [("one", "m*", one), ("other", "m1", other)] {
            if let Some(hub) = hub {
                policy["subjects"]["teams"][name] =
                    json!({ "members": [members], "docker-hub": hub });
            }
        }
        if has_origin {
            policy["origins"] =
                json!([{ "prefix": "site.example:5000/a/", "origin": "docker.io/" }]);
        }
        if has_egress {
            policy["egress"] = json!({ "hosts": ["files.example"] });
        }
        policy
    })
}

pub(crate) fn denial() -> impl Strategy<Value = Denial> {
    prop_oneof![
        prop::sample::select(CATEGORIES.to_vec()).prop_map(Denial::Category),
        prop::sample::select(LOCAL.to_vec()).prop_map(Denial::Local),
        Just(Denial::Anonymous),
        pattern().prop_map(Denial::Pulling),
    ]
}

// === impl Denial ===

impl Denial {
    pub(crate) fn added_to(&self, policy: &Value) -> Value {
        let mut policy = policy.clone();
        match self {
            Self::Category(category) => {
                policy["docker-hub"][category] = json!("deny");
                let teams = policy.pointer_mut("/subjects/teams");
                for team in teams
                    .and_then(Value::as_object_mut)
                    .into_iter()
                    .flat_map(Map::values_mut)
                {
                    team["docker-hub"][category] = json!("deny");
                }
            }
            Self::Local(kind) => policy["local-images"][kind] = json!("deny"),
            Self::Anonymous => policy["subjects"]["require-identity"] = json!(true),
            Self::Pulling(pattern) => {
                if let Some(registries) = policy.get_mut("registries").and_then(Value::as_array_mut)
                {
                    let entry = json!({ "host": "ghcr.io", "repositories": [pattern], "actions": ["push"] });
                    registries.push(entry);
                }
            }
        }
        policy
    }

    /// Whether it says nothing but no of the question. To be pushed to, a registry must be on the list, and reached.
    pub(crate) fn bears_on(&self, answer: &Answer) -> bool {
        !matches!(self, Self::Pulling(_)) || answer.is_fetch
    }

    /// Whether the question is one that it answers, with whatever else is written.
    pub(crate) fn names(&self, answer: &Answer, _policy: &Policy) -> bool {
        match self {
            Self::Category(category) => answer.rule == format!("docker-hub.{category}"),
            Self::Local(kind) => answer.question == format!("local {kind}"),
            Self::Anonymous => answer.caller.is_empty() && answer.is_of_caller,
            Self::Pulling(_) => false,
        }
    }
}

/// Whether a policy, or a drop-in, has a rule of that name, or it is one that every policy has.
pub(crate) fn has(policy: &Value, rule: &str) -> bool {
    let key = |key: &str| policy.get(key).is_some();
    let listed = |pointer: &str, name: &str| {
        let list = policy.pointer(pointer).and_then(Value::as_array);
        list.into_iter().flatten().any(|entry| entry == name)
    };
    let teams = policy.pointer("/subjects/teams").and_then(Value::as_object);
    let teams = || teams.into_iter().flatten();
    let within = |list: &str| {
        rule.strip_prefix(list)?
            .strip_prefix('[')?
            .strip_suffix(']')
    };
    if let Some(host) = within("registries") {
        let entries = policy["registries"].as_array();
        return entries
            .into_iter()
            .flatten()
            .any(|entry| entry["host"] == host);
    }
    if let Some(pattern) = within("docker-hub.repositories") {
        return listed("/docker-hub/repositories", pattern);
    }
    for (name, _) in teams() {
        if let Some(pattern) = within(&format!("subjects.teams.{name}.docker-hub.repositories")) {
            return listed(
                &format!("/subjects/teams/{name}/docker-hub/repositories"),
                pattern,
            );
        }
    }
    match rule {
        "registries" => key("registries"),
        "registries is absent" => !key("registries"),
        "egress.hosts" => key("egress"),
        // Of the network: what no rule opens. Of containers: what is for no registry.
        "egress" | "egress.containers" => true,
        "subjects.require-identity" => policy["subjects"]["require-identity"] == true,
        _ => match rule.split_once('.') {
            Some(("docker-hub", "organizations")) => {
                let ours = policy.pointer("/docker-hub/organizations");
                let theirs =
                    teams().filter_map(|(_, team)| team.pointer("/docker-hub/organizations"));
                ours.into_iter()
                    .chain(theirs)
                    .any(|list| *list != json!([]))
            }
            Some(("docker-hub", category)) => {
                CATEGORIES.contains(&category) && (key("docker-hub") || teams().next().is_some())
            }
            Some(("local-images", kind)) => LOCAL.contains(&kind),
            _ => false,
        },
    }
}

const CATEGORIES: [&str; 4] = [
    "official",
    "verified-publisher",
    "sponsored-open-source",
    "community",
];
const LOCAL: [&str; 7] = [
    "build", "builder", "load", "import", "commit", "tag", "unknown",
];
