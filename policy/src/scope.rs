//! Scopes of repositories: what a glob of the policy covers, and which of many covers a path most closely.
//!
//! | pattern | covers |
//! |---|---|
//! | `grafana/grafana` | that repository |
//! | `bitnami/*` | every repository one component below `bitnami` |
//! | `acme/**` | every repository below `acme`, at any depth |
//! | `team-*/app` | `*` within a component stands for any characters but a slash |
//!
//! A scope ends at a path component: `acme/**` does not cover `acme-evil/tool`. Look-up is flat in the number of patterns
//! of the first three forms; those of the last form are tried one by one.

use std::collections::HashMap;

use thiserror::Error;

/// A checked pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Glob {
    text: Box<str>,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Form {
    /// Everything.
    All,
    /// One repository.
    Exact,
    /// `prefix/*`.
    Children,
    /// `prefix/**`.
    Subtree,
    /// Anything else.
    Other,
}

/// How closely a pattern covers a path; greater is closer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Specificity {
    exact: bool,
    /// Characters before the first wildcard.
    literal: usize,
    /// One component rather than any depth.
    bounded: bool,
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum InvalidGlob {
    /// There is nothing.
    #[error("the pattern is empty")]
    Empty,
    /// A slash at an end, or two in a row.
    #[error("a pattern has no empty component: no slash at either end, no `//`")]
    EmptyComponent,
    /// A character that no repository has.
    #[error("`{0}` stands in no repository path, so this pattern would never match")]
    Character(char),
    /// `**` beside other characters, or not last.
    #[error("`**` stands alone as the last component, as in `acme/**`")]
    DoubleStar,
}

/// Values under patterns, found by path. Most registries have one pattern or a few, which are tried one by one.
#[derive(Clone, Debug)]
pub(crate) struct ScopeMap<T> {
    few: Vec<(Glob, T)>,
    many: Option<Box<Index<T>>>,
}

/// Values under any number of patterns.
#[derive(Clone, Debug)]
struct Index<T> {
    all: Vec<T>,
    exact: HashMap<Box<str>, Vec<T>>,
    children: HashMap<Box<str>, Vec<T>>,
    subtree: HashMap<Box<str>, Vec<T>>,
    other: Vec<(Glob, T)>,
    /// Where in `other` a pattern stands last.
    places: HashMap<Box<str>, usize>,
}

// === impl Glob ===

impl Glob {
    /// Covers every path.
    pub(crate) fn all() -> Self {
        Self {
            text: Box::from("**"),
            form: Form::All,
        }
    }

    pub(crate) fn parse(text: &str) -> Result<Self, InvalidGlob> {
        if text.is_empty() {
            return Err(InvalidGlob::Empty);
        }
        let legal = |letter: char| {
            letter.is_ascii_lowercase() || letter.is_ascii_digit() || "._-*/".contains(letter)
        };
        if let Some(bad) = text.chars().find(|letter| !legal(*letter)) {
            return Err(InvalidGlob::Character(bad));
        }
        if text.split('/').any(str::is_empty) {
            return Err(InvalidGlob::EmptyComponent);
        }
        let (before_last, last) = text.rsplit_once('/').unwrap_or(("", text));
        if before_last.contains("**") || (last.contains("**") && last != "**") {
            return Err(InvalidGlob::DoubleStar);
        }
        let form = match (before_last.contains('*'), last) {
            (false, "**") if before_last.is_empty() => Form::All,
            (false, "**") => Form::Subtree,
            (false, "*") if !before_last.is_empty() => Form::Children,
            (false, _) if !last.contains('*') => Form::Exact,
            _ => Form::Other,
        };
        Ok(Self {
            text: Box::from(text),
            form,
        })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// What stands before `/*` or `/**`.
    fn prefix(&self) -> &str {
        self.text.rsplit_once('/').map_or("", |(prefix, _)| prefix)
    }

    fn specificity(&self) -> Specificity {
        Specificity {
            exact: self.form == Form::Exact,
            literal: self.text.find('*').unwrap_or(self.text.len()),
            bounded: !self.text.ends_with("**"),
        }
    }

    /// Whether the pattern, of any form, covers `path`.
    pub(crate) fn covers(&self, path: &str) -> bool {
        let mut components = path.split('/');
        for pattern in self.text.split('/') {
            if pattern == "**" {
                return components.next().is_some();
            }
            if !components
                .next()
                .is_some_and(|component| covers_component(pattern, component))
            {
                return false;
            }
        }
        components.next().is_none()
    }
}

/// `*` stands for any characters. Greedy with one point of return, so linear for what is met here and never exponential.
pub(crate) fn covers_component(pattern: &str, component: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces
        .next()
        .and_then(|first| component.strip_prefix(first))
    else {
        return false;
    };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        match rest.split_once(piece) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    false
}

// === impl ScopeMap ===

impl<T> Default for ScopeMap<T> {
    fn default() -> Self {
        Self {
            few: Vec::new(),
            many: None,
        }
    }
}

impl<T: Clone> ScopeMap<T> {
    /// Puts `value` under a pattern. Gives the one that stood under the same before, which stays as well.
    pub(crate) fn insert(&mut self, glob: Glob, value: T) -> Option<T> {
        if let Some(many) = &mut self.many {
            return many.insert(glob, value);
        }
        let mut before = self.few.iter().rev().filter(|(few, _)| *few == glob);
        let before = before.next().map(|(_, value)| value.clone());
        if self.few.len() < FEW {
            // Of a hundred thousand registries each has one: room for four would be most of what they take.
            self.few.reserve_exact(1);
            self.few.push((glob, value));
        } else {
            let mut many = Box::<Index<T>>::default();
            for (glob, value) in self.few.drain(..).chain([(glob, value)]) {
                many.insert(glob, value);
            }
            self.many = Some(many);
        }
        before
    }
}

impl<T> ScopeMap<T> {
    /// Every value whose pattern covers `path`, each with how closely.
    pub(crate) fn covering<'a, 'p>(
        &'a self,
        path: &'p str,
    ) -> impl Iterator<Item = (Specificity, &'a T)> + use<'a, 'p, T> {
        let few = self.few.iter().filter(move |(glob, _)| glob.covers(path));
        let many = self.many.iter().flat_map(move |many| many.covering(path));
        few.map(|(glob, value)| (glob.specificity(), value))
            .chain(many)
    }
}

// === impl Index ===

impl<T> Default for Index<T> {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            exact: HashMap::new(),
            children: HashMap::new(),
            subtree: HashMap::new(),
            other: Vec::new(),
            places: HashMap::new(),
        }
    }
}

