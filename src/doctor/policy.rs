//! The policy: valid, in force, enforced, and how old.

use jiff::Timestamp;

use super::{Facts, Finding};

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let path = facts.settings.policy_path.display();
    let mut findings = Vec::new();
    match &facts.policy {
        Err(error) => findings.push(Finding::bad(
            CHECK,
            error.as_str(),
            format!("mend it until `ramgate policy validate {path}` is content"),
        )),
        Ok((policy, _)) if policy.is_audit() => findings.push(Finding::bad(
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
    if findings.is_empty() {
        let changed = std::fs::metadata(&facts.settings.policy_path)
            .and_then(|file| file.modified())
            .ok()
            .and_then(|changed| Timestamp::try_from(changed).ok());
        let says = match changed {
            Some(changed) => {
                let days = (facts.now.as_second() - changed.as_second()) / 86_400;
                format!("{path} is valid, and was changed {days} days ago")
            }
            None => format!("{path} is valid"),
        };
        findings.push(Finding::ok(CHECK, says));
    }
    findings
}

const CHECK: &str = "policy";
