//! Edits of JSON files that others own: their order, their indentation and their line ends stay.
//!
//! A file that dockerd itself would not read, or would read another way than it looks, is not edited: comments, duplicate keys and
//! anything that is no object are refused with a word on what to do.

use std::collections::HashSet;

use jsonc_parser::ParseOptions;
use jsonc_parser::common::Ranged;
use jsonc_parser::cst::{CstInputValue, CstNode, CstObject, CstRootNode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

/// The text of a JSON object, which can be edited.
#[derive(Debug)]
pub(crate) struct JsonFile {
    /// Whether it starts with a byte order mark, which Windows' editors leave.
    marked: bool,
    root: CstRootNode,
}

/// What is changed in a JSON file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Edit {
    /// The value of a key, at most one object down.
    Set {
        key: &'static [&'static str],
        value: Value,
    },
    /// One more item at the end of a list.
    Add { key: &'static str, item: Value },
}

/// An edit that was made, and what it takes to unmake it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Edited {
    /// `key` was `before`, or absent, and is `after`.
    Set {
        key: Vec<String>,
        before: Option<Value>,
        after: Value,
    },
    /// `item` is in the list `key`.
    Added { key: String, item: Value },
}

/// Why a file is not edited.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum InvalidJson {
    /// dockerd does not start with one.
    #[error(
        "line {line}: there is a comment, which JSON does not have and dockerd does not start with; take it out"
    )]
    Comment { line: usize },
    /// Only one of them can be meant.
    #[error("the key `{key}` stands twice; leave one of them")]
    Duplicate { key: String },
    /// Not JSON at all.
    #[error("line {line}: {problem}; mend it")]
    Malformed { line: usize, problem: String },
    /// No object, or not where one should be.
    #[error("{place} is {found}, where {expected} is expected; mend it")]
    Kind {
        place: String,
        found: &'static str,
        expected: &'static str,
    },
}

// === impl JsonFile ===

impl JsonFile {
    /// Reads the bytes of a file; of none, or of an empty one, the empty object.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, InvalidJson> {
        let malformed = |line, problem: String| InvalidJson::Malformed { line, problem };
        let text = std::str::from_utf8(bytes)
            .map_err(|_| malformed(1, "this is no UTF-8 text".to_owned()))?;
        let (marked, text) = match text.strip_prefix(BYTE_ORDER_MARK) {
            Some(text) => (true, text),
            None => (false, text),
        };
        let text = if text.trim().is_empty() { "{}\n" } else { text };
        if let Some(line) = comment(text) {
            return Err(InvalidJson::Comment { line });
        }
        let root = CstRootNode::parse(text, &STRICT).map_err(|error| {
            malformed(line_of(text, error.range().start), error.kind().to_string())
        })?;
        // What stands behind the value, the parser above passes over.
        serde_json::from_str::<serde::de::IgnoredAny>(text)
            .map_err(|error| malformed(error.line(), error.to_string()))?;
        let value = root.value();
        let Some(object) = value.as_ref().and_then(CstNode::as_object) else {
            return Err(wrong_kind("the whole", "something else", "an object"));
        };
        refuse_duplicates(&object, "")?;
        Ok(Self { marked, root })
    }

    /// The file's text as it is now.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mark = if self.marked { BYTE_ORDER_MARK } else { "" };
        format!("{mark}{}", self.root).into_bytes()
    }

    /// The value of a key, at most one object down.
    pub(crate) fn value(&self, key: &[&str]) -> Option<Value> {
        let text = self.root.to_string();
        let whole: Value = serde_json::from_str(&text).ok()?;
        key.iter()
            .try_fold(&whole, |value, key| value.get(key))
            .cloned()
    }

    /// Makes an edit; `None` if it is as it should be already.
    pub(crate) fn edit(&self, edit: &Edit) -> Result<Option<Edited>, InvalidJson> {
        match edit {
            Edit::Set { key, value } => {
                let before = self.value(key);
                if before.as_ref() == Some(value) {
                    return Ok(None);
                }
                self.set(key, value)?;
                Ok(Some(Edited::Set {
                    key: key.iter().map(|key| (*key).to_owned()).collect(),
                    before,
                    after: value.clone(),
                }))
            }
            Edit::Add { key, item } => {
                match self.value(&[key]) {
                    Some(Value::Array(items)) if items.contains(item) => return Ok(None),
                    Some(Value::Array(_)) | None => {}
                    Some(_) => {
                        return Err(wrong_kind(&format!("`{key}`"), "something else", "a list"));
                    }
                }
                if let Some(list) = self.object().array_value_or_create(key) {
                    list.append(input(item));
                }
                Ok(Some(Edited::Added {
                    key: (*key).to_owned(),
                    item: item.clone(),
                }))
            }
        }
    }

    /// Unmakes an edit, as far as it still stands. What others made of the key since stays.
    pub(crate) fn unmake(&self, edited: &Edited) -> Result<(), InvalidJson> {
        match edited {
            Edited::Set { key, before, after } => {
                let key: Vec<&str> = key.iter().map(String::as_str).collect();
                if self.value(&key).as_ref() != Some(after) {
                    return Ok(());
                }
                match before {
                    Some(before) => self.set(&key, before)?,
                    None => self.remove(&key),
                }
            }
            Edited::Added { key, item } => {
                let Some(list) = self.object().array_value(key) else {
                    return Ok(());
                };
                let text = item.to_string();
                let found = list
                    .elements()
                    .into_iter()
                    .find(|element| same(&element.to_string(), &text));
                if let Some(element) = found {
                    element.remove();
                }
                if list.elements().is_empty() {
                    self.remove(&[key]);
                }
            }
        }
        Ok(())
    }

    fn set(&self, key: &[&str], value: &Value) -> Result<(), InvalidJson> {
        let object = self.object();
        match key {
            [] => Ok(()),
            [key] => {
                set(&object, key, value);
                Ok(())
            }
            [outer, inner, ..] => {
                let inside = object.object_value_or_create(outer).ok_or_else(|| {
                    wrong_kind(&format!("`{outer}`"), "something else", "an object")
                })?;
                set(&inside, inner, value);
                Ok(())
            }
        }
    }

    /// Takes a key out, and the object around it if nothing else is in there.
    fn remove(&self, key: &[&str]) {
        let object = self.object();
        match key {
            [] => {}
            [key] => object.get(key).into_iter().for_each(|found| found.remove()),
            [outer, inner, ..] => {
                let Some(inside) = object.object_value(outer) else {
                    return;
                };
                inside
                    .get(inner)
                    .into_iter()
                    .for_each(|found| found.remove());
                if inside.properties().is_empty() {
                    object
                        .get(outer)
                        .into_iter()
                        .for_each(|found| found.remove());
                }
            }
        }
    }

    fn object(&self) -> CstObject {
        self.root.object_value_or_set()
    }
}

