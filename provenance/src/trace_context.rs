//! Of which trace a request says it is a part: W3C Trace Context, <https://www.w3.org/TR/trace-context-1/#traceparent-header>.
//!
//! It is what a client says and nothing is decided by it: it ties what is told of a decision to what others tell of the same pull.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// What stands in a `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace: [u8; 16],
    parent: [u8; 8],
    flags: u8,
}

/// What is said is no `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("this is no traceparent")]
pub struct InvalidTraceContext(());

// === impl TraceContext ===

impl TraceContext {
    /// The name of the header, in lower case.
    pub const HEADER: &str = "traceparent";

    /// What `values` say, the header's: of two none is to be believed.
    pub fn of<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let value = std::str::from_utf8(values.next()?).ok()?;
        match values.next() {
            None => value.parse().ok(),
            Some(_) => None,
        }
    }

    /// The trace.
    #[must_use]
    pub const fn trace(&self) -> [u8; 16] {
        self.trace
    }

    /// Within it, whoever asks.
    #[must_use]
    pub const fn parent(&self) -> [u8; 8] {
        self.parent
    }

    /// Whether whoever asks records the trace.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }
}

impl FromStr for TraceContext {
    type Err = InvalidTraceContext;

    fn from_str(text: &str) -> Result<Self, InvalidTraceContext> {
        let invalid = InvalidTraceContext(());
        let mut parts = text.split('-');
        let mut next = || parts.next().ok_or(invalid);
        let [version] = bytes(next()?).ok_or(invalid)?;
        let trace: [u8; 16] = bytes(next()?).ok_or(invalid)?;
        let parent: [u8; 8] = bytes(next()?).ok_or(invalid)?;
        let [flags] = bytes(next()?).ok_or(invalid)?;
        // Later versions may say more behind it.
        let ends = version > 0 || parts.next().is_none();
        let named = trace != [0; 16] && parent != [0; 8];
        match version != u8::MAX && ends && named {
            true => Ok(Self {
                trace,
                parent,
                flags,
            }),
            false => Err(invalid),
        }
    }
}

impl fmt::Display for TraceContext {
    /// As version 0.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace, parent) = (
            u128::from_be_bytes(self.trace),
            u64::from_be_bytes(self.parent),
        );
        write!(
            formatter,
            "00-{trace:032x}-{parent:016x}-{:02x}",
            self.flags
        )
    }
}

/// As many bytes, in lower-case hexadecimal digits.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != 2 * N || !text.bytes().all(digit) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the recommendation.
    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_read_is_what_is_written() {
        let context: TraceContext = EXAMPLE.parse().unwrap();
        assert_eq!(context.to_string(), EXAMPLE);
        assert!(context.is_sampled());
        assert_eq!(context.trace()[..2], [0x4b, 0xf9]);
        assert_eq!(context.parent()[6..], [0x02, 0xb7]);
        let later: TraceContext = EXAMPLE.replacen("00", "cc", 1).parse().unwrap();
        assert_eq!(later, context);
        let more = format!("{}-what-is-new", EXAMPLE.replacen("00", "01", 1));
        assert_eq!(more.parse(), Ok(context));
    }

    #[test]
    fn what_is_not_quite_one_is_none() {
        for text in [
            "",
            "00",
            &EXAMPLE.to_uppercase(),
            &EXAMPLE.replacen("00", "ff", 1),
            &EXAMPLE.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &EXAMPLE.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &EXAMPLE.replace("00f0", "+0f0"),
            &EXAMPLE.replace("-01", "-1"),
            &EXAMPLE.replace("4bf9", "ßf9"),
            &format!("{EXAMPLE}-more"),
            &format!(" {EXAMPLE}"),
        ] {
            assert_eq!(
                text.parse::<TraceContext>(),
                Err(InvalidTraceContext(())),
                "{text}"
            );
        }
    }

    #[test]
    fn of_two_none_is_believed() {
        let of = |values: &[&str]| TraceContext::of(values.iter().map(|value| value.as_bytes()));
        assert!(of(&[EXAMPLE]).is_some());
        assert!(of(&[EXAMPLE, EXAMPLE]).is_none());
        assert!(of(&[]).is_none());
    }
}
