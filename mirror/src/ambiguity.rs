//! Manifests that two readers could read differently.
//!
//! What is judged here must be what the engine acts on. The engine is Go: it folds the case of keys (`URLs` is `urls` to it, and so
//! is `urlſ`), and keeps the last of two. So a manifest is refused in which a key of a meaning is spelled another way or stands
//! twice, at any depth; and one that is an index and a manifest of one image at once.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// Whether the JSON in `bytes` can be read in one way only.
pub(crate) fn is_plain(bytes: &[u8]) -> bool {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let plain = Plain {
        names_are_free: false,
    }
    .deserialize(&mut reader);
    plain.is_ok() && reader.end().is_ok()
}

/// Walks through a value and fails at what is ambiguous.
#[derive(Clone, Copy)]
struct Plain {
    /// Whether the keys are the author's, as in annotations: a map to every reader, whose keys differ by case.
    names_are_free: bool,
}

// === impl Plain ===

impl<'de> DeserializeSeed<'de> for Plain {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Plain {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            let folded = if self.names_are_free {
                key.clone()
            } else {
                fold(&key)
            };
            let known = KEYS.iter().find(|known| fold(known) == folded);
            if !self.names_are_free && known.is_some_and(|known| *known != key) {
                return Err(A::Error::custom("a key is nearly one that has a meaning"));
            }
            if !seen.insert(folded) {
                return Err(A::Error::custom("a key stands twice"));
            }
            map.next_value_seed(Self {
                names_are_free: key == "annotations",
            })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        let item = Self {
            names_are_free: false,
        };
        while sequence.next_element_seed(item)?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// As Go's `encoding/json` folds: ASCII case, and the two letters that fold into ASCII.
fn fold(key: &str) -> String {
    let letter = |letter: char| match letter {
        'ſ' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    key.chars().map(letter).collect()
}

/// The keys that Docker's and OCI's readers of manifests and indexes act on.
const KEYS: &[&str] = &[
    "annotations",
    "architecture",
    "artifactType",
    "blobs",
    "config",
    "data",
    "digest",
    "features",
    "fsLayers",
    "history",
    "layers",
    "manifests",
    "mediaType",
    "os",
    "os.features",
    "os.version",
    "platform",
    "schemaVersion",
    "signatures",
    "size",
    "subject",
    "urls",
    "variant",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_readers_could_read_differently_is_not_plain() {
        for ambiguous in [
            r#"{"layers":[],"layers":[]}"#,
            r#"{"layers":[],"Layers":[]}"#,
            r#"{"Layers":[]}"#,
            r#"{"layers":[{"digest":"a","URLs":["https://x.example"]}]}"#,
            "{\"layers\":[{\"url\u{17f}\":[]}]}",
            r#"{"layers":[{"url\u017f":[]}]}"#,
            r#"{"unknown":1,"UNKNOWN":2}"#,
            r#"{"annotations":{"a":"1","a":"2"}}"#,
            r#"{"annotations":{"a":{"urls":1,"Urls":2}}}"#,
            r#"{"config":{}} {"config":{}}"#,
            r#"{"config":{}"#,
        ] {
            assert!(!is_plain(ambiguous.as_bytes()), "{ambiguous}");
        }
        assert!(!is_plain(b"{\"a\":\"\xff\"}"));
        assert!(!is_plain(b"\xef\xbb\xbf{}"));
    }

    #[test]
    fn an_ordinary_manifest_is_plain() {
        for plain in [
            r#"{"schemaVersion":2,"config":{"size":1},"layers":[{"size":2},{"size":3}],"x":null,"y":[true,-1,1.5]}"#,
            r#"{"annotations":{"Config":"1","config":"2","Layers":"x"}}"#,
            r#"{"manifests":[{"platform":{"os":"linux","os.version":"1"}}]}"#,
        ] {
            assert!(is_plain(plain.as_bytes()), "{plain}");
        }
    }

    #[test]
    fn a_manifest_that_nests_without_end_is_not_plain() {
        let deep = "[".repeat(100_000);
        assert!(!is_plain(deep.as_bytes()));
    }
}
