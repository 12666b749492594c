//! Strict reading of configuration: JSON in which every mistake is found at once, with its line and key.
//!
//! serde stops at the first mistake and keeps the last of two equal keys. A policy is read by an administrator under
//! pressure and by an attacker at leisure, so here nothing is skipped: unknown and duplicate keys, wrong types and trailing
//! bytes are all findings. What is allowed is read off the JSON Schema that `schemars` derives from the types, so that the
//! published schema and the parser cannot differ.

use std::collections::HashSet;
use std::fmt;

use jsonc_parser::ast;
use jsonc_parser::common::Ranged;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value as Schema;

/// A JSON text that was read, with the places of its keys.
#[derive(Debug)]
pub struct Document<T> {
    /// The value.
    pub value: T,
    places: Vec<(String, Place)>,
}

/// Line and column of a byte, from 1.
type Place = (usize, usize);

/// One mistake in a configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Line in the text, from 1.
    pub line: usize,
    /// Column in the line, in characters from 1.
    pub column: usize,
    /// Key, as in `registries[0].host`; empty for the whole.
    pub key: String,
    /// What is wrong and what is expected.
    pub problem: String,
}

/// All mistakes of a configuration, in order of their lines. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings(Vec<Finding>);

/// Where the lines of a text end: a policy of a hundred thousand rules has a million places to look up.
struct Lines<'a> {
    text: &'a str,
    ends: Vec<usize>,
}

// === impl Document ===

impl<T: DeserializeOwned + JsonSchema> Document<T> {
    /// Reads `text` strictly.
    ///
    /// # Errors
    /// Every mistake, at once.
    pub fn read(text: &str) -> Result<Self, Findings> {
        let lines = Lines::new(text);
        let parsed =
            jsonc_parser::parse_to_ast(text, &jsonc_parser::CollectOptions::default(), &STRICT)
                .map_err(|error| {
                    Findings::one(lines.of(error.range().start), "", error.kind().to_string())
                })?;
        let Some(root) = parsed.value else {
            return Err(Findings::one(
                (1, 1),
                "",
                "there is no JSON value; an object `{…}` is expected",
            ));
        };
        let schema = schemars::schema_for!(T);
        let mut walk = Walk {
            lines,
            schema: schema.as_value(),
            findings: Vec::new(),
            places: Vec::new(),
        };
        walk.value(&root, schema.as_value(), "");
        let Walk {
            findings, places, ..
        } = walk;
        Findings::none_of(findings)?;
        let value = serde_json::from_str(text).map_err(|error| {
            Findings::one((error.line(), error.column()), "", error.to_string())
        })?;
        Ok(Self { value, places })
    }
}

impl<T> Document<T> {
    /// A finding at `key`, with the line where it, or the nearest key around it, stands.
    #[must_use]
    pub fn finding(&self, key: &str, problem: impl Into<String>) -> Finding {
        let around = |place: &&(String, Place)| key.starts_with(place.0.as_str());
        let (line, column) = self
            .places
            .iter()
            .filter(around)
            .max_by_key(|(place, _)| place.len())
            .map_or((1, 1), |(_, place)| *place);
        Finding {
            line,
            column,
            key: key.to_owned(),
            problem: problem.into(),
        }
    }
}

// === impl Lines ===

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            ends: text.match_indices('\n').map(|(end, _)| end).collect(),
        }
    }

    /// Where a byte is.
    fn of(&self, offset: usize) -> Place {
        let before = self.ends.partition_point(|end| *end < offset);
        let start = before
            .checked_sub(1)
            .and_then(|index| self.ends.get(index))
            .map_or(0, |end| end + 1);
        let column = self
            .text
            .get(start..offset)
            .map_or(0, |text| text.chars().count());
        (1 + before, 1 + column)
    }
}

// === impl Finding ===

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}: ", self.line)?;
        if !self.key.is_empty() {
            write!(formatter, "{}: ", self.key)?;
        }
        formatter.write_str(&self.problem)
    }
}

// === impl Findings ===

impl Findings {
    /// `Ok` if there are none.
    ///
    /// # Errors
    /// The findings, sorted by line.
    pub fn none_of(mut findings: Vec<Finding>) -> Result<(), Self> {
        findings.sort();
        findings.dedup();
        if findings.is_empty() {
            Ok(())
        } else {
            Err(Self(findings))
        }
    }

    fn one((line, column): Place, key: &str, problem: impl Into<String>) -> Self {
        Self(vec![Finding {
            line,
            column,
            key: key.to_owned(),
            problem: problem.into(),
        }])
    }

