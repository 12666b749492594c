//! Query parameters as `net/url` reads them; whatever it would read with an error is refused.
//!
//! dockerd's handlers take the *first* value of a key, drop pairs that do not decode, and put the values of a form body in
//! front of those of the query. So: no body that could be a form (see `engine_api.rs`), no pair that does not decode, and no
//! second value for a key that counts.
//!
//! Pairs that do not decode are an error to `ParseForm`, which a malformed `Content-Type` masks (`mime: …`), and none to
//! `FormValue` and `URL.Query`. They are refused whichever a handler uses.

use crate::go_path::hexadecimal;
use crate::unreadable::Unreadable;

/// The parameters of a query, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Form {
    pairs: Vec<(String, String)>,
}

// === impl Form ===

impl Form {
    pub(crate) fn parse(query: &str) -> Result<Self, Unreadable> {
        // The daemon tells the plugin its target as JSON, in which bytes that are no text have become U+FFFD already.
        if !query.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Unreadable::QueryEncoding);
        }
        let mut pairs = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            if pair.contains(';') {
                return Err(Unreadable::QuerySemicolon);
            }
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            pairs.push((decode(key)?, decode(value)?));
        }
        Ok(Self { pairs })
    }

    /// The one value of `key`; empty if there is none, which dockerd takes for the same.
    pub(crate) fn one(&self, key: &'static str) -> Result<&str, Unreadable> {
        let mut values = self.all(key);
        match (values.next(), values.next()) {
            (None, _) => Ok(""),
            (Some(value), None) => Ok(value),
            (Some(_), Some(_)) => Err(Unreadable::DuplicateParameter(key)),
        }
    }

    /// Every value of `key`.
    pub(crate) fn all(&self, key: &str) -> impl Iterator<Item = &str> {
        self.pairs
            .iter()
            .filter(move |(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }
}

fn decode(text: &str) -> Result<String, Unreadable> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => rest
                .next()
                .zip(rest.next())
                .and_then(|(high, low)| hexadecimal(high, low))
                .ok_or(Unreadable::QueryEscape)?,
            b'+' => b' ',
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| Unreadable::QueryEncoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_once() {
        let form = Form::parse("fromImage=docker.io%2Flibrary%2Fevil&tag=latest&a=b+c&d=%2525&&e")
            .unwrap();
        assert_eq!(form.one("fromImage"), Ok("docker.io/library/evil"));
        assert_eq!(form.one("tag"), Ok("latest"));
        assert_eq!(form.one("a"), Ok("b c"));
        assert_eq!(form.one("d"), Ok("%25"));
        assert_eq!(form.one("e"), Ok(""));
        assert_eq!(form.one("FROMIMAGE"), Ok(""), "keys are case-sensitive");
    }

    #[test]
    fn a_second_value_and_unreadable_pairs_are_refused() {
        let form = Form::parse("fromImage=good&from%49mage=evil").unwrap();
        assert_eq!(
            form.one("fromImage"),
            Err(Unreadable::DuplicateParameter("fromImage"))
        );
        for (query, problem) in [
            ("fromImage=good;fromImage=evil", Unreadable::QuerySemicolon),
            ("a=%zz", Unreadable::QueryEscape),
            ("a=%2", Unreadable::QueryEscape),
            ("a=%+1", Unreadable::QueryEscape),
            ("%=1", Unreadable::QueryEscape),
            ("a=%ff", Unreadable::QueryEncoding),
            ("a=\u{fffd}", Unreadable::QueryEncoding),
            ("a=b c", Unreadable::QueryEncoding),
            ("a=b\u{7f}", Unreadable::QueryEncoding),
        ] {
            assert_eq!(Form::parse(query), Err(problem), "{query}");
        }
    }
}
