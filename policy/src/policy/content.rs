//! Content that is judged by where it is known to come from, whatever it is called.

use std::collections::BTreeSet;

use super::Policy;
use crate::action::Action;
use crate::decision::{Grant, RuleName};
use crate::denial::Denial;
use crate::repository::Repository;
use crate::request::Request;
use crate::standing::{Categories, NothingKnown};
use crate::subject::Subject;

// === impl Policy ===

impl Policy {
    /// Decides whether content may be run, by all the repositories that are known to have it.
    ///
    /// One of them must be allowed; and if some are Docker Hub's, one of those: a copy elsewhere does not take content out of
    /// Docker Hub's categories, and a community copy does not make an official image a community one.
    ///
    /// # Errors
    /// The denials, one for each repository that would have had to be allowed; none if `origins` is empty, which is for the
    /// caller to rule out.
    pub fn evaluate_content(
        &self,
        origins: &BTreeSet<Repository>,
        subject: &Subject,
    ) -> Result<Grant, Vec<Denial>> {
        self.evaluate_content_knowing(origins, subject, &NothingKnown)
    }

    /// As [`Self::evaluate_content`], by what is known of Docker Hub's namespaces.
    ///
    /// # Errors
    /// As there.
    pub fn evaluate_content_knowing(
        &self,
        origins: &BTreeSet<Repository>,
        subject: &Subject,
        categories: &dyn Categories,
    ) -> Result<Grant, Vec<Denial>> {
        let hubs = if self.origins_by_digest {
            self.docker_hubs(origins)
        } else {
            BTreeSet::new()
        };
        let judged = if hubs.is_empty() {
            self.one_of(origins, subject, categories)
        } else {
            // A name that stands for Docker Hub's says whose the content is; where it is had from, a name that was used says.
            self.one_of(&hubs, subject, categories).and_then(|rule| {
                if hubs.is_disjoint(origins) {
                    self.one_of(origins, subject, categories)
                } else {
                    Ok(rule)
                }
            })
        };
        match judged {
            Ok(rule) => Ok(Grant::new(rule)),
            Err(denials) => match denials.first() {
                Some(first) if self.is_audit() => Ok(Grant::suppressing(first.clone())),
                _ => Err(denials),
            },
        }
    }

    /// The rule that allows one of `repositories`, or why each is denied.
    fn one_of(
        &self,
        repositories: &BTreeSet<Repository>,
        subject: &Subject,
        categories: &dyn Categories,
    ) -> Result<RuleName, Vec<Denial>> {
        let mut denials: Vec<Denial> = Vec::new();
        for repository in repositories {
            let request = Request {
                repository,
                action: Action::Run,
                subject,
            };
            match self.judge(&request, categories) {
                Ok(rule) => return Ok(rule),
                Err(denial) => denials.push(denial),
            }
        }
        Err(denials)
    }

    /// Docker Hub's repositories among `known`, and those that names among them stand for: what was only ever fetched by the name of
    /// a proxy project is Docker Hub's none the less.
    fn docker_hubs(&self, known: &BTreeSet<Repository>) -> BTreeSet<Repository> {
        let is_hub = |repository: &Repository| repository.registry().is_docker_hub();
        let direct = known.iter().filter(|known| is_hub(known)).cloned();
        // A name whose origin is unclear is denied as a name.
        let derived = known
            .iter()
            .filter_map(|known| self.origins.origins(known).ok())
            .flatten()
            .map(|origin| origin.repository)
            .filter(is_hub);
        direct.chain(derived).collect()
    }

