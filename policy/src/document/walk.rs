//! A walk over the text along the schema, token by token: what is right leaves nothing behind, so that a policy of a hundred thousand
//! rules takes no more memory than its text and what is made of it.

use std::collections::{HashMap, HashSet};

use jsonc_parser::tokens::Token;
use jsonc_parser::{CollectOptions, ParseOptions, Scanner, ScannerOptions};
use serde_json::Value as Schema;

use super::lines::Lines;
use super::schema::{required, resolve, suggestion, type_of, words_of};
use super::{Finding, Findings};

/// Every mistake in the text.
///
/// # Errors
/// It is no JSON; then that is the one to mend first.
pub(super) fn findings(lines: &Lines<'_>, schema: &Schema) -> Result<Vec<Finding>, Findings> {
    let mut walk = Walk::new(lines, schema);
    let read = walk.document();
    if read.is_ok() && walk.findings.is_empty() {
        return Ok(Vec::new());
    }
    syntax(lines)?;
    // No JSON to the walk and JSON to the parser cannot be; were it so, it is refused.
    if read.is_err() && walk.findings.is_empty() {
        walk.report(0, "the text cannot be read".to_owned());
    }
    Ok(walk.findings)
}

/// Where each key's value begins, of a text without mistakes.
pub(super) fn places(lines: &Lines<'_>, schema: &Schema) -> HashMap<String, usize> {
    let mut walk = Walk::new(lines, schema);
    walk.places = Some(HashMap::new());
    let _ = walk.document();
    walk.places.unwrap_or_default()
}

/// What the parser, which has words for each mistake, says of a text.
fn syntax(lines: &Lines<'_>) -> Result<(), Findings> {
    if lines.text().starts_with('\u{feff}') {
        let problem =
            "the text begins with a byte order mark, which JSON has none of; save it without one";
        return Err(Findings::one((1, 1), "", problem));
    }
    let parsed = jsonc_parser::parse_to_ast(lines.text(), &CollectOptions::default(), &STRICT);
    let parsed = parsed.map_err(|error| {
        let place = lines.of(error.range().start);
        Findings::one(place, "", error.kind().to_string())
    })?;
    match parsed.value {
        Some(_) => Ok(()),
        None => Err(Findings::one(
            (1, 1),
            "",
            "there is no JSON value; an object `{…}` is expected",
        )),
    }
}

struct Walk<'a> {
    tokens: Scanner<'a>,
    lines: &'a Lines<'a>,
    schema: &'a Schema,
    /// The key at which the walk is.
    key: String,
    findings: Vec<Finding>,
    /// Kept where they are asked for.
    places: Option<HashMap<String, usize>>,
}

/// The text is no JSON.
struct Broken;

// === impl Walk ===

impl<'a> Walk<'a> {
    fn new(lines: &'a Lines<'a>, schema: &'a Schema) -> Self {
        let options = ScannerOptions {
            allow_single_quoted_strings: STRICT.allow_single_quoted_strings,
            allow_hexadecimal_numbers: STRICT.allow_hexadecimal_numbers,
            allow_unary_plus_numbers: STRICT.allow_unary_plus_numbers,
            allow_bare_decimal_point_numbers: STRICT.allow_bare_decimal_point_numbers,
            allow_non_finite_numbers: STRICT.allow_non_finite_numbers,
            allow_extended_string_escapes: STRICT.allow_extended_string_escapes,
        };
        Self {
            tokens: Scanner::new(lines.text(), &options),
            lines,
            schema,
            key: String::new(),
            findings: Vec::new(),
            places: None,
        }
    }

    fn document(&mut self) -> Result<(), Broken> {
        let first = self.next()?;
        self.value(&first, self.schema)?;
        match self.tokens.scan() {
            Ok(None) => Ok(()),
            Ok(Some(_)) | Err(_) => Err(Broken),
        }
    }

