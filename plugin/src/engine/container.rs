//! Containers as the engine describes them.

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

// === impl Container ===

impl Container {
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
