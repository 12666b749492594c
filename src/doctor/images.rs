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

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::super::facts::Listed;
    use super::super::tests::{check as told, well};
    use super::*;

    #[test]
    fn images_of_which_nothing_is_known_are_told_by_their_first_name() {
        let image = |id: &str, tag: Option<&str>| Listed {
            id: id.to_owned(),
            repo_tags: tag.map(|tag| vec![tag.to_owned()]),
        };
        let mut well = well();
        well.facts.known.insert("sha256:1".to_owned());
        well.facts.images = Ok(vec![image("sha256:1", Some("alpine:3"))]);
        assert_eq!(
            check(&well.facts)[0].says,
            "of each of 1 it is known how it came"
        );
        let adopt = "remove them, or vouch for them with `ramgate ledger adopt`";
        well.facts.images = Ok(vec![
            image("sha256:1", Some("alpine:3")),
            image("sha256:2", None),
        ]);
        told(
            &check(&well.facts),
            Health::Warning,
            "it is not known how `sha256:2` came",
            adopt,
        );
        well.facts.images = Ok(vec![
            image("sha256:2", Some("a:1")),
            image("sha256:3", None),
            image("sha256:4", None),
        ]);
        told(
            &check(&well.facts),
            Health::Warning,
            "it is not known how `a:1` and 2 others came",
            adopt,
        );
        well.facts.images = Err("the engine is away".to_owned());
        told(
            &check(&well.facts),
            Health::Warning,
            "the engine is away",
            "see that the engine runs",
        );
    }
}