    /// Decides whether content may be had under the name of a repository that is itself allowed, by the repositories that are known
    /// to have it: what Docker Hub has is Docker Hub's, and a copy elsewhere does not take it out of its rules. `None` where
    /// there is nothing to decide beside the name.
    ///
    /// # Errors
    /// The denial.
    pub fn evaluate_copy(
        &self,
        named: &Repository,
        known: &BTreeSet<Repository>,
        subject: &Subject,
        categories: &dyn Categories,
    ) -> Result<Option<Grant>, Denial> {
        let is_hub = |repository: &Repository| repository.registry().is_docker_hub();
        if !self.origins_by_digest || is_hub(named) || self.docker_hubs(known).is_empty() {
            return Ok(None);
        }
        // A name that stands for one of Docker Hub's was judged as that.
        let derived = self.origins.origins(named);
        if derived.is_ok_and(|derived| derived.iter().any(|origin| is_hub(&origin.repository))) {
            return Ok(None);
        }
        // It is had from here now, whoever else has it.
        let mut known = known.clone();
        known.insert(named.clone());
        match self.evaluate_content_knowing(&known, subject, categories) {
            Ok(grant) => Ok(Some(grant)),
            Err(denials) => match denials.into_iter().next() {
                Some(denial) => Err(denial.of_origin(named.clone())),
                None => Ok(None),
            },
        }
    }

    /// Decides whether an image may be run that an administrator has vouched for.
    ///
    /// # Errors
    /// The denial.
    pub fn evaluate_adopted(&self, subject: &Subject) -> Result<Grant, Denial> {
        match self.admit(subject) {
            Ok(owner) => Ok(Grant::new(owner.unwrap_or(RuleName::Fixed("ledger adopt")))),
            Err(reason) if self.is_audit() => Ok(Grant::suppressing(self.deny(reason))),
            Err(reason) => Err(self.deny(reason)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(mode: &str) -> Policy {
        Policy::parse(&format!(
            r#"{{ "version": 1, "mode": "{mode}",
                 "registries": [{{ "host": "docker.io" }}, {{ "host": "ghcr.io", "repositories": ["acme/**"] }}],
                 "docker-hub": {{ "official": "allow" }},
                 "subjects": {{ "owners": ["alice"] }} }}"#
        ))
        .unwrap()
    }

    #[track_caller]
    fn check(origins: &[&str], expected: Result<&str, &[&str]>) {
        let origins = origins.iter().map(|text| text.parse().unwrap()).collect();
        let got = policy("enforce").evaluate_content(&origins, &Subject::Anonymous);
        let got = got
            .as_ref()
            .map(Grant::rule)
            .map_err(|denials| denials.iter().map(Denial::rule).collect::<Vec<_>>());
        let expected = expected.map_err(|rules| rules.iter().map(ToString::to_string).collect());
        assert_eq!(got, expected, "{origins:?}");
    }

    #[test]
    fn one_allowed_repository_is_enough_unless_docker_hub_has_it_too() {
        check(&["alpine"], Ok("docker-hub.official"));
        check(
            &["alpine", "evil/copy-of-alpine"],
            Ok("docker-hub.official"),
        );
        check(
            &["ghcr.io/acme/app", "quay.io/acme/app"],
            Ok("registries[ghcr.io]"),
        );
        check(&["evil/tool"], Err(&["docker-hub.community"]));
        check(
            &["evil/tool", "ghcr.io/acme/tool"],
            Err(&["docker-hub.community"]),
        );
        check(
            &["quay.io/acme/app", "ghcr.io/evil/app"],
            Err(&["registries", "registries"]),
        );
        check(&[], Err(&[]));
    }

    #[test]
    fn a_copy_of_what_docker_hub_has_is_docker_hubs() {
        let copy = |policy: &Policy, named: &str, known: &[&str]| {
            let known = known.iter().map(|text| text.parse().unwrap()).collect();
            policy.evaluate_copy(
                &named.parse().unwrap(),
                &known,
                &Subject::Daemon,
                &NothingKnown,
            )
        };
        let enforcing = policy("enforce");
        let denied = |named: &str, known: &[&str]| copy(&enforcing, named, known).is_err();
        assert!(denied("ghcr.io/acme/copy", &["evil/tool"]));
        assert!(denied(
            "ghcr.io/acme/copy",
            &["evil/tool", "ghcr.io/acme/copy"]
        ));
        assert!(!denied("ghcr.io/acme/copy", &["alpine", "evil/tool"]));
        assert!(!denied(
            "ghcr.io/acme/copy",
            &["ghcr.io/acme/copy", "quay.io/acme/copy"]
        ));
        assert!(!denied("ghcr.io/acme/copy", &[]));
        // These names were judged as Docker Hub's.
        assert!(!denied("alpine", &["evil/copy-of-alpine"]));
        assert!(!denied(
            "mirror.gcr.io/library/alpine",
            &["evil/copy-of-alpine"]
        ));

        let denial = copy(&enforcing, "ghcr.io/acme/copy", &["evil/tool"]).unwrap_err();
        assert!(
            denial
                .to_string()
                .contains("ghcr.io/acme/copy serves content of another origin"),
            "{denial}"
        );
        let granted = copy(&policy("audit"), "ghcr.io/acme/copy", &["evil/tool"]).unwrap();
        assert!(granted.is_some_and(|grant| grant.suppressed().is_some()));
    }

    #[test]
    fn what_was_only_fetched_by_a_name_that_stands_for_docker_hubs_is_docker_hubs() {
        let policy = Policy::parse(
            r#"{ "version": 1, "docker-hub": { "official": "allow" },
                 "registries": [{ "host": "docker.io" }, { "host": "ghcr.io" }],
                 "origins": [{ "prefix": "harbor.example/hub/", "origin": "docker.io/" }] }"#,
        )
        .unwrap();
        let parsed = |known: &[&str]| known.iter().map(|text| text.parse().unwrap()).collect();
        let copy = |known: &[&str]| {
            let named = "ghcr.io/acme/copy".parse().unwrap();
            policy.evaluate_copy(&named, &parsed(known), &Subject::Daemon, &NothingKnown)
        };
        let runs = |known: &[&str]| {
            policy
                .evaluate_content(&parsed(known), &Subject::Daemon)
                .is_ok()
        };
        for evil in ["harbor.example/hub/evil/tool", "mirror.gcr.io/evil/tool"] {
            assert!(copy(&[evil]).is_err(), "{evil}");
            assert!(copy(&[evil, "ghcr.io/acme/copy"]).is_err(), "{evil}");
            assert!(!runs(&[evil, "ghcr.io/acme/copy"]), "{evil}");
        }
        let official = "harbor.example/hub/library/alpine";
        assert!(copy(&[official]).is_ok());
        assert!(runs(&[official, "ghcr.io/acme/copy"]));
        // That it is Docker Hub's does not allow the registry that it was had from.
        assert!(!runs(&[official]));
        assert!(runs(&[official, "alpine"]));
    }