    fn next(&mut self) -> Result<Token<'a>, Broken> {
        self.tokens.scan().ok().flatten().ok_or(Broken)
    }

    /// A value that begins with `first`, the token last read.
    fn value(&mut self, first: &Token<'a>, schema: &'a Schema) -> Result<(), Broken> {
        let schema = resolve(self.schema, schema);
        let start = self.tokens.token_start();
        if let Some(places) = &mut self.places {
            places.insert(self.key.clone(), start);
        }
        match (first, type_of(schema)) {
            (Token::OpenBrace, Some("object")) => return self.object(schema),
            (Token::OpenBracket, Some("array")) => {
                if let Some(items) = schema.get("items") {
                    return self.array(items);
                }
            }
            (Token::String(word), Some("string")) => {
                let words = words_of(schema);
                if !words.is_empty() && !words.contains(&word.as_ref()) {
                    let words = words.join(", ");
                    self.report(start, format!("`{word}` is not one of {words}"));
                }
            }
            (Token::Boolean(_), Some("boolean")) => {}
            (Token::Number(number), Some("integer")) => {
                if number.parse::<u64>().is_err() {
                    self.report(start, format!("`{number}` is not a whole number"));
                }
            }
            (first, expected) => {
                let kind = kind(first)?;
                let problem = match expected {
                    Some(expected) => format!("{} is expected, not {kind}", article(expected)),
                    None => "this key's form is unknown".to_owned(),
                };
                self.report(start, problem);
            }
        }
        self.skip(first)
    }

    /// What is left of an array whose bracket was read.
    fn array(&mut self, items: &'a Schema) -> Result<(), Broken> {
        let within = self.key.len();
        let mut token = self.next()?;
        if token == Token::CloseBracket {
            return Ok(());
        }
        for index in 0_usize.. {
            self.key.push_str(&format!("[{index}]"));
            self.value(&token, items)?;
            self.key.truncate(within);
            let after = self.next()?;
            if after == Token::CloseBracket {
                break;
            }
            if after != Token::Comma {
                return Err(Broken);
            }
            token = self.next()?;
        }
        Ok(())
    }

    /// What is left of an object whose brace was read.
    fn object(&mut self, schema: &'a Schema) -> Result<(), Broken> {
        let (start, within) = (self.tokens.token_start(), self.key.len());
        let mut seen = HashSet::new();
        let mut token = self.next()?;
        while token != Token::CloseBrace {
            let Token::String(name) = token else {
                return Err(Broken);
            };
            let at = self.tokens.token_start();
            if !self.key.is_empty() {
                self.key.push('.');
            }
            self.key.push_str(&name);
            self.property(&name, at, seen.contains(&name), schema)?;
            self.key.truncate(within);
            seen.insert(name);
            let after = self.next()?;
            if after == Token::CloseBrace {
                break;
            }
            token = self.next()?;
            if after != Token::Comma || token == Token::CloseBrace {
                return Err(Broken);
            }
        }
        for required in required(schema) {
            if !seen.contains(required) {
                self.report(start, format!("the key `{required}` is missing"));
            }
        }
        Ok(())
    }

    /// A colon and a value, after the name of a key that stands `at` an offset.
    fn property(
        &mut self,
        name: &str,
        at: usize,
        again: bool,
        schema: &'a Schema,
    ) -> Result<(), Broken> {
        if again {
            let problem = "this key stands twice; only one can be meant";
            self.report(at, problem.to_owned());
        }
        if self.next()? != Token::Colon {
            return Err(Broken);
        }
        let first = self.next()?;
        let properties = schema.get("properties").and_then(Schema::as_object);
        let any = schema
            .get("additionalProperties")
            .filter(|any| any.is_object());
        let known = properties.and_then(|known| known.get(name));
        if let Some(schema) = known.or(any) {
            return self.value(&first, schema);
        }
        let known: Vec<&str> = properties
            .into_iter()
            .flat_map(|known| known.keys().map(String::as_str))
            .collect();
        let nearest = suggestion(name, &known);
        let known = known.join(", ");
        self.report(at, format!("unknown key{nearest}; known here: {known}"));
        self.skip(&first)
    }

    /// Passes over what is left of a value that is not looked into.
    fn skip(&mut self, first: &Token<'a>) -> Result<(), Broken> {
        kind(first)?;
        let opens = |token: &Token<'_>| matches!(token, Token::OpenBrace | Token::OpenBracket);
        let closes = |token: &Token<'_>| matches!(token, Token::CloseBrace | Token::CloseBracket);
        let mut depth = usize::from(opens(first));
        while depth > 0 {
            let token = self.next()?;
            depth += usize::from(opens(&token));
            depth -= usize::from(closes(&token));
        }
        Ok(())
    }

    fn report(&mut self, offset: usize, problem: String) {
        let (line, column) = self.lines.of(offset);
        self.findings.push(Finding {
            line,
            column,
            key: self.key.clone(),
            problem,
        });
    }
}

/// What kind of value a token begins.
const fn kind(first: &Token<'_>) -> Result<&'static str, Broken> {
    match first {
        Token::String(_) => Ok("a string"),
        Token::Number(_) => Ok("a number"),
        Token::Boolean(_) => Ok("a boolean"),
        Token::OpenBrace => Ok("an object"),
        Token::OpenBracket => Ok("an array"),
        Token::Null => Ok("null; leave the key out instead"),
        Token::CloseBrace
        | Token::CloseBracket
        | Token::Comma
        | Token::Colon
        | Token::Word(_)
        | Token::CommentLine(_)
        | Token::CommentBlock(_) => Err(Broken),
    }
}

fn article(expected: &str) -> String {
    match expected {
        "object" | "array" | "integer" => format!("an {expected}"),
        _ => format!("a {expected}"),
    }
}

/// RFC 8259 and nothing more: how people's files are read here.
pub const STRICT: ParseOptions = ParseOptions {
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
