//! JSON bodies as `encoding/json` reads them, as far as it matters; where it would guess, they are refused.
//!
//! Go matches keys without regard to case, folds `ſ` to `s` and the Kelvin sign to `k`, lets the last of several win, and merges
//! repeated objects and arrays. So a key that counts may stand once, in its one spelling. Keys of maps, such as labels, do not
//! count and may be what they like.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::unreadable::Unreadable;

/// A JSON value that keeps every key, in order, duplicates and all. Texts without an escape are borrowed from the body: the engine
/// waits for this on every request that creates something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Json<'a> {
    /// `null`, which Go takes for "not given".
    Null,
    /// A string.
    Text(Cow<'a, str>),
    /// An array.
    Array(Vec<Self>),
    /// An object.
    Object(Vec<(Cow<'a, str>, Self)>),
    /// A number or boolean, which nothing here asks for.
    Other,
}

// === impl Json ===

impl<'a> Json<'a> {
    /// Reads a body: exactly one value, in UTF-8, with nothing after it.
    ///
    /// Go takes bytes that are no text for U+FFFD, and what stands after the value for nothing, unless it is another value;
    /// before 23.0 even then. Lone surrogates, numbers beyond a double, and more than 127 levels are refused here and taken by
    /// Go; no client sends them.
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, Unreadable> {
        let text = std::str::from_utf8(body).map_err(|_| Unreadable::JsonEncoding)?;
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let value = Self::deserialize(&mut deserializer).map_err(|_| Unreadable::Json)?;
        deserializer.end().map_err(|_| Unreadable::JsonTrailing)?;
        Ok(value)
    }

    /// The value of a key that counts; `None` if it is absent or `null`.
    pub(crate) fn field(&self, name: &'static str) -> Result<Option<&Self>, Unreadable> {
        let Self::Object(entries) = self else {
            return Err(Unreadable::WrongType(name));
        };
        let mut matching = entries.iter().filter(|(key, _)| folds_to(key, name));
        let found = match (matching.next(), matching.next()) {
            (None, _) => return Ok(None),
            (Some((key, value)), None) if key == name => value,
            (Some(_), None) => return Err(Unreadable::KeySpelling(name)),
            (Some(_), Some(_)) => return Err(Unreadable::DuplicateKey(name)),
        };
        Ok(Some(found).filter(|value| **value != Self::Null))
    }

    /// A string under a key that counts; empty if it is absent.
    pub(crate) fn text(&self, name: &'static str) -> Result<&str, Unreadable> {
        match self.field(name)? {
            None => Ok(""),
            Some(Self::Text(text)) => Ok(text),
            Some(_) => Err(Unreadable::WrongType(name)),
        }
    }

    /// A string under a key of a map, whose keys Go takes as they are; `None` if it is absent. Go takes the last of several.
    pub(crate) fn entry(&self, name: &'static str) -> Result<Option<&str>, Unreadable> {
        let Self::Object(entries) = self else {
            return Err(Unreadable::WrongType(name));
        };
        let mut matching = entries.iter().filter(|(key, _)| key == name);
        match (matching.next(), matching.next()) {
            (None, _) => Ok(None),
            (Some((_, Self::Text(text))), None) => Ok(Some(text)),
            (Some(_), None) => Err(Unreadable::WrongType(name)),
            (Some(_), Some(_)) => Err(Unreadable::DuplicateKey(name)),
        }
    }

    /// An array under a key that counts; empty if it is absent.
    pub(crate) fn array(&self, name: &'static str) -> Result<&[Self], Unreadable> {
        match self.field(name)? {
            None => Ok(&[]),
            Some(Self::Array(values)) => Ok(values),
            Some(_) => Err(Unreadable::WrongType(name)),
        }
    }
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json<'de>, E> {
        Ok(Json::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json<'de>, E> {
        Ok(Json::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Json<'de>, E> {
        Ok(Json::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json<'de>, E> {
        Ok(Json::Other)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Json<'de>, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = sequence.next_element()? {
            values.push(value);
        }
        Ok(Json::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json<'de>, A::Error> {
        let mut entries = Vec::new();
        while let Some((Key(key), value)) = map.next_entry()? {
            entries.push((key, value));
        }
        Ok(Json::Object(entries))
    }
}

/// A key, borrowed where it has no escape: serde's own `Cow` never is.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Json::deserialize(deserializer)? {
            Json::Text(key) => Ok(Self(key)),
            Json::Null | Json::Array(_) | Json::Object(_) | Json::Other => {
                Err(serde::de::Error::custom("a key is a string"))
            }
        }
    }
}

/// Whether Go takes `key` for the field `name`, which is ASCII. Of all letters outside ASCII only two fold into it.
fn folds_to(key: &str, name: &str) -> bool {
    if key.is_ascii() {
        return key.eq_ignore_ascii_case(name);
    }
    let fold = |letter: char| match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    key.chars().map(fold).eq(name.chars().map(fold))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn image(body: &str, expected: &Result<&str, Unreadable>) {
        let json = Json::parse(body.as_bytes());
        let got = json
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|json| json.text("Image"));
        assert_eq!(&got, expected, "{body}");
    }

    #[test]
    fn a_key_that_counts_stands_once_in_its_one_spelling() {
        let spelling = || Err(Unreadable::KeySpelling("Image"));
        let duplicate = || Err(Unreadable::DuplicateKey("Image"));
        image(r#"{"Image":"a"}"#, &Ok("a"));
        image(r#"{"\u0049mage":"a"}"#, &Ok("a"));
        image(r#"{"Image":null}"#, &Ok(""));
        image("{}", &Ok(""));
        image(r#"{"image":"a"}"#, &spelling());
        image(r#"{"Image":"good","image":"evil"}"#, &duplicate());
        image(r#"{"Image":"good","Image":"evil"}"#, &duplicate());
        image(r#"{"Image":"evil","Image":null}"#, &duplicate());
        image(r#"{"IMAGE":"a"}"#, &spelling());
        image(r#"{"Image":1}"#, &Err(Unreadable::WrongType("Image")));
        image(r#"{"Image":{}}"#, &Err(Unreadable::WrongType("Image")));
        image("[]", &Err(Unreadable::WrongType("Image")));
    }

    #[test]
    fn letters_that_fold_into_ascii_are_seen() {
        let json = Json::parse("{\"Mount\u{17f}\":[]}".as_bytes()).unwrap();
        assert_eq!(json.array("Mounts"), Err(Unreadable::KeySpelling("Mounts")));
        let json = Json::parse("{\"Ta\u{17f}\u{212a}Template\":{}}".as_bytes()).unwrap();
        assert_eq!(
            json.field("TaskTemplate"),
            Err(Unreadable::KeySpelling("TaskTemplate"))
        );
    }

    #[test]
    fn maps_may_have_what_keys_they_like() {
        let json = Json::parse(br#"{"Image":"a","Labels":{"image":"x","Image":"y","IMAGE":"z"}}"#)
            .unwrap();
        assert_eq!(json.text("Image"), Ok("a"));
    }

    #[test]
    fn entries_of_maps_are_taken_as_they_are() {
        let json =
            Json::parse(br#"{"push":"true","PUSH":"false","name":1,"a":"b","a":"c"}"#).unwrap();
        assert_eq!(json.entry("push"), Ok(Some("true")));
        assert_eq!(json.entry("Push"), Ok(None));
        assert_eq!(json.entry("name"), Err(Unreadable::WrongType("name")));
        assert_eq!(json.entry("a"), Err(Unreadable::DuplicateKey("a")));
    }

    #[test]
    fn a_body_is_exactly_one_value() {
        let trailing = ["{} }}} junk", "{}{}", "{}]", "{} \0"];
        for body in trailing {
            assert_eq!(
                Json::parse(body.as_bytes()),
                Err(Unreadable::JsonTrailing),
                "{body}"
            );
        }
        let none = [
            "",
            " ",
            "\u{feff}{}",
            "{\"a\":\"\\ud800\"}",
            "{'a':1}",
            "{\"a\":1,}",
            "nul",
            "{\"a\":\"\n\"}",
        ];
        for body in none {
            assert_eq!(
                Json::parse(body.as_bytes()),
                Err(Unreadable::Json),
                "{body}"
            );
        }
        let body = b"{\"a\":\"\xff\"}";
        assert_eq!(Json::parse(body), Err(Unreadable::JsonEncoding));
        let nested = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(Json::parse(nested(127).as_bytes()).is_ok());
        assert_eq!(Json::parse(nested(128).as_bytes()), Err(Unreadable::Json));
        assert_eq!(
            Json::parse(nested(100_000).as_bytes()),
            Err(Unreadable::Json)
        );
    }
}
