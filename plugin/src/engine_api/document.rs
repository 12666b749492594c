//! The table of routes as a document for people.

use std::fmt::Write as _;

use super::Rule;
use super::routes::ROUTES;

/// The table of routes in Markdown: `docs/routes.md`.
#[must_use]
pub fn routes_document() -> String {
    let mut text = HEAD.to_owned();
    for rule in Rule::ALL {
        // Writing to a string does not fail.
        let _ = writeln!(text, "| {} | {} |", rule.name(), rule.asks());
    }
    text.push_str(ROUTES_HEAD);
    for row in ROUTES {
        let versions = row.until.map_or_else(
            || format!("{} –", row.since),
            |until| format!("{} – {until}", row.since),
        );
        let _ = writeln!(
            text,
            "| `{} {}` | {versions} | {} | {} |",
            row.method,
            row.template,
            row.rule.name(),
            row.bears
        );
    }
    text
}

const HEAD: &str = "\
# How each route of the Engine API is decided

Written by `make golden` from the table in `plugin/src/engine_api/routes.rs`; a test compares it. The routes are those of moby's API
descriptions and routers, API 1.24 to 1.56 (`plugin/tests/routes/known.txt`); a test fails when one has no row.

A route that is not here is denied, unless its method is GET, HEAD or OPTIONS: none of those brings an image in, in any version. HEAD is
answered by the engine only where a row says so, OPTIONS everywhere and without doing anything. `{name}` stands for anything,
slashes included. Each path may have a version in front, `/v1.44`.

Before any rule, a request must be readable in one way only: see [reasons.md](reasons.md).

## Rules

| rule | what must be allowed |
|---|---|
";

const ROUTES_HEAD: &str = "
## Routes

| route | API | rule | what it can do to images |
|---|---|---|---|
";