impl<T: Clone> Index<T> {
    fn insert(&mut self, glob: Glob, value: T) -> Option<T> {
        let add = |values: &mut Vec<T>, value| {
            let before = values.last().cloned();
            values.reserve_exact(1);
            values.push(value);
            before
        };
        let under = |map: &mut HashMap<Box<str>, Vec<T>>, key: Box<str>, value| {
            add(map.entry(key).or_default(), value)
        };
        match glob.form {
            Form::All => add(&mut self.all, value),
            Form::Exact => under(&mut self.exact, glob.text, value),
            Form::Children => under(&mut self.children, Box::from(glob.prefix()), value),
            Form::Subtree => under(&mut self.subtree, Box::from(glob.prefix()), value),
            Form::Other => {
                let place = self.places.insert(glob.text.clone(), self.other.len());
                self.other.push((glob, value));
                let before = place.and_then(|place| self.other.get(place));
                before.map(|(_, value)| value.clone())
            }
        }
    }
}

impl<T> Index<T> {
    /// Every value whose pattern covers `path`, each with how closely.
    fn covering<'a, 'p>(
        &'a self,
        path: &'p str,
    ) -> impl Iterator<Item = (Specificity, &'a T)> + use<'a, 'p, T> {
        let literal = |exact, literal, bounded| Specificity {
            exact,
            literal,
            bounded,
        };
        let exact = self.exact.get(path).into_iter().flatten();
        let parent = path.rsplit_once('/').map(|(parent, _)| parent);
        let children = parent
            .and_then(|parent| self.children.get(parent))
            .into_iter()
            .flatten();
        let ancestors = path
            .match_indices('/')
            .filter_map(|(slash, _)| path.get(..slash));
        let subtrees = ancestors.flat_map(move |prefix| {
            let closeness = literal(false, prefix.len() + 1, false);
            self.subtree
                .get(prefix)
                .into_iter()
                .flatten()
                .map(move |value| (closeness, value))
        });
        let others = self.other.iter().filter(move |(glob, _)| glob.covers(path));
        exact
            .map(move |value| (literal(true, path.len(), true), value))
            .chain(
                children.map(move |value| {
                    (literal(false, parent.map_or(0, str::len) + 1, true), value)
                }),
            )
            .chain(subtrees)
            .chain(others.map(|(glob, value)| (glob.specificity(), value)))
            .chain(
                self.all
                    .iter()
                    .map(move |value| (literal(false, 0, false), value)),
            )
    }
}

