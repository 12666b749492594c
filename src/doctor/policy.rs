//! The policy: valid, in force, enforced, and how old.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use ramgate_policy::Policy;
use serde_json::Value;

use super::{Facts, Finding};
use crate::live_policy;

/// The policy as `ramgate serve` reads it, with its drop-ins.
#[derive(Debug)]
pub(crate) struct PolicyFiles {
    pub(crate) policy: Policy,
    /// See [`live_policy::digest`].
    pub(super) digest: String,
    files: Vec<(PathBuf, Value)>,
}

/// What one entry of `registries` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) host: String,
    pub(crate) via: Option<String>,
    pub(crate) has_repositories: bool,
}

// === impl PolicyFiles ===

impl PolicyFiles {
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let texts = live_policy::read(path).map_err(|error| error.to_string())?;
        let policy = live_policy::parse(&texts).map_err(|error| error.to_string())?;
        let value = |(path, text): &(PathBuf, String)| {
            let value = serde_json::from_str(text).map_err(|error| error.to_string());
            value.map(|value| (path.clone(), value))
        };
        Ok(Self {
            policy,
            digest: live_policy::digest(&texts),
            files: texts.iter().map(value).collect::<Result<_, _>>()?,
        })
    }

    /// The entries of `registries`, those of drop-ins too; `None` if there is no list.
    pub(super) fn registries(&self) -> Option<Vec<Rule>> {
        let lists: Vec<&Vec<Value>> = self
            .files
            .iter()
            .filter_map(|(_, file)| file.get("registries")?.as_array())
            .collect();
        let rules = lists.iter().copied().flatten().filter_map(Rule::read);
        (!lists.is_empty()).then(|| rules.collect())
    }

    pub(super) fn has_hub(&self) -> bool {
        let mut files = self.files.iter();
        files.any(|(_, file)| file.get("docker-hub").is_some())
    }

    /// When the last of the files was changed.
    pub(super) fn changed(&self) -> Option<Timestamp> {
        let files = self.files.iter();
        files
            .filter_map(|(path, _)| std::fs::metadata(path).ok()?.modified().ok())
            .filter_map(|changed| Timestamp::try_from(changed).ok())
            .max()
    }
}

// === impl Rule ===

impl Rule {
    fn read(entry: &Value) -> Option<Self> {
        let text = |key| entry.get(key).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            host: text("host")?,
            via: text("via"),
            has_repositories: entry.get("repositories").is_some(),
        })
    }

    /// Whether it is of `host`, by its name or by a pattern.
    pub(super) fn covers(&self, host: &str) -> bool {
        match self.host.strip_prefix('*') {
            Some(suffix) => host.ends_with(suffix),
            None => self.host == host,
        }
    }
}

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let path = facts.settings.policy_path.display();
    let mut findings = Vec::new();
    match &facts.policy {
        Err(error) => findings.push(Finding::bad(
            CHECK,
            error.as_str(),
            format!("mend it until `ramgate policy validate {path}` is content"),
        )),
        Ok(files) if files.policy.is_audit() => findings.push(Finding::bad(
            CHECK,
            "its mode is audit: what it denies is logged, and passes",
            "set `mode` to `enforce`",
        )),
        Ok(_) => {}
    }
    if let Ok(Some(vitals)) = &facts.vitals
        && let Some(error) = &vitals.policy.error
    {
        findings.push(Finding::bad(
            CHECK,
            format!("the file was not taken, an older policy is in force: {error}"),
            format!("mend it until `ramgate policy validate {path}` is content"),
        ));
    }
    if let (Ok(Some(vitals)), Ok(files), true) = (&facts.vitals, &facts.policy, findings.is_empty())
        && let Some(digest) = &vitals.policy.digest
        && *digest != files.digest
    {
        findings.push(Finding::bad(
            CHECK,
            "what is in force is not what the files say now",
            "systemctl reload ramgate",
        ));
    }
    if findings.is_empty() {
        let drop_ins = match facts.policy.as_ref().map_or(0, |files| files.files.len()) {
            0 | 1 => String::new(),
            count => format!(" with {} drop-ins", count - 1),
        };
        let changed = facts.policy.as_ref().ok().and_then(PolicyFiles::changed);
        let says = match changed {
            Some(changed) => {
                let days = (facts.now.as_second() - changed.as_second()) / 86_400;
                format!("{path}{drop_ins} is valid and in force, and was changed {days} days ago")
            }
            None => format!("{path}{drop_ins} is valid"),
        };
        findings.push(Finding::ok(CHECK, says));
    }
    findings
}

