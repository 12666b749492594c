//! From the settings as written to the settings in force; every mistake is found.

use std::net::SocketAddr;
use std::path::PathBuf;

use ramgate_policy::Registry;
use ramgate_policy::document::{Document, Finding, Findings};

use super::Settings;
use super::file::SettingsFile;

pub(super) fn settings(text: &str) -> Result<Settings, Findings> {
    let document = Document::<SettingsFile>::read(text)?;
    let mut check = Check {
        document: &document,
        findings: Vec::new(),
    };
    let settings = check.settings(&document.value);
    Findings::none_of(check.findings)?;
    // Every `None` above has left a finding.
    settings.ok_or_else(|| document.finding("", "the settings cannot be read").into())
}

pub(super) struct Check<'a> {
    document: &'a Document<'a, SettingsFile>,
    findings: Vec<Finding>,
}

// === impl Check ===

impl Check<'_> {
    fn settings(&mut self, file: &SettingsFile) -> Option<Settings> {
        let state = self.path(
            file.state_dir.as_deref().unwrap_or("/var/lib/ramgate"),
            "state-dir",
        );
        let policy_path = self.path(&file.policy.path, "policy.path");
        let engine_socket = self.path(&file.engine.socket, "engine.socket");
        let audit = self.audit(&file.audit);
        let plugin_socket = self.path(&file.plugin.socket, "plugin.socket");
        let egress = self.egress(&file.egress);
        let metrics_listen = self.address(&file.metrics.listen, "metrics.listen");
        let mirror = self.mirror(&file.mirror, state.clone());
        let catalog = self.catalog(file.catalog.as_ref());
        let otlp = match &file.otlp {
            Some(part) => self.otlp(part).map(Some),
            None => Some(None),
        };
        if file.egress.inspect && !(file.mirror.enabled && file.egress.enabled) {
            self.report(
                "egress.inspect",
                "what is read is judged and fetched by the mirror: enable mirror and egress",
            );
        }
        if file.console.as_ref().is_some_and(|console| console.enabled) {
            self.report(
                "console.enabled",
                "this version has no console; leave the key out or false",
            );
        }
        if !(file.plugin.enabled || file.mirror.enabled || file.egress.enabled) {
            self.report(
                "",
                "no gate is enabled: enable at least one of plugin, mirror, egress",
            );
        }
        self.listeners(file);
        Some(Settings {
            policy_path: policy_path?,
            state_dir: state?,
            engine_socket: engine_socket?,
            plugin_socket: if file.plugin.enabled {
                Some(plugin_socket?)
            } else {
                None
            },
            mirror: if file.mirror.enabled {
                Some(mirror?)
            } else {
                None
            },
            egress: if file.egress.enabled {
                Some(egress?)
            } else {
                None
            },
            catalog: catalog?,
            metrics_listen: if file.metrics.enabled {
                Some(metrics_listen?)
            } else {
                None
            },
            audit: audit?,
            audit_journal: file.audit.journal,
            log_to: file.log.to,
            otlp: otlp?,
        })
    }

    /// No two at one address.
    fn listeners(&mut self, file: &SettingsFile) {
        let (mirror, egress, metrics) = (&file.mirror, &file.egress, &file.metrics);
        if mirror.enabled && egress.enabled && mirror.listen == egress.listen {
            self.report("egress.listen", "the mirror listens at this address");
        }
        for (gate, enabled, listen) in [
            ("mirror", mirror.enabled, &mirror.listen),
            ("network gate", egress.enabled, &egress.listen),
        ] {
            if metrics.enabled && enabled && metrics.listen == *listen {
                self.report(
                    "metrics.listen",
                    format!("the {gate} listens at this address"),
                );
            }
        }
    }

    /// `https://host[:port]`, or `http://` where it is written.
    pub(super) fn endpoint(&mut self, text: &str, key: &str) -> Option<String> {
        let url = text.strip_suffix('/').unwrap_or(text);
        let authority = url
            .strip_prefix("https://")
            .or_else(|| url.strip_prefix("http://"));
        let registry = authority.ok_or_else(|| "the scheme is not https or http".to_owned());
        let registry =
            registry.and_then(|text| text.parse::<Registry>().map_err(|error| error.to_string()));
        let registry = registry
            .map_err(|error| format!("`{text}` is not of the form `https://host[:port]`: {error}"));
        self.read(registry, key).map(|_| url.to_owned())
    }

    pub(super) fn path(&mut self, text: &str, key: &str) -> Option<PathBuf> {
        let path = PathBuf::from(text);
        let absolute = path
            .is_absolute()
            .then_some(path)
            .ok_or_else(|| format!("`{text}` is not an absolute path"));
        self.read(absolute, key)
    }

    pub(super) fn address(&mut self, text: &str, key: &str) -> Option<SocketAddr> {
        let address = text.parse().map_err(|_| {
            format!("`{text}` is not of the form `address:port`, as `127.0.0.1:5050`")
        });
        self.read(address, key)
    }

    pub(super) fn read<T>(&mut self, result: Result<T, String>, key: &str) -> Option<T> {
        result.map_err(|problem| self.report(key, problem)).ok()
    }

    pub(super) fn report(&mut self, key: &str, problem: impl Into<String>) {
        self.findings.push(self.document.finding(key, problem));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let findings: Vec<String> = match settings(text) {
            Ok(_) => Vec::new(),
            Err(findings) => findings.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(findings, expected, "{text}");
    }

    #[test]
    fn every_key_is_optional() {
        check("{}", &[]);
    }

    #[test]
    fn every_mistake_is_reported_at_once() {
        check(
            r#"{
  "state-dir": "relative",
  "mirror": {
    "listen": "5050",
    "tag-ttl": "soon",
    "storage": "ftp://bucket",
    "upstreams": {
      "docker.io": { "url": "registry-1.docker.io" },
      "index.docker.io": { "url": "https://a.example/path" },
      "ghcr.io": { "url": "https://ghcr.io", "username": "x" }
    }
  },
  "egress": {
    "upstream-proxy": { "url": "https://proxy.acme.example", "username": "x", "no-proxy": [ "10.0.0.0/33" ] } }
}"#,
            &[
                "line 2: state-dir: `relative` is not an absolute path",
                "line 4: mirror.listen: `5050` is not of the form `address:port`, as `127.0.0.1:5050`",
                "line 5: mirror.tag-ttl: `soon` is no duration; a number and one of ms, s, m, h, d is expected, as `60s`",
                "line 6: mirror.storage: `ftp://bucket` is not of the form `file:///directory`, `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`",
                "line 8: mirror.upstreams.docker.io.url: `registry-1.docker.io` is not of the form `https://host[:port]`: the scheme is not https or http",
                "line 9: mirror.upstreams.index.docker.io.url: `https://a.example/path` is not of the form `https://host[:port]`: the host has a character or an empty label that no host name has",
                "line 10: mirror.upstreams.ghcr.io: `username` and `password-file` come together",
                "line 14: egress.upstream-proxy: `username` and `password-file` come together",
                "line 14: egress.upstream-proxy.url: `https://proxy.acme.example` is not of the form `http://host:port`; the proxy is spoken to without TLS, and given credentials by `username` and `password-file`",
                "line 14: egress.upstream-proxy.no-proxy: `10.0.0.0/33` is no host, domain, address or network; write as in `acme.example`, `.acme.example`, `10.0.0.0/8`",
            ],
        );
    }

    #[test]
    fn what_ramgate_logs_in_with_is_checked() {
        check(
            r#"{ "mirror": { "docker-config": "config.json", "absent-ttl": "0s",
  "credentials": [
    { "prefix": "ghcr.io/acme/", "username": "u", "password-file": "/p" },
    { "prefix": "ghcr.io/acme", "credential-helper": "pass" },
    { "prefix": "ghcr.io/Acme", "credential-helper": "pass" },
    { "prefix": "quay.io" },
    { "prefix": "quay.io/x", "credential-helper": "/bin/sh" }
  ],
  "upstreams": { "quay.io": { "url": "https://quay.io", "redirect-hosts": ["a b"] } } } }"#,
            &[
                "line 1: mirror.docker-config: `config.json` is not an absolute path",
                "line 4: mirror.credentials[1]: this prefix stands here already",
                "line 5: mirror.credentials[2]: prefix: the path in `ghcr.io/Acme` is none of a repository: invalid reference format",
                "line 6: mirror.credentials[3]: `username` with `password-file`, or `credential-helper` is missing",
                "line 7: mirror.credentials[4]: credential-helper: `/bin/sh` is not the end of a program's name, as `ecr-login` is of `docker-credential-ecr-login`",
                "line 9: mirror.upstreams.quay.io.redirect-hosts[0]: `a b` is no host: the host has a character or an empty label that no host name has",
            ],
        );
    }

    #[test]
    fn one_registry_under_two_spellings_is_refused() {
        check(
            r#"{ "mirror": { "upstreams": { "docker.io": { "url": "https://a.example" }, "index.docker.io": { "url": "https://b.example" } } } }"#,
            &[
                "line 1: mirror.upstreams.index.docker.io: this registry stands here under another spelling already",
            ],
        );
    }

    #[test]
    fn one_address_is_not_for_two() {
        check(
            r#"{ "metrics": { "listen": "127.0.0.1:5051" } }"#,
            &["line 1: metrics.listen: the network gate listens at this address"],
        );
        check(
            r#"{ "metrics": { "listen": "127.0.0.1:5051", "enabled": false } }"#,
            &[],
        );
        check(
            r#"{ "metrics": { "listen": "5053" } }"#,
            &[
                "line 1: metrics.listen: `5053` is not of the form `address:port`, as `127.0.0.1:5050`",
            ],
        );
    }

    #[test]
    fn inspection_needs_the_mirror() {
        check(
            r#"{ "mirror": { "enabled": false }, "egress": { "inspect": true } }"#,
            &[
                "line 1: egress.inspect: what is read is judged and fetched by the mirror: enable mirror and egress",
            ],
        );
    }

    #[test]
    fn at_least_one_gate_is_enabled() {
        check(
            r#"{ "plugin": { "enabled": false }, "mirror": { "enabled": false }, "egress": { "enabled": false } }"#,
            &["line 1: no gate is enabled: enable at least one of plugin, mirror, egress"],
        );
    }
}
