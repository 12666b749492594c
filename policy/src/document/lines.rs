//! Where in a text something stands, for people: lines and columns.

use std::cell::Cell;

use super::Place;

/// The lines of a text. Places are asked for mostly in the order of the text, and a text of one line may have a million: counting goes on
/// from where it was.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    text: &'a str,
    last: Cell<(usize, Place)>,
}

// === impl Lines ===

impl<'a> Lines<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self {
            text,
            last: Cell::new((0, START)),
        }
    }

    pub(super) const fn text(&self) -> &'a str {
        self.text
    }

    /// Where a byte is.
    pub(super) fn of(&self, offset: usize) -> Place {
        let (from, place) = match self.last.get() {
            (last, place) if last <= offset => (last, place),
            _ => (0, START),
        };
        let between = self.text.get(from..offset).unwrap_or_default();
        let place = match between.rsplit_once('\n') {
            None => (place.0, place.1 + between.chars().count()),
            Some((before, line)) => (
                place.0 + 1 + before.matches('\n').count(),
                1 + line.chars().count(),
            ),
        };
        self.last.set((offset, place));
        place
    }
}

/// The key around `key`: `a.b` of `a.b[0]`, `a` of `a.b`, and the whole of `a`. A name that has a dot itself takes a step more.
pub(super) fn outer(key: &str) -> Option<&str> {
    match key.rfind(['.', '[']) {
        Some(end) => key.get(..end),
        None => (!key.is_empty()).then_some(""),
    }
}

const START: Place = (1, 1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_line_and_a_column_in_characters() {
        let text = "{\n  \"ä\": 1,\n}";
        let lines = Lines::new(text);
        // Backwards as well as forwards: what was counted before must not matter.
        for offset in [0, 4, 9, 4, 0, 13, 9] {
            let expected = match offset {
                0 => (1, 1),
                4 => (2, 3),
                9 => (2, 7),
                _ => (3, 1),
            };
            assert_eq!(lines.of(offset), expected, "{offset}");
        }
    }

    #[test]
    fn a_key_lies_in_the_one_around_it() {
        assert_eq!(outer("registries[0].host"), Some("registries[0]"));
        assert_eq!(outer("registries[0]"), Some("registries"));
        assert_eq!(outer("registries"), Some(""));
        assert_eq!(outer(""), None);
    }
}