const CHECK: &str = "policy";

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::super::tests::{Well, check as told, well};
    use super::*;

    #[test]
    fn drop_ins_count_as_the_policy_does() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("policy.json");
        std::fs::write(
            &path,
            r#"{ "version": 1, "docker-hub": { "official": "allow" } }"#,
        )
        .unwrap();
        let files = PolicyFiles::read(&path).unwrap();
        assert_eq!(files.registries(), None);
        assert!(files.has_hub());
        let before = files.digest;

        std::fs::create_dir(directory.path().join("policy.d")).unwrap();
        let drop_in = directory.path().join("policy.d/10-site.json");
        let text = r#"{ "version": 1, "registries": [{ "host": "*.acme.example", "repositories": ["a/**"] }] }"#;
        std::fs::write(&drop_in, text).unwrap();
        let files = PolicyFiles::read(&path).unwrap();
        let rules = files.registries().unwrap();
        assert!(rules[0].has_repositories && rules[0].covers("hub.acme.example"));
        assert!(!rules[0].covers("acme.example") && !rules[0].covers("hub.other.example"));
        assert_ne!(files.digest, before);
        let days = std::time::Duration::from_secs(86_400 * 3);
        let older = std::time::SystemTime::UNIX_EPOCH + days;
        std::fs::File::open(&path)
            .unwrap()
            .set_modified(older)
            .unwrap();
        std::fs::File::open(&drop_in)
            .unwrap()
            .set_modified(older + days)
            .unwrap();
        assert_eq!(files.changed().unwrap().as_second(), 86_400 * 6);

        std::fs::write(&drop_in, "{").unwrap();
        assert!(
            PolicyFiles::read(&path)
                .unwrap_err()
                .contains("10-site.json")
        );
    }

    #[test]
    fn a_policy_that_is_not_in_force_is_bad_and_its_age_is_told() {
        let mut well = well();
        let day = std::time::Duration::from_secs(86_400);
        let file = std::fs::File::open(&well.facts.settings.policy_path).unwrap();
        file.set_modified(std::time::SystemTime::from(well.facts.now) - 40 * day)
            .unwrap();
        let sound = super::check(&well.facts);
        assert!(
            sound[0]
                .says
                .ends_with("is valid and in force, and was changed 40 days ago"),
            "{sound:?}"
        );

        let standing = well.facts.vitals.clone();
        let vitals = |well: &mut Well, change: &dyn Fn(&mut crate::live_policy::Standing)| {
            let mut vitals = standing.clone().unwrap().unwrap();
            change(&mut vitals.policy);
            well.facts.vitals = Ok(Some(vitals));
        };
        vitals(&mut well, &|policy| {
            policy.digest = Some("another".to_owned())
        });
        told(
            &super::check(&well.facts),
            Health::Bad,
            "not what the files say now",
            "systemctl reload ramgate",
        );
        vitals(&mut well, &|policy| {
            policy.error = Some("line 1".to_owned())
        });
        let validate = "mend it until `ramgate policy validate /";
        told(
            &super::check(&well.facts),
            Health::Bad,
            "an older policy is in force: line 1",
            validate,
        );
        vitals(&mut well, &|_| {});

        let path = well.facts.settings.policy_path.clone();
        std::fs::write(&path, r#"{ "version": 1, "mode": "audit" }"#).unwrap();
        well.facts.policy = PolicyFiles::read(&path);
        told(
            &super::check(&well.facts)[..1],
            Health::Bad,
            "its mode is audit",
            "set `mode` to `enforce`",
        );
        std::fs::write(&path, "{").unwrap();
        well.facts.policy = PolicyFiles::read(&path);
        told(
            &super::check(&well.facts),
            Health::Bad,
            "policy.json",
            validate,
        );
    }
}
