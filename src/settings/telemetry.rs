//! `audit`, `log` and `otlp`: what is told of decisions, and to whom.

use std::path::PathBuf;

use ramgate_mirror::Url;

use super::check::Check;
use super::file::{AuditPart, OtlpPart};
use super::quantity;
use crate::audit_file::AuditFile;

/// A collector of OpenTelemetry's.
#[derive(Clone, Debug)]
pub(crate) struct Otlp {
    /// Without a slash at its end.
    pub(crate) endpoint: String,
    pub(crate) headers_file: Option<PathBuf>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) logs: bool,
    pub(crate) traces: bool,
}

// === impl Check ===

impl Check<'_> {
    pub(super) fn audit(&mut self, part: &AuditPart) -> Option<AuditFile> {
        let path = self.path(&part.path, "audit.path");
        // `0` needs no unit.
        let max_size = match part.max_size.as_str() {
            "0" => Some(0),
            size => self.read(quantity::size(size), "audit.max-size"),
        };
        Some(AuditFile {
            path: path?,
            max_size_bytes: max_size?,
            keep: part.keep,
            sync: part.sync,
        })
    }

    pub(super) fn otlp(&mut self, part: &OtlpPart) -> Option<Otlp> {
        let endpoint = self.read(collector(&part.endpoint), "otlp.endpoint");
        let mut path = |file: &Option<String>, key| match file {
            Some(file) => self.path(file, key).map(Some),
            None => Some(None),
        };
        let headers_file = path(&part.headers_file, "otlp.headers-file");
        let ca_file = path(&part.ca_file, "otlp.ca-file");
        if !(part.logs || part.traces) {
            self.report(
                "otlp",
                "neither logs nor traces are sent; leave the whole of it out",
            );
        }
        Some(Otlp {
            endpoint: endpoint?,
            headers_file: headers_file?,
            ca_file: ca_file?,
            logs: part.logs,
            traces: part.traces,
        })
    }
}

/// Where a collector takes what is sent to it, without a slash at its end.
fn collector(text: &str) -> Result<String, String> {
    let wrong = |problem: &str| {
        format!("`{text}` is not of the form `https://host[:port][/path]`: {problem}")
    };
    let url: Url = text.parse().map_err(|_| wrong("it is no URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("the scheme is not https or http"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("what to log in with belongs into `headers-file`"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("it has a query or a fragment"));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;

    fn otlp(part: &str) -> Result<Otlp, String> {
        let settings = Settings::parse(&format!(r#"{{ "otlp": {part} }}"#));
        settings
            .map(|settings| settings.otlp.unwrap())
            .map_err(|findings| findings.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn nothing_is_sent_unless_it_is_written() {
        let settings = Settings::parse("{}").unwrap();
        assert!(settings.otlp.is_none() && !settings.audit_journal);
    }

    #[test]
    fn an_endpoint_may_have_a_path_and_both_signals_are_sent() {
        let otlp = otlp(r#"{ "endpoint": "https://collector.acme.example:4318/otlp/" }"#).unwrap();
        assert_eq!(otlp.endpoint, "https://collector.acme.example:4318/otlp");
        assert!(otlp.logs && otlp.traces);
    }

    #[test]
    fn what_cannot_be_sent_to_is_refused() {
        for (part, problem) in [
            (
                r#"{ "endpoint": "collector:4318" }"#,
                "the scheme is not https or http",
            ),
            (
                r#"{ "endpoint": "https://u:p@collector" }"#,
                "belongs into `headers-file`",
            ),
            (
                r#"{ "endpoint": "https://collector?token=x" }"#,
                "it has a query or a fragment",
            ),
            (
                r#"{ "endpoint": "https://collector", "logs": false, "traces": false }"#,
                "neither logs nor traces are sent",
            ),
            (
                r#"{ "endpoint": "https://collector", "headers-file": "headers" }"#,
                "otlp.headers-file: `headers` is not an absolute path",
            ),
        ] {
            let refused = otlp(part).unwrap_err();
            assert!(refused.contains(problem), "{part}: {refused}");
        }
    }
}
