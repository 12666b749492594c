//! What a JSON Schema, as `schemars` writes it, allows at a place.

use serde_json::Value as Schema;

/// Follows `$ref` and the `anyOf [X, null]` of optional keys. `null` itself is never accepted: leave the key out.
pub(super) fn resolve<'a>(root: &'a Schema, schema: &'a Schema) -> &'a Schema {
    if let Some(name) = schema.get("$ref").and_then(Schema::as_str) {
        let target = name
            .strip_prefix('#')
            .and_then(|pointer| root.pointer(pointer));
        return target.map_or(schema, |target| resolve(root, target));
    }
    let alternatives = schema.get("anyOf").and_then(Schema::as_array);
    let real = alternatives.and_then(|all| {
        all.iter()
            .find(|one| one.get("type").and_then(Schema::as_str) != Some("null"))
    });
    real.map_or(schema, |real| resolve(root, real))
}

/// The keys that an object must have.
pub(super) fn required(schema: &Schema) -> impl Iterator<Item = &str> {
    schema
        .get("required")
        .and_then(Schema::as_array)
        .into_iter()
        .flatten()
        .filter_map(Schema::as_str)
}

/// The JSON type that a schema asks for; an optional key's `null` is left out, see [`resolve`].
pub(super) fn type_of(schema: &Schema) -> Option<&str> {
    match schema.get("type") {
        Some(Schema::String(name)) => Some(name),
        Some(Schema::Array(names)) => names
            .iter()
            .filter_map(Schema::as_str)
            .find(|name| *name != "null"),
        Some(_) | None => (!words_of(schema).is_empty()).then_some("string"),
    }
}

/// The words that a string schema allows; schemars writes `enum` or, where variants are documented, `oneOf` of `const`.
pub(super) fn words_of(schema: &Schema) -> Vec<&str> {
    let listed = schema
        .get("enum")
        .and_then(Schema::as_array)
        .into_iter()
        .flatten();
    let documented = schema
        .get("oneOf")
        .and_then(Schema::as_array)
        .into_iter()
        .flatten()
        .filter_map(|one| one.get("const"));
    listed
        .chain(documented)
        .filter_map(Schema::as_str)
        .collect()
}

/// `, did you mean …?` for a key that is nearly one of `known`.
pub(super) fn suggestion(key: &str, known: &[&str]) -> String {
    let plain = |text: &str| text.to_lowercase().replace('_', "-");
    let key = plain(key);
    let nearest = known
        .iter()
        .map(|known| (distance(&key, known), known))
        .min();
    match nearest {
        Some((distance, known)) if distance <= TYPOS_MAX && distance < known.len() => {
            format!(", did you mean `{known}`?")
        }
        Some(_) | None => String::new(),
    }
}

/// How many letters differ, are missing or too many (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (above, letter) in one.chars().enumerate() {
        let mut corner = above;
        let mut left = above + 1;
        let mut next = vec![left];
        for (cell, other) in row.iter().skip(1).zip(other.chars()) {
            left = (corner + usize::from(letter != other))
                .min(cell + 1)
                .min(left + 1);
            next.push(left);
            corner = *cell;
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

/// More mistakes than that in one word are another word.
const TYPOS_MAX: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_nearly_right_are_known_again() {
        let known = ["registries", "docker-hub", "mode"];
        for (key, expected) in [
            ("registrys", ", did you mean `registries`?"),
            ("docker_hub", ", did you mean `docker-hub`?"),
            ("Mode", ", did you mean `mode`?"),
            ("mod", ", did you mean `mode`?"),
            ("frobnicate", ""),
            ("", ""),
        ] {
            assert_eq!(suggestion(key, &known), expected, "{key}");
        }
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
    }
}
