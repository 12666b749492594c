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
    #[serde(default)]
    created: String,
    mounts: Option<Vec<MountPoint>>,
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
    target: String,
}

/// What is there of a mount, in the container's own or taken over from another.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct MountPoint {
    r#type: String,
    name: String,
    source: String,
    destination: String,
}

/// An image that is mounted into a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ImageMount<'a> {
    /// What it was asked for by, whatever that stands for by now.
    pub(crate) name: &'a str,
    /// Where the engine keeps it, for this container and those that take over its mounts; `None` if it does not say.
    pub(crate) path: Option<&'a str>,
    /// Whether it was asked for this container, and not taken over from another.
    pub(crate) own: bool,
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

    /// When it was made, in nanoseconds since 1970: before its mounts were.
    pub(crate) fn created(&self) -> Option<u64> {
        let created: Timestamp = self.created.parse().ok()?;
        u64::try_from(created.as_nanosecond()).ok()
    }

    /// The images that are mounted into it.
    pub(crate) fn image_mounts(&self) -> Vec<ImageMount<'_>> {
        let asked = || {
            let mounts = self.host_config.mounts.iter().flatten();
            mounts.filter(|mount| mount.r#type == "image")
        };
        let is = |asked: &Mount, point: &MountPoint| {
            let target = asked.target.trim_end_matches('/');
            asked.source == point.name && target == point.destination
        };
        let points = self.mounts.iter().flatten();
        let mut mounts: Vec<ImageMount<'_>> = points
            .filter(|point| point.r#type == "image")
            .map(|point| ImageMount {
                name: &point.name,
                path: Some(point.source.as_str()).filter(|path| !path.is_empty()),
                own: asked().any(|asked| is(asked, point)),
            })
            .collect();
        // What was asked for is there, by all that is known; were it not, nobody could say what it is.
        for asked in asked() {
            if !mounts.iter().any(|mount| mount.name == asked.source) {
                mounts.push(ImageMount {
                    name: &asked.source,
                    path: None,
                    own: true,
                });
            }
        }
        mounts
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

    /// As Docker 28.5 describes one with `--mount type=image,…` and `--volumes-from`.
    #[test]
    fn images_that_are_mounted_are_told_by_their_paths() {
        let container: Container = serde_json::from_str(
            r#"{"Id":"c","Config":{},"Created":"1970-01-01T00:00:02.5Z",
                "HostConfig":{"Mounts":[{"Type":"image","Source":"acme/app:1","Target":"/x/"},{"Type":"image","Source":"gone","Target":"/y"}]},
                "Mounts":[{"Type":"image","Name":"acme/app:1","Source":"/1/merged","Destination":"/x"},
                    {"Type":"image","Name":"acme/app:1","Source":"/2/merged","Destination":"/z"},
                    {"Type":"volume","Name":"data","Source":"/3","Destination":"/d"}]}"#,
        )
        .unwrap();
        assert_eq!(container.created(), Some(2_500_000_000));
        let mount = |name, path, own| ImageMount { name, path, own };
        assert_eq!(
            container.image_mounts(),
            [
                mount("acme/app:1", Some("/1/merged"), true),
                mount("acme/app:1", Some("/2/merged"), false),
                mount("gone", None, true),
            ]
        );
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
