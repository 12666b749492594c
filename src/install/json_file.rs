//! Edits of JSON files that others own: their order, their indentation and their line ends stay.
//!
//! A file that dockerd itself would not read, or would read another way than it looks, is not edited: comments, duplicate keys and
//! anything that is no object are refused with a word on what to do.

mod edit;

use std::collections::HashSet;

use jsonc_parser::ParseOptions;
use jsonc_parser::common::Ranged;
use jsonc_parser::cst::{CstNode, CstObject, CstRootNode};
use ramgate_policy::document::STRICT;
use serde_json::Value;
use thiserror::Error;

pub(crate) use edit::{Edit, Edited};

/// The text of a JSON object, which can be edited.
#[derive(Debug)]
pub(crate) struct JsonFile {
    /// Whether it starts with a byte order mark, which Windows' editors leave.
    marked: bool,
    root: CstRootNode,
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

    pub(super) fn object(&self) -> CstObject {
        self.root.object_value_or_set()
    }
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

const BYTE_ORDER_MARK: &str = "\u{feff}";

#[cfg(test)]
mod tests;