    #[test]
    fn copies_are_judged_by_name_alone_where_the_policy_says_so() {
        let by_name = Policy::parse(
            r#"{ "version": 1, "origins-by-digest": false, "docker-hub": { "official": "allow" },
                 "registries": [{ "host": "docker.io" }, { "host": "ghcr.io" }] }"#,
        )
        .unwrap();
        let copy: Repository = "ghcr.io/acme/copy".parse().unwrap();
        let known = BTreeSet::from(["evil/tool".parse().unwrap(), copy.clone()]);
        let judged = by_name.evaluate_copy(&copy, &known, &Subject::Daemon, &NothingKnown);
        assert!(matches!(judged, Ok(None)));
        assert!(by_name.evaluate_content(&known, &Subject::Daemon).is_ok());
        let evil = BTreeSet::from(["evil/tool".parse().unwrap()]);
        assert!(by_name.evaluate_content(&evil, &Subject::Daemon).is_err());
    }

    #[test]
    fn owners_and_audit_are_as_everywhere() {
        let evil = BTreeSet::from(["evil/tool".parse().unwrap()]);
        let alice = Subject::User("alice".to_owned());
        let granted = policy("enforce").evaluate_content(&evil, &alice).unwrap();
        assert_eq!(granted.rule(), "subjects.owners");
        let granted = policy("audit")
            .evaluate_content(&evil, &Subject::Anonymous)
            .unwrap();
        assert!(granted.suppressed().is_some());
        assert!(
            policy("audit")
                .evaluate_content(&BTreeSet::new(), &alice)
                .is_err()
        );
    }
}
