//! Which part of a blob is asked for; source: RFC 9110, section 14.

use std::ops::Range;

/// What a request wants of content whose size is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Whole,
    Part(Range<u64>),
    /// It begins past the end.
    Nothing,
}

// === impl Wanted ===

impl Wanted {
    /// Reads a `Range` header. What is no single range of bytes asks for the whole, as the RFC has it.
    pub(crate) fn of(header: Option<&str>, size: u64) -> Self {
        header
            .and_then(|header| Self::read(header, size))
            .unwrap_or(Self::Whole)
    }

    fn read(header: &str, size: u64) -> Option<Self> {
        let (unit, range) = header.split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (first, last) = range.trim().split_once('-')?;
        let range = match (first, last) {
            ("", suffix) => size.saturating_sub(number(suffix)?)..size,
            (first, "") => number(first)?..size,
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                if last < first {
                    return None;
                }
                first..last.saturating_add(1).min(size)
            }
        };
        Some(if range.is_empty() {
            Self::Nothing
        } else {
            Self::Part(range)
        })
    }
}

/// Digits and nothing else: `parse` would take a sign.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(header: &str, expected: &Wanted) {
        assert_eq!(&Wanted::of(Some(header), 10), expected, "{header}");
    }

    #[test]
    fn one_range_of_bytes_is_a_part() {
        check("bytes=0-0", &Wanted::Part(0..1));
        check("bytes=2-", &Wanted::Part(2..10));
        check("bytes=2-99", &Wanted::Part(2..10));
        check("bytes=2-18446744073709551615", &Wanted::Part(2..10));
        check("Bytes=-3", &Wanted::Part(7..10));
        check("bytes=-99", &Wanted::Part(0..10));
    }

    #[test]
    fn what_begins_past_the_end_is_nothing() {
        check("bytes=10-", &Wanted::Nothing);
        check("bytes=10-20", &Wanted::Nothing);
        check("bytes=-0", &Wanted::Nothing);
        assert_eq!(Wanted::of(Some("bytes=0-0"), 0), Wanted::Nothing);
    }

    #[test]
    fn what_is_no_single_range_asks_for_the_whole() {
        for header in [
            "bytes=0-1,3-4",
            "bytes=3-2",
            "bytes=-",
            "bytes=+1-2",
            "bytes=a-b",
            "bytes 0-1",
            "items=0-1",
            "bytes=99999999999999999999-",
            "",
        ] {
            check(header, &Wanted::Whole);
        }
        assert_eq!(Wanted::of(None, 10), Wanted::Whole);
    }
}
