//! What holds of every policy, whatever is written in it and whatever it is asked.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod asked;
mod written;

use proptest::prelude::*;
use ramgate_policy::{Folded, Policy};
use serde_json::{Value, json};

use asked::{Answer, answers};
use written::{denial, drop_in, policy};

fn parsed(text: &Value) -> Result<Policy, TestCaseError> {
    // What is written by chance may say the same twice, which is refused.
    Policy::parse(&text.to_string()).map_err(|_| TestCaseError::reject("not a policy"))
}

/// What is answered after allows nothing that was denied before.
fn narrower(before: &[Answer], after: &[Answer]) -> Result<(), TestCaseError> {
    prop_assert_eq!(before.len(), after.len());
    for (before, after) in before.iter().zip(after) {
        prop_assert!(
            after.level <= before.level,
            "{:?} became {:?}",
            before,
            after
        );
    }
    Ok(())
}

fn levels(policy: &Policy) -> Vec<u8> {
    answers(policy)
        .into_iter()
        .map(|answer| answer.level)
        .collect()
}

/// The same with every list turned round.
fn turned(value: &Value) -> Value {
    match value {
        Value::Array(list) => list.iter().rev().map(turned).collect(),
        Value::Object(keys) => {
            let keys = keys.iter().map(|(key, value)| (key.clone(), turned(value)));
            Value::Object(keys.collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn a_drop_in_never_allows_what_is_denied_without_it(base in policy(), first in drop_in(), second in drop_in()) {
        let mut policy = parsed(&base)?;
        for drop_in in [&first, &second] {
            if let Ok(tightened) = policy.clone().tightened("t.json", &drop_in.to_string()) {
                narrower(&answers(&policy), &answers(&tightened))?;
                policy = tightened;
            }
        }
    }

    #[test]
    fn what_a_drop_in_denies_by_itself_is_denied(base in policy(), drop_in in drop_in()) {
        let Ok(tightened) = parsed(&base)?.tightened("t.json", &drop_in.to_string()) else { return Ok(()) };
        let mut alone = drop_in.clone();
        // Of these a drop-in says less than a policy: what it leaves out, it leaves.
        for key in ["local-images", "subjects"] {
            alone.as_object_mut().unwrap().remove(key);
        }
        let named = |answer: &&Answer| answer.is_of_caller && !answer.question.starts_with("local ");
        let alone = answers(&parsed(&alone)?);
        let together = answers(&tightened);
        let alone: Vec<Answer> = alone.iter().filter(named).cloned().collect();
        let together: Vec<Answer> = together.iter().filter(named).cloned().collect();
        narrower(&alone, &together)?;
    }

    #[test]
    fn what_is_denied_besides_allows_nothing_more(base in policy(), denial in denial()) {
        let before = answers(&parsed(&base)?);
        let after = answers(&parsed(&denial.added_to(&base))?);
        let told = |answer: &&Answer| denial.bears_on(answer);
        let before: Vec<Answer> = before.iter().filter(told).cloned().collect();
        let after: Vec<Answer> = after.iter().filter(told).cloned().collect();
        narrower(&before, &after)?;
    }

    #[test]
    fn a_denial_denies_what_it_names(base in policy(), denial in denial()) {
        let policy = parsed(&denial.added_to(&base))?;
        for answer in answers(&policy).iter().filter(|answer| denial.names(answer, &policy)) {
            prop_assert_eq!(answer.level, 0, "{:?}", answer);
        }
    }

    #[test]
    fn the_order_of_drop_ins_and_of_lists_is_of_no_matter(base in policy(), first in drop_in(), second in drop_in()) {
        let (plain, turned) = (parsed(&base)?, parsed(&turned(&base))?);
        prop_assert_eq!(levels(&plain), levels(&turned));
        let both = |one: &Value, other: &Value| {
            let policy = plain.clone().tightened("1.json", &one.to_string());
            policy.and_then(|policy| policy.tightened("2.json", &other.to_string()))
        };
        match (both(&first, &second), both(&self::turned(&second), &self::turned(&first))) {
            (Ok(one), Ok(other)) => prop_assert_eq!(levels(&one), levels(&other)),
            (one, other) => prop_assert_eq!(one.is_ok(), other.is_ok()),
        }
    }

    #[test]
    fn every_decision_names_a_rule_that_is_there(text in policy(), drop_in in drop_in()) {
        let policy = parsed(&text)?;
        for answer in answers(&policy) {
            prop_assert!(written::has(&text, &answer.rule), "{:?} of {}", answer, text);
        }
        if let Ok(policy) = policy.tightened("t.json", &drop_in.to_string()) {
            for answer in answers(&policy) {
                let is_there = match answer.rule.strip_prefix("t.json: ") {
                    Some(rule) => written::has(&drop_in, rule),
                    None => written::has(&text, &answer.rule),
                };
                prop_assert!(is_there, "{:?} of {} with {}", answer, text, drop_in);
            }
        }
    }

    #[test]
    fn a_policy_with_its_drop_ins_in_one_file_allows_nothing_more(base in policy(), drop_ins in prop::collection::vec(drop_in(), 1..3)) {
        let mut policy = parsed(&base)?;
        let mut folded = Folded::read(&base.to_string()).unwrap();
        for drop_in in &drop_ins {
            let text = drop_in.to_string();
            if let Ok(tightened) = policy.clone().tightened("t.json", &text) {
                policy = tightened;
                if folded.fold("t.json", &text).is_err() {
                    return Ok(());
                }
            }
        }
        let text = serde_json::to_string(&folded.file).unwrap();
        let together = Policy::parse(&text);
        prop_assert!(together.is_ok(), "{text}: {together:?}");
        narrower(&answers(&policy), &answers(&together.unwrap()))?;
    }

    #[test]
    fn an_owner_is_denied_no_name_whatever_is_written(mut text in policy(), drop_in in drop_in()) {
        text["subjects"]["owners"] = json!(["somebody", "m1"]);
        let mut policy = parsed(&text)?;
        if let Ok(tightened) = policy.clone().tightened("t.json", &drop_in.to_string()) {
            policy = tightened;
        }
        for answer in answers(&policy).iter().filter(|answer| answer.caller == "m1") {
            prop_assert_eq!((answer.level, answer.rule.as_str()), (2, "subjects.owners"), "{:?}", answer);
        }
    }
}