/// So many patterns are tried one by one as fast as they are looked up.
const FEW: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, path: &str, expected: bool) {
        let glob = Glob::parse(pattern).unwrap();
        assert_eq!(
            glob.covers(path),
            expected,
            "{pattern} over {path}, tried directly"
        );
        let closeness = glob.specificity();
        let mut map = ScopeMap::default();
        for other in 0..=FEW {
            map.insert(Glob::parse(&format!("other-{other}")).unwrap(), ());
        }
        map.insert(glob, ());
        assert_eq!(
            map.covering(path).next().map(|(closeness, ())| closeness),
            expected.then_some(closeness),
            "{pattern} over {path}, looked up"
        );
    }

    #[test]
    fn a_scope_ends_at_a_path_component() {
        check("acme/**", "acme/app", true);
        check("acme/**", "acme/team/app", true);
        check("acme/**", "acme", false);
        check("acme/**", "acme-evil/tool", false);
        check("acme/**", "evil/acme/app", false);
        check("acme/*", "acme/app", true);
        check("acme/*", "acme/team/app", false);
        check("acme/*", "acme-evil/tool", false);
        check("acme/app", "acme/app", true);
        check("acme/app", "acme/app2", false);
        check("acme/app", "acme/app/sub", false);
        check("**", "a", true);
        check("**", "a/b/c", true);
        check("*", "a", true);
        check("*", "a/b", false);
        check("team-*/app", "team-a/app", true);
        check("team-*/app", "team-a/b/app", false);
        check("team-*/**", "team-a/b/app", true);
        check("*/app", "x/app", true);
        check("acme/a*b*c", "acme/a-b-c", true);
        check("acme/a*b*c", "acme/abc", true);
        check("acme/a*b*c", "acme/acb", false);
        check("acme/ab*ba", "acme/aba", false);
        check("acme/*-*", "acme/a-b", true);
        check("a*/b*", "ax/by", true);
    }

    #[test]
    fn patterns_that_could_never_match_are_refused() {
        assert_eq!(Glob::parse(""), Err(InvalidGlob::Empty));
        assert_eq!(Glob::parse("/acme"), Err(InvalidGlob::EmptyComponent));
        assert_eq!(Glob::parse("acme/"), Err(InvalidGlob::EmptyComponent));
        assert_eq!(Glob::parse("acme//app"), Err(InvalidGlob::EmptyComponent));
        assert_eq!(Glob::parse("Acme/app"), Err(InvalidGlob::Character('A')));
        assert_eq!(Glob::parse("acme/app:1"), Err(InvalidGlob::Character(':')));
        assert_eq!(Glob::parse("acme/**/app"), Err(InvalidGlob::DoubleStar));
        assert_eq!(Glob::parse("acme/a**"), Err(InvalidGlob::DoubleStar));
        assert_eq!(Glob::parse("acme/***"), Err(InvalidGlob::DoubleStar));
    }

    #[test]
    fn the_longest_scope_is_the_closest() {
        let mut map = ScopeMap::default();
        for pattern in [
            "**",
            "acme/**",
            "acme/*",
            "acme/a*",
            "acme/app",
            "acme/app/**",
        ] {
            map.insert(Glob::parse(pattern).unwrap(), pattern);
        }
        let closest = |path: &str| {
            map.covering(path)
                .max_by_key(|(closeness, _)| *closeness)
                .map(|(_, value)| *value)
        };
        assert_eq!(closest("acme/app"), Some("acme/app"));
        assert_eq!(closest("acme/api"), Some("acme/a*"));
        assert_eq!(closest("acme/tool"), Some("acme/*"));
        assert_eq!(closest("acme/tool/x"), Some("acme/**"));
        assert_eq!(closest("acme/app/x"), Some("acme/app/**"));
        assert_eq!(closest("other"), Some("**"));
    }

    #[test]
    fn a_pattern_that_stands_there_already_is_told_with_what_stood_under_it() {
        for others in [0, 2 * FEW] {
            let mut map = ScopeMap::default();
            for other in 0..others {
                let glob = Glob::parse(&format!("other-{other}")).unwrap();
                assert_eq!(map.insert(glob, 0), None);
            }
            for text in ["**", "a", "a/*", "a/**", "a*", "a*/b"] {
                let glob = |_| Glob::parse(text).unwrap();
                let told = [1, 2, 3].map(|value| map.insert(glob(value), value));
                assert_eq!(told, [None, Some(1), Some(2)], "{text} among {others}");
            }
        }
    }

    #[test]
    fn a_few_patterns_and_many_are_found_alike() {
        let mut map = ScopeMap::default();
        for number in 0..3 * FEW {
            for (known, (path, form)) in [("a/b", "**"), ("c/d", "*"), ("e/f", "g")]
                .iter()
                .enumerate()
            {
                map.insert(
                    Glob::parse(&format!("{path}{number}/{form}")).unwrap(),
                    (number, known),
                );
            }
            for number in 0..=number {
                let found = |path: String| {
                    map.covering(&path)
                        .map(|(_, value)| *value)
                        .collect::<Vec<_>>()
                };
                assert_eq!(found(format!("a/b{number}/x/y")), [(number, 0)]);
                assert_eq!(found(format!("c/d{number}/x")), [(number, 1)]);
                assert_eq!(found(format!("e/f{number}/g")), [(number, 2)]);
                assert_eq!(found(format!("e/f{number}/h")), []);
            }
        }
    }
}
