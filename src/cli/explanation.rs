//! How a decision came about, on one screen and in JSON.

use ramgate_policy::{Basis, Category, Step};
use serde_json::{Value, json};

use super::categories::Sayings;

/// Lines for people.
pub(super) fn lines(steps: &[Step], sayings: &Sayings) -> Vec<String> {
    let mut lines = Vec::new();
    for step in steps {
        lines.push(match &step.origin {
            None => format!("  judged    {}", step.repository),
            Some(rule) => format!("  origin    {} ({rule})", step.repository),
        });
        if let Some((category, source)) = category(step, sayings) {
            lines.push(format!("            is {category}: {source}"));
        }
        lines.push(match &step.outcome {
            Ok(rule) => format!("            allowed by {rule}"),
            Err(denial) => format!("            denied by {}", denial.rule()),
        });
    }
    lines
}

/// The same in JSON.
pub(super) fn json(steps: &[Step], sayings: &Sayings) -> Value {
    steps
        .iter()
        .map(|step| {
            let category = category(step, sayings);
            json!({
                "repository": step.repository.to_string(),
                "origin-by": step.origin,
                "category": category.as_ref().map(|(category, _)| category),
                "category-source": category.as_ref().map(|(_, source)| source),
                "decision": if step.outcome.is_ok() { "allow" } else { "deny" },
                "rule": match &step.outcome {
                    Ok(rule) => rule.clone(),
                    Err(denial) => denial.rule(),
                },
            })
        })
        .collect()
}

/// What it is on Docker Hub, and who says so.
fn category(step: &Step, sayings: &Sayings) -> Option<(String, String)> {
    let text = |category: Category, source: &str| (category.to_string(), source.to_owned());
    Some(match step.basis.as_ref()? {
        Basis::Exempt => return None,
        Basis::Name(category) => text(*category, "its name says so"),
        Basis::Indifferent => text(
            Category::Community,
            "nobody was asked, since all categories that it can have are the same to the policy",
        ),
        Basis::Namespace(standing) => {
            let category = standing.category();
            let said = sayings.source(step.repository.namespace());
            match (said, standing.doubt()) {
                (Some(said), _) => text(category, said),
                (None, Some(doubt)) => text(category, &doubt.to_string()),
                (None, None) => text(category, "known"),
            }
        }
    })
}