fn set(object: &CstObject, key: &str, value: &Value) {
    match object.get(key) {
        Some(property) => property.set_value(input(value)),
        None => {
            object.append(key, input(value));
        }
    }
}

fn same(text: &str, other: &str) -> bool {
    let value = |text: &str| serde_json::from_str::<Value>(text).ok();
    value(text) == value(other)
}

fn refuse_duplicates(object: &CstObject, around: &str) -> Result<(), InvalidJson> {
    let mut seen = HashSet::new();
    for property in object.properties() {
        let name = property.decoded_name().unwrap_or_default();
        let key = format!("{around}{name}");
        if let Some(inside) = property.object_value() {
            refuse_duplicates(&inside, &format!("{key}."))?;
        }
        if !seen.insert(name) {
            return Err(InvalidJson::Duplicate { key });
        }
    }
    Ok(())
}

fn wrong_kind(place: &str, found: &'static str, expected: &'static str) -> InvalidJson {
    InvalidJson::Kind {
        place: place.to_owned(),
        found,
        expected,
    }
}

/// The line of the first comment.
fn comment(text: &str) -> Option<usize> {
    let collect = jsonc_parser::CollectOptions {
        comments: jsonc_parser::CommentCollectionStrategy::Separate,
        tokens: false,
    };
    let parsed = jsonc_parser::parse_to_ast(text, &collect, &ParseOptions::default()).ok()?;
    let comments = parsed.comments?;
    let starts = comments.values().flat_map(|comments| comments.iter());
    let first = starts.map(Ranged::start).min()?;
    Some(line_of(text, first))
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text
        .bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(value) => CstInputValue::Bool(*value),
        Value::Number(number) => CstInputValue::Number(number.to_string()),
        Value::String(text) => CstInputValue::String(text.clone()),
        Value::Array(items) => CstInputValue::Array(items.iter().map(input).collect()),
        Value::Object(entries) => CstInputValue::Object(
            entries
                .iter()
                .map(|(key, value)| (key.clone(), input(value)))
                .collect(),
        ),
    }
}

