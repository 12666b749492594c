//! Services of a swarm as the engine describes them.

use serde::Deserialize;

/// `GET /services/{name}`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Service {
    previous_spec: Option<Spec>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Spec {
    task_template: TaskTemplate,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TaskTemplate {
    container_spec: Option<ContainerSpec>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContainerSpec {
    image: String,
}

// === impl Service ===

impl Service {
    /// The image that it ran before its last update.
    pub(super) fn previous_image(self) -> Option<String> {
        let spec = self.previous_spec?.task_template.container_spec?;
        Some(spec.image)
    }
}
