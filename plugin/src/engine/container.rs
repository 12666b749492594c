//! Containers as the engine describes them.

use std::collections::HashMap;

use jiff::Timestamp;
use ramgate_policy::Digest;
use serde::Deserialize;

/// `GET /containers/{name}/json`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Container {
    /// Its full ID.
    pub(crate) id: String,
    /// The ID of the image it was made from, which no later tag changes; empty if it was made from none.
    #[serde(default)]
    image: String,
    config: Config,
    #[serde(default)]
    host_config: HostConfig,
    #[serde(default)]
    state: State,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct State {
    started_at: String,
}

/// An entry of `GET /containers/json`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListedContainer {
    /// Its full ID.
    pub(crate) id: String,
    /// The ID of its image, which an older engine may put in other words.
    #[serde(default, rename = "ImageID")]
    pub(crate) image_id: String,
    #[serde(default)]
    labels: Option<HashMap<String, String>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    #[serde(default)]
    image: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct HostConfig {
    mounts: Option<Vec<Mount>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Mount {
    r#type: String,
    source: String,
}

// === impl ListedContainer ===

impl ListedContainer {
    /// Whether it is a task of a swarm's service. A label says so, which anybody can set; it leads to being judged, so nobody gains
    /// by it.
    pub(crate) fn is_task(&self) -> bool {
        let labels = self.labels.as_ref();
        labels.is_some_and(|labels| labels.contains_key(SERVICE))
    }
}

// === impl Container ===

impl Container {
    /// When it was last started, in nanoseconds since 1970; `None` if it never was.
    pub(crate) fn started(&self) -> Option<u64> {
        let started: Timestamp = self.state.started_at.parse().ok()?;
        // The engine's word for never is the first of January of the year one.
        u64::try_from(started.as_nanosecond()).ok()
    }

    /// The ID of its image; `None` if it was made from none.
    pub(crate) fn image(&self) -> Option<Digest> {
        self.image.parse().ok()
    }

    /// The name that its image was given by.
    pub(crate) fn image_name(&self) -> &str {
        &self.config.image
    }

    /// The images that are mounted into it.
    pub(crate) fn image_mounts(&self) -> impl Iterator<Item = &str> {
        let mounts = self.host_config.mounts.iter().flatten();
        mounts
            .filter(|mount| mount.r#type == "image")
            .map(|mount| mount.source.as_str())
    }
}

const SERVICE: &str = "com.docker.swarm.service.id";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_says_when_it_was_started() {
        let container = |started: &str| -> Container {
            let text = format!(
                r#"{{"Id":"c","Config":{{}},"State":{{"Running":true,"StartedAt":"{started}"}}}}"#
            );
            serde_json::from_str(&text).unwrap()
        };
        assert_eq!(
            container("1970-01-01T00:00:01.000000002Z").started(),
            Some(1_000_000_002)
        );
        assert_eq!(container("0001-01-01T00:00:00Z").started(), None);
        assert_eq!(container("").started(), None);
    }

    #[test]
    fn tasks_are_told_from_other_containers() {
        let listed = |labels: &str| -> ListedContainer {
            serde_json::from_str(&format!(r#"{{"Id":"c","Labels":{labels}}}"#)).unwrap()
        };
        assert!(listed(r#"{"com.docker.swarm.service.id":"s"}"#).is_task());
        assert!(!listed(r#"{"com.docker.compose.service":"s"}"#).is_task());
        assert!(!listed("null").is_task());
    }
}
