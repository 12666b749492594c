//! How old the engine is: what is known of ways past authorization plugins in it.

use super::{Facts, Finding};

/// A way past authorization plugins that was published.
struct Advisory {
    id: &'static str,
    published: &'static str,
    what: &'static str,
    /// The first version of each series that has the fix; what is newer than the last has it too.
    fixed: &'static [Version],
}

type Version = (u32, u32, u32);

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let engine = match &facts.engine {
        Ok(engine) => engine,
        Err(error) => {
            return vec![Finding::bad(
                "engine",
                error.as_str(),
                "start the engine, and run this as root",
            )];
        }
    };
    let mut findings = vec![Finding::ok(
        "engine",
        format!("Docker {}, API {}", engine.version, engine.api_version),
    )];
    let Some(version) = parse(&engine.version) else {
        findings.push(Finding::warning(
            "advisories",
            format!("the version `{}` cannot be compared", engine.version),
            "see https://github.com/moby/moby/security/advisories",
        ));
        return findings;
    };
    for advisory in ADVISORIES
        .iter()
        .filter(|advisory| advisory.concerns(version))
    {
        let (id, published, what) = (advisory.id, advisory.published, advisory.what);
        findings.push(Finding::warning(
            "advisories",
            format!(
                "{id} ({published}): {what}. ramgate denies such requests for want of their body"
            ),
            format!(
                "update the engine to {} or newer, unless its packager has mended it",
                advisory.newest()
            ),
        ));
    }
    if engine.speaks_grpc() {
        findings.push(Finding::warning(
            "advisories",
            "since 29.2 the engine answers BuildKit over gRPC without asking any plugin",
            "keep mirror and proxy in force: they hold the policy for builds",
        ));
    }
    if findings.len() == 1 {
        findings.push(Finding::ok(
            "advisories",
            format!("none of those known on {AS_OF} concerns it"),
        ));
    }
    findings
}

// === impl Advisory ===

impl Advisory {
    fn concerns(&self, version: Version) -> bool {
        let (major, minor, _) = version;
        let fixed = self.fixed.iter().any(|fixed| {
            let same_series = (fixed.0, fixed.1) == (major, minor);
            same_series && version >= *fixed
        });
        let newest = self.fixed.iter().max();
        !fixed && newest.is_none_or(|newest| version < *newest)
    }

    fn newest(&self) -> String {
        let (major, minor, patch) = self.fixed.iter().max().copied().unwrap_or_default();
        format!("{major}.{minor}.{patch}")
    }
}

/// `28.5.2+dfsg3-1` is 28.5.2.
fn parse(text: &str) -> Option<Version> {
    let numbers = text
        .split(|letter: char| !letter.is_ascii_digit() && letter != '.')
        .next()?;
    let mut numbers = numbers.split('.').map(|number| number.parse().ok());
    Some((
        numbers.next()??,
        numbers.next()??,
        numbers.next().flatten().unwrap_or_default(),
    ))
}

/// When the table was last compared with moby's advisories.
const AS_OF: &str = "2026-11-25";

const ADVISORIES: [Advisory; 2] = [
    Advisory {
        id: "CVE-2024-41110 (GHSA-v23v-6jw2-98fq)",
        published: "2024-07-23",
        what: "a request with Content-Length 0 reaches plugins without its body",
        fixed: &[(23, 0, 15), (25, 0, 6), (26, 1, 5), (27, 1, 1)],
    },
    Advisory {
        id: "CVE-2026-34040 (GHSA-x744-4wpc-v9h2)",
        published: "2026-03",
        what: "a request whose body is too large reaches plugins without it",
        fixed: &[(25, 0, 16), (29, 3, 1)],
    },
];

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::super::tests::{check as told, well};
    use super::*;
    use crate::engine_report::EngineReport;

    #[track_caller]
    fn check(version: &str, expected: [bool; 2]) {
        let version = parse(version).unwrap();
        let concerned = ADVISORIES
            .each_ref()
            .map(|advisory| advisory.concerns(version));
        assert_eq!(concerned, expected, "{version:?}");
    }

    #[test]
    fn versions_are_compared_within_their_series() {
        check("20.10.24+dfsg1", [true, true]);
        check("23.0.14", [true, true]);
        check("23.0.15", [false, true]);
        check("25.0.16", [false, false]);
        check("26.0.9", [true, true]);
        check("26.1.5+dfsg1", [false, true]);
        check("28.5.2", [false, true]);
        check("29.3.0", [false, true]);
        check("29.3.1", [false, false]);
        check("30.0.0", [false, false]);
        assert_eq!(parse("dev"), None);
        assert_eq!(parse("29.4-rc.1"), Some((29, 4, 0)));
    }

    #[test]
    fn what_is_known_of_the_engine_is_told_with_what_mends_it() {
        let mut well = well();
        assert!(
            super::check(&well.facts)
                .iter()
                .all(|finding| finding.health == Health::Ok)
        );
        let mut run = |version: &str, api: &str| {
            well.facts.engine = Ok(EngineReport {
                version: version.to_owned(),
                api_version: api.to_owned(),
                ..EngineReport::default()
            });
            super::check(&well.facts)
        };
        let old = run("26.1.5+dfsg1", "1.45");
        told(
            &old[1..],
            Health::Warning,
            "CVE-2026-34040",
            "update the engine to 29.3.1 or newer",
        );
        let older = run("20.10.24+dfsg1", "1.41");
        told(
            &older[1..2],
            Health::Warning,
            "CVE-2024-41110",
            "update the engine to 27.1.1 or newer",
        );
        assert_eq!(older.len(), 3);
        let grpc = run("29.4.0", "1.53");
        told(
            &grpc[1..],
            Health::Warning,
            "over gRPC without asking any plugin",
            "keep mirror and proxy in force",
        );
        let own = run("dev", "1.45");
        told(
            &own[1..],
            Health::Warning,
            "the version `dev` cannot be compared",
            "https://github.com/moby/moby/security/advisories",
        );
        well.facts.engine = Err("no such file".to_owned());
        told(
            &super::check(&well.facts),
            Health::Bad,
            "no such file",
            "start the engine, and run this as root",
        );
    }
}