    /// The findings.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter()
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            write!(formatter, "{finding}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Findings {}

impl From<Finding> for Findings {
    fn from(finding: Finding) -> Self {
        Self(vec![finding])
    }
}

/// A walk over the text along the schema.
struct Walk<'a> {
    lines: Lines<'a>,
    schema: &'a Schema,
    findings: Vec<Finding>,
    places: Vec<(String, Place)>,
}

// === impl Walk ===

impl<'a> Walk<'a> {
    fn value(&mut self, value: &ast::Value<'_>, schema: &'a Schema, key: &str) {
        let schema = self.resolve(schema);
        self.places
            .push((key.to_owned(), self.lines.of(value.start())));
        let expected = type_of(schema);
        match (value, expected) {
            (ast::Value::Object(object), Some("object")) => self.object(object, schema, key),
            (ast::Value::Array(array), Some("array")) => {
                if let Some(items) = schema.get("items") {
                    for (index, element) in array.elements.iter().enumerate() {
                        self.value(element, items, &format!("{key}[{index}]"));
                    }
                }
            }
            (ast::Value::StringLit(text), Some("string")) => {
                self.word(value, &text.value, schema, key)
            }
            (ast::Value::BooleanLit(_), Some("boolean")) => {}
            (ast::Value::NumberLit(number), Some("integer")) => {
                if number.value.parse::<u64>().is_err() {
                    self.report(
                        value,
                        key,
                        format!("`{}` is not a whole number", number.value),
                    );
                }
            }
            (_, Some(expected)) => {
                self.report(
                    value,
                    key,
                    format!("{} is expected, not {}", article(expected), kind(value)),
                );
            }
            (_, None) => self.report(value, key, "this key's form is unknown".to_owned()),
        }
    }

    fn object(&mut self, object: &ast::Object<'_>, schema: &'a Schema, key: &str) {
        let properties = schema.get("properties").and_then(Schema::as_object);
        let any = schema
            .get("additionalProperties")
            .filter(|any| any.is_object());
        let mut seen = HashSet::new();
        for property in &object.properties {
            let name = property.name.as_str();
            let path = if key.is_empty() {
                name.to_owned()
            } else {
                format!("{key}.{name}")
            };
            if !seen.insert(name) {
                self.report(
                    property,
                    &path,
                    "this key stands twice; only one can be meant".to_owned(),
                );
            }
            match (properties.and_then(|known| known.get(name)), any) {
                (Some(schema), _) | (None, Some(schema)) => {
                    self.value(&property.value, schema, &path)
                }
                (None, None) => {
                    let known: Vec<&str> = properties
                        .into_iter()
                        .flat_map(|known| known.keys().map(String::as_str))
                        .collect();
                    self.report(
                        property,
                        &path,
                        format!(
                            "unknown key{}; known here: {}",
                            suggestion(property.name.as_str(), &known),
                            known.join(", ")
                        ),
                    );
                }
            }
        }
        for required in schema
            .get("required")
            .and_then(Schema::as_array)
            .into_iter()
            .flatten()
            .filter_map(Schema::as_str)
        {
            if !seen.contains(required) {
                self.report(object, key, format!("the key `{required}` is missing"));
            }
        }
    }

    fn word(&mut self, value: &ast::Value<'_>, word: &str, schema: &Schema, key: &str) {
        let words = words_of(schema);
        if !words.is_empty() && !words.contains(&word) {
            self.report(
                value,
                key,
                format!("`{word}` is not one of {}", words.join(", ")),
            );
        }
    }

    /// Follows `$ref` and the `anyOf [X, null]` of optional keys. `null` itself is never accepted: leave the key out.
    fn resolve(&self, schema: &'a Schema) -> &'a Schema {
        if let Some(name) = schema.get("$ref").and_then(Schema::as_str) {
            let target = name
                .strip_prefix('#')
                .and_then(|pointer| self.schema.pointer(pointer));
            return target.map_or(schema, |target| self.resolve(target));
        }
        let alternatives = schema.get("anyOf").and_then(Schema::as_array);
        let real = alternatives.and_then(|all| {
            all.iter()
                .find(|one| one.get("type").and_then(Schema::as_str) != Some("null"))
        });
        real.map_or(schema, |real| self.resolve(real))
    }

    fn report(&mut self, place: &impl Ranged, key: &str, problem: String) {
        let (line, column) = self.lines.of(place.start());
        self.findings.push(Finding {
            line,
            column,
            key: key.to_owned(),
            problem,
        });
    }
}

/// `, did you mean …?` for a key that is nearly one of `known`.
fn suggestion(key: &str, known: &[&str]) -> String {
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

/// The JSON type that a schema asks for; an optional key's `null` is left out, see [`Walk::resolve`].
fn type_of(schema: &Schema) -> Option<&str> {
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
fn words_of(schema: &Schema) -> Vec<&str> {
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

fn article(expected: &str) -> String {
    match expected {
        "object" | "array" | "integer" => format!("an {expected}"),
        _ => format!("a {expected}"),
    }
}

const fn kind(value: &ast::Value<'_>) -> &'static str {
    match value {
        ast::Value::StringLit(_) => "a string",
        ast::Value::NumberLit(_) => "a number",
        ast::Value::BooleanLit(_) => "a boolean",
        ast::Value::Object(_) => "an object",
        ast::Value::Array(_) => "an array",
        ast::Value::NullKeyword(_) => "null; leave the key out instead",
    }
}

/// RFC 8259 and nothing more.
const STRICT: jsonc_parser::ParseOptions = jsonc_parser::ParseOptions {
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

    #[test]
    fn a_finding_knows_its_column_in_characters() {
        let lines = Lines::new("{\n  \"ä\": 1,\n}");
        assert_eq!(lines.of(0), (1, 1));
        assert_eq!(lines.of(4), (2, 3));
        assert_eq!(lines.of(9), (2, 7));
    }
}
