//! `egress.inspect`: whether the engine trusts what registries are read with, and whether that is good for all of them.

use std::path::PathBuf;

use jiff::Timestamp;
use ramgate_egress::Authority;

use super::policy::PolicyFiles;
use super::{Facts, Finding};
use crate::inspection::AuthorityFiles;
use crate::install::engine_process;
use crate::settings::Settings;
use crate::trust::TrustPlaces;

/// What is known of the authority of inspection.
#[derive(Debug)]
pub(crate) struct Inspection {
    authority: Result<Authority, String>,
    made: Option<Timestamp>,
    /// The file that the engine trusts it by, or why there is none.
    trusted: Result<PathBuf, &'static str>,
}

// === impl Inspection ===

impl Inspection {
    /// Looks, if the settings switch it on.
    pub(super) fn find(settings: &Settings) -> Option<Self> {
        settings.egress.as_ref().filter(|egress| egress.inspect)?;
        let files = AuthorityFiles::below(&settings.state_dir);
        let certificate = std::fs::read_to_string(&files.certificate).unwrap_or_default();
        let made = std::fs::metadata(&files.certificate).and_then(|file| file.modified());
        let trusted = match engine_process().and_then(TrustPlaces::of_process) {
            Some(places) => places
                .find(&certificate)
                .ok_or("the engine does not trust it"),
            None => Err("the engine's process cannot be found"),
        };
        Some(Self {
            authority: files.read().map_err(|error| format!("{error:#}")),
            made: made.ok().and_then(|made| Timestamp::try_from(made).ok()),
            trusted,
        })
    }

    /// Whether the engine takes what is signed by it, for all registries of the policy.
    pub(super) fn works(&self, policy: Option<&PolicyFiles>) -> bool {
        self.trusted.is_ok() && self.authority.is_ok() && self.unvouched(policy).is_empty()
    }

    /// The registries that it may not vouch for.
    fn unvouched(&self, policy: Option<&PolicyFiles>) -> Vec<String> {
        let hosts = policy.and_then(|files| files.policy.registry_hosts());
        let permitted = |host: &ramgate_policy::Host| match &self.authority {
            Ok(authority) => authority.permits(host),
            Err(_) => false,
        };
        let hosts = hosts.into_iter().flatten();
        hosts
            .filter(|host| !permitted(host))
            .map(|host| host.to_string())
            .collect()
    }
}

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let Some(inspection) = &facts.inspection else {
        return Vec::new();
    };
    if let Err(error) = &inspection.authority {
        return vec![Finding::bad(CHECK, error.as_str(), INSTALL)];
    }
    let mut findings = Vec::new();
    if let Err(why) = inspection.trusted {
        findings.push(Finding::bad(
            CHECK,
            format!("{why}: what is pulled from registries that are read fails"),
            INSTALL,
        ));
    }
    let unvouched = inspection.unvouched(facts.policy.as_ref().ok());
    if !unvouched.is_empty() {
        findings.push(Finding::bad(
            CHECK,
            format!(
                "the authority was not made for these registries, so that pulls fail: {}",
                unvouched.join(", ")
            ),
            INSTALL,
        ));
    }
    let days = inspection.made.map_or(0, |made| {
        (facts.now.as_second() - made.as_second()) / 86_400
    });
    if days > DAYS_MAX {
        findings.push(Finding::warning(
            CHECK,
            format!("the authority is {days} days old, and ends after two years"),
            "ramgate egress ca rotate, and then `ramgate install`; the engine is restarted",
        ));
    }
    if let (Ok(path), true) = (&inspection.trusted, findings.is_empty()) {
        findings.push(Finding::ok(
            CHECK,
            format!(
                "the engine trusts it by {}; it is good for the policy's registries alone",
                path.display()
            ),
        ));
    }
    findings
}

const CHECK: &str = "inspection";
const INSTALL: &str =
    "ramgate install --level strict; it makes what is missing, and restarts the engine";
/// Two months before the end.
const DAYS_MAX: i64 = 670;

#[cfg(test)]
mod tests {
    use ramgate_egress::NewAuthority;

    use super::super::Health;
    use super::super::tests::{check as told, well};
    use super::*;

    fn inspection(hosts: &[&str]) -> Inspection {
        let hosts: Vec<_> = hosts.iter().map(|host| host.parse().unwrap()).collect();
        let made = NewAuthority::make(&hosts, Timestamp::now().into()).unwrap();
        Inspection {
            authority: Authority::read(&made.certificate, &made.key)
                .map_err(|error| error.to_string()),
            made: Some(Timestamp::now()),
            trusted: Ok(PathBuf::from("/etc/ssl/certs/ramgate.pem")),
        }
    }

    #[test]
    fn an_authority_that_is_not_trusted_not_for_all_or_old_is_told() {
        let mut well = well();
        assert_eq!(check(&well.facts), []);
        // Those of the policy of a host where all is well.
        let sound = || inspection(&["docker.io", "hub.docker.com", "registry.example"]);
        well.facts.inspection = Some(sound());
        let found = check(&well.facts);
        assert_eq!(
            found[0].says,
            "the engine trusts it by /etc/ssl/certs/ramgate.pem; it is good for the policy's registries alone"
        );

        let install = "ramgate install --level strict";
        well.facts.inspection = Some(Inspection {
            trusted: Err("the engine does not trust it"),
            ..sound()
        });
        told(
            &check(&well.facts),
            Health::Bad,
            "the engine does not trust it: what is pulled",
            install,
        );
        well.facts.inspection = Some(inspection(&["docker.io", "hub.docker.com"]));
        told(
            &check(&well.facts),
            Health::Bad,
            "so that pulls fail: registry.example",
            install,
        );
        well.facts.inspection = Some(Inspection {
            authority: Err("no key".to_owned()),
            ..sound()
        });
        told(&check(&well.facts), Health::Bad, "no key", install);
        let days =
            |days: i64| Timestamp::from_second(well.facts.now.as_second() - days * 86_400).ok();
        let made = days(700);
        well.facts.inspection = Some(Inspection { made, ..sound() });
        told(
            &check(&well.facts),
            Health::Warning,
            "is 700 days old",
            "ramgate egress ca rotate",
        );
    }
}
