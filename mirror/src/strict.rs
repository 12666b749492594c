//! Refuses JSON that two readers could read differently.
//!
//! Go's `encoding/json`, with which every engine reads manifests, takes the last of two equal keys and finds a field by its name
//! whatever its case, Unicode's folding included (source: Go `encoding/json/fold.go`). What this mirror has judged must be what they
//! then do.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Where in a manifest a value stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The whole.
    Top,
    /// What describes content.
    Descriptor,
    /// A list of descriptors.
    Descriptors,
    /// Anything else.
    Free,
}

/// Whether the JSON of a manifest can be read in one way only.
pub(crate) fn is_unambiguous(bytes: &[u8]) -> bool {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    Place::Top.deserialize(&mut reader).is_ok() && reader.end().is_ok()
}

// === impl Place ===

impl Place {
    fn below(self, key: &str) -> Self {
        match (self, key) {
            (Self::Top, "config" | "subject") => Self::Descriptor,
            (Self::Top, "layers" | "manifests" | "blobs") => Self::Descriptors,
            _ => Self::Free,
        }
    }

    /// Whether `key` is not a known name and Go would take it for one.
    fn is_mistaken(self, key: &str) -> bool {
        let known: &[&str] = match self {
            Self::Top => &TOP,
            Self::Descriptor => &DESCRIPTOR,
            Self::Descriptors | Self::Free => return false,
        };
        !known.contains(&key) && known.iter().any(|name| folds_to(key, name))
    }
}

impl<'de> DeserializeSeed<'de> for Place {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON that can be read in one way only")
    }

    fn visit_bool<E>(self, _value: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _value: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _value: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _value: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _value: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let below = match self {
            Self::Descriptors => Self::Descriptor,
            Self::Top | Self::Descriptor | Self::Free => Self::Free,
        };
        while items.next_element_seed(below)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            if self.is_mistaken(&key) {
                return Err(A::Error::custom("a key that is taken for another"));
            }
            entries.next_value_seed(self.below(&key))?;
            if !seen.insert(key) {
                return Err(A::Error::custom("a key stands twice"));
            }
        }
        Ok(())
    }
}

/// Go's folding, for names of ASCII letters: two letters outside of ASCII fold into it.
fn folds_to(key: &str, name: &str) -> bool {
    let folded = key.chars().map(|letter| match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    });
    folded.eq(name.chars().map(|letter| letter.to_ascii_lowercase()))
}

/// The names that some reader of manifests knows; source: OCI image-spec `manifest.md`, `image-index.md` and `descriptor.md`, and
/// schema 1, whose names must not be smuggled in either.
const TOP: [&str; 15] = [
    "annotations",
    "architecture",
    "artifactType",
    "blobs",
    "config",
    "fsLayers",
    "history",
    "layers",
    "manifests",
    "mediaType",
    "name",
    "schemaVersion",
    "signatures",
    "subject",
    "tag",
];
const DESCRIPTOR: [&str; 8] = [
    "annotations",
    "artifactType",
    "data",
    "digest",
    "mediaType",
    "platform",
    "size",
    "urls",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: bool) {
        assert_eq!(is_unambiguous(text.as_bytes()), expected, "{text}");
    }

    #[test]
    fn equal_keys_are_refused_at_any_depth() {
        check(r#"{"schemaVersion":2,"layers":[]}"#, true);
        check(r#"{"layers":[],"layers":[]}"#, false);
        check(r#"{"layers":[],"la\u0079ers":[]}"#, false);
        check(r#"{"layers":[{"digest":"a","digest":"b"}]}"#, false);
        check(r#"{"annotations":{"a":"1","a":"2"}}"#, false);
        check(r#"{"x":[{"y":[{"z":1,"z":1}]}]}"#, false);
    }

    #[test]
    fn names_that_go_would_fold_into_known_ones_are_refused() {
        check(r#"{"layers":[],"Layers":[]}"#, false);
        check(r#"{"LAYERS":[]}"#, false);
        check(r#"{"layer\u017f":[]}"#, false);
        check(r#"{"layerſ":[]}"#, false);
        check(r#"{"layers":[{"URLs":["https://x.example"]}]}"#, false);
        check(r#"{"config":{"Urls":[]}}"#, false);
        check(r#"{"subject":{"Digest":"a"}}"#, false);
        // Annotations are a map, and maps are not folded.
        check(r#"{"annotations":{"Layers":"1","layers":"2"}}"#, true);
        check(r#"{"config":{"annotations":{"URLs":"x"}}}"#, true);
        check(r#"{"unheard":{"Of":1}}"#, true);
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in [
            "",
            "{",
            "[]]",
            "{} {}",
            "\u{feff}{}",
            "{\"a\":1e999}",
            "{\"a\":\"\\ud800\"}",
        ] {
            check(text, false);
        }
        assert!(!is_unambiguous(b"{\"a\":\"\xff\"}"));
        check(&format!("{}{}", "[".repeat(200), "]".repeat(200)), false);
    }
}
