//! Images of which nobody knows where they came from.

use super::{Facts, Finding};

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let images = match &facts.images {
        Ok(images) => images,
        Err(error) => {
            return vec![Finding::warning(
                CHECK,
                error.as_str(),
                "see that the engine runs",
            )];
        }
    };
    let unknown: Vec<&str> = images
        .iter()
        .filter(|image| !facts.known.contains(&image.id))
        .map(|image| {
            let tags = image.repo_tags.iter().flatten();
            tags.map(String::as_str).next().unwrap_or(&image.id)
        })
        .collect();
    let finding = match unknown.split_first() {
        None => Finding::ok(
            CHECK,
            format!("of each of {} it is known how it came", images.len()),
        ),
        Some((first, [])) => unknown_images(format!("it is not known how `{first}` came")),
        Some((first, more)) => unknown_images(format!(
            "it is not known how `{first}` and {} others came",
            more.len()
        )),
    };
    vec![finding]
}

fn unknown_images(says: String) -> Finding {
    Finding::warning(
        CHECK,
        says,
        "remove them, or vouch for them with `ramgate ledger adopt`; until then `local-images.unknown` of the policy decides",
    )
}

const CHECK: &str = "images";