const BYTE_ORDER_MARK: &str = "\u{feff}";
/// RFC 8259 and nothing more, as dockerd reads it.
const STRICT: ParseOptions = ParseOptions {
    allow_comments: false,
    allow_loose_object_property_names: false,
    allow_trailing_commas: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn edits() -> [Edit; 3] {
        [
            Edit::Add {
                key: "authorization-plugins",
                item: json!("ramgate"),
            },
            Edit::Set {
                key: &["registry-mirrors"],
                value: json!(["http://127.0.0.1:5050"]),
            },
            Edit::Set {
                key: &["proxies", "http-proxy"],
                value: json!("http://127.0.0.1:5051"),
            },
        ]
    }

    /// Edits `before` into `after`, and back into what means the same as `before`.
    #[track_caller]
    fn check(before: &str, after: &str) {
        let file = JsonFile::read(before.as_bytes()).unwrap();
        let edited: Vec<Edited> = edits()
            .iter()
            .filter_map(|edit| file.edit(edit).unwrap())
            .collect();
        assert_eq!(String::from_utf8(file.bytes()).unwrap(), after);
        // A second time there is nothing to do.
        let again = JsonFile::read(&file.bytes()).unwrap();
        for edit in &edits() {
            assert_eq!(again.edit(edit).unwrap(), None, "{after}");
        }
        for edited in edited.iter().rev() {
            again.unmake(edited).unwrap();
        }
        let value = |file: &JsonFile| file.value(&[]);
        let original = JsonFile::read(before.as_bytes()).unwrap();
        assert_eq!(value(&again), value(&original), "{before}");
    }

    #[test]
    fn what_is_there_keeps_its_order_and_its_looks() {
        check(
            "{\n    \"zeta\": 1,\n    \"alpha\": {\"b\": 2, \"a\": 1}\n}\n",
            "{\n    \"zeta\": 1,\n    \"alpha\": {\"b\": 2, \"a\": 1},\n    \"authorization-plugins\": [\"ramgate\"],\n    \
             \"registry-mirrors\": [\"http://127.0.0.1:5050\"],\n    \"proxies\": {\n        \
             \"http-proxy\": \"http://127.0.0.1:5051\"\n    }\n}\n",
        );
        check(
            "{\n  \"authorization-plugins\": [\"other\"],\n  \"registry-mirrors\": [\"https://mirror.example\"]\n}",
            "{\n  \"authorization-plugins\": [\"other\", \"ramgate\"],\n  \"registry-mirrors\": [\"http://127.0.0.1:5050\"],\n  \
             \"proxies\": {\n    \"http-proxy\": \"http://127.0.0.1:5051\"\n  }\n}",
        );
        check(
            "{\r\n\t\"debug\": true\r\n}\r\n",
            "{\r\n\t\"debug\": true,\r\n\t\"authorization-plugins\": [\"ramgate\"],\r\n\t\"registry-mirrors\": \
             [\"http://127.0.0.1:5050\"],\r\n\t\"proxies\": {\r\n\t\t\"http-proxy\": \"http://127.0.0.1:5051\"\r\n\t}\r\n}\r\n",
        );
        check(
            "\u{feff}{\n  \"proxies\": {\n    \"no-proxy\": \"x\"\n  }\n}\n",
            "\u{feff}{\n  \"proxies\": {\n    \"no-proxy\": \"x\",\n    \"http-proxy\": \"http://127.0.0.1:5051\"\n  },\n  \
             \"authorization-plugins\": [\"ramgate\"],\n  \"registry-mirrors\": [\"http://127.0.0.1:5050\"]\n}\n",
        );
    }

    #[test]
    fn an_empty_file_is_an_empty_object() {
        let full = "{\n  \"authorization-plugins\": [\"ramgate\"],\n  \"registry-mirrors\": [\"http://127.0.0.1:5050\"],\n  \
                    \"proxies\": {\n    \"http-proxy\": \"http://127.0.0.1:5051\"\n  }\n}\n";
        check("", full);
        check(" \n", full);
        check("{}\n", full);
    }

    #[track_caller]
    fn refused(text: &str, why: &str) {
        let error = JsonFile::read(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }

    #[test]
    fn what_dockerd_would_not_read_is_refused() {
        refused("{\n  // mine\n  \"a\": 1\n}", "line 2: there is a comment");
        refused("{\"a\": 1 /* x */}", "line 1: there is a comment");
        refused("{\"a\": 1}\n// x\n", "line 2: there is a comment");
        refused("{} {}", "line 1");
        refused("{\"a\": 1, \"a\": 2}", "`a` stands twice");
        refused("{\"p\": {\"a\": 1, \"\\u0061\": 2}}", "`p.a` stands twice");
        refused("{\"a\": 1,}", "line 1");
        refused("[1]", "an object is expected");
        refused("{", "line 1");
        let file = JsonFile::read(b"{\"authorization-plugins\": \"x\", \"proxies\": 1}").unwrap();
        let [add, _, set] = edits();
        assert!(file.edit(&add).is_err());
        assert!(file.edit(&set).is_err());
    }

    #[test]
    fn what_others_made_of_a_key_stays() {
        let file = JsonFile::read(b"{\"registry-mirrors\": [\"a\"]}").unwrap();
        let [_, set, _] = edits();
        let edited = file.edit(&set).unwrap().unwrap();
        let theirs = JsonFile::read(b"{\"registry-mirrors\": [\"theirs\"]}").unwrap();
        theirs.unmake(&edited).unwrap();
        assert_eq!(theirs.bytes(), b"{\"registry-mirrors\": [\"theirs\"]}");
    }
}
