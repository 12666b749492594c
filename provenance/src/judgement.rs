//! Judges an image by what it is: by where it came from, how it came, and what it rests on; with the policy of now.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ramgate_policy::{
    Categories, Denial, Digest, Grant, LocalDecision, LocalImage, Policy, Repository, Subject,
};

use crate::record::{Base, Record, Way};

/// What an image is judged with.
#[derive(Clone, Copy)]
pub struct Judge<'a> {
    /// The policy of now.
    pub policy: &'a Policy,
    /// On whose behalf.
    pub subject: &'a Subject,
    /// What is known of Docker Hub's namespaces.
    pub categories: &'a dyn Categories,
    /// The record of another image, by its ID.
    pub find: &'a dyn Fn(&Digest) -> Option<Arc<Record>>,
}

/// What was found of other images on the way. Images that rest on one another rest on the same ones again and again, and each is
/// judged once.
type Verdicts = BTreeMap<Digest, Result<Grant, Vec<Denial>>>;

// === impl Judge ===

impl Judge<'_> {
    /// Decides whether the image with this record may be run.
    ///
    /// # Errors
    /// Every denial that stands against it; at least one.
    pub fn judge(&self, record: &Record) -> Result<Grant, Vec<Denial>> {
        self.judge_at(record, 0, &mut Verdicts::new())
    }

    fn judge_at(
        &self,
        record: &Record,
        depth: usize,
        verdicts: &mut Verdicts,
    ) -> Result<Grant, Vec<Denial>> {
        // What a repository has is its content, whichever way it came here as well.
        if !record.origins.is_empty() {
            return self.content(&record.origins);
        }
        let Some(kind) = record.way.local() else {
            let adopted = self.policy.evaluate_adopted(self.subject);
            return adopted.map_err(|denial| vec![denial]);
        };
        let own = self.local(kind, record);
        let base = self.judge_base(&record.base, depth, verdicts);
        match (own, base) {
            (own, None) => own,
            (Ok(_), Some(Ok(grant))) => Ok(grant),
            (Err(mut denials), Some(Err(more))) => {
                add(&mut denials, more);
                Err(denials)
            }
            (Err(denials), Some(Ok(_))) | (Ok(_), Some(Err(denials))) => Err(denials),
        }
    }

    /// `None` where nothing is known to lie below.
    fn judge_base(
        &self,
        base: &Base,
        depth: usize,
        verdicts: &mut Verdicts,
    ) -> Option<Result<Grant, Vec<Denial>>> {
        if base.is_empty() {
            return None;
        }
        // A base is made before what rests on it, so there is no circle; a ledger that was tampered with may have one.
        if depth >= DEPTH_MAX {
            return Some(self.unknown());
        }
        let records: Vec<(&Digest, Arc<Record>)> = base
            .images
            .iter()
            .filter_map(|image| Some((image, (self.find)(image)?)))
            .collect();
        let mut origins: BTreeSet<Repository> = base.repositories.clone();
        origins.extend(
            records
                .iter()
                .flat_map(|(_, record)| record.origins.clone()),
        );
        if !origins.is_empty() {
            return Some(self.content(&origins));
        }
        let mut denials = Vec::new();
        for (image, record) in records {
            match self.judge_once(image, &record, depth + 1, verdicts) {
                Ok(grant) => return Some(Ok(grant)),
                Err(more) => add(&mut denials, more),
            }
        }
        if denials.is_empty() {
            // Its base was known and has been forgotten.
            return Some(self.unknown());
        }
        Some(Err(denials))
    }

    fn judge_once(
        &self,
        image: &Digest,
        record: &Record,
        depth: usize,
        verdicts: &mut Verdicts,
    ) -> Result<Grant, Vec<Denial>> {
        if let Some(verdict) = verdicts.get(image) {
            return verdict.clone();
        }
        // Until it is found: what is met again below itself is in a circle.
        verdicts.insert(image.clone(), self.unknown());
        let verdict = self.judge_at(record, depth, verdicts);
        verdicts.insert(image.clone(), verdict.clone());
        verdict
    }

    fn content(&self, origins: &BTreeSet<Repository>) -> Result<Grant, Vec<Denial>> {
        self.policy
            .evaluate_content_knowing(origins, self.subject, self.categories)
    }

    fn unknown(&self) -> Result<Grant, Vec<Denial>> {
        self.local(LocalImage::Unknown, &Record::new(Way::Unknown, 0))
    }

    fn local(&self, kind: LocalImage, record: &Record) -> Result<Grant, Vec<Denial>> {
        match self.policy.evaluate_local(kind, self.subject) {
            LocalDecision::Allow(grant) => Ok(grant),
            // The gates had to be in force when it was made; what was made is not changed by their being off now.
            LocalDecision::Gated(grant, _) if record.gated => Ok(grant),
            LocalDecision::Gated(_, denial) | LocalDecision::Deny(denial) => Err(vec![denial]),
        }
    }
}

impl std::fmt::Debug for Judge<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Judge")
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

/// Adds the denials that are new.
fn add(denials: &mut Vec<Denial>, more: Vec<Denial>) {
    for denial in more {
        if !denials.contains(&denial) {
            denials.push(denial);
        }
    }
}

/// Far more builds upon builds than anybody makes.
const DEPTH_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use ramgate_policy::NothingKnown;

    use super::*;

    const POLICY: &str = r#"{ "version": 1, "registries": [{ "host": "docker.io" }],
        "docker-hub": { "official": "allow" },
        "local-images": { "load": "deny", "commit": "allow", "import": "allow" } }"#;

    fn id(digit: char) -> Digest {
        format!("sha256:{}", digit.to_string().repeat(64))
            .parse()
            .unwrap()
    }

    fn record(way: Way, origins: &[&str], base: &[char]) -> Record {
        Record {
            origins: origins.iter().map(|text| text.parse().unwrap()).collect(),
            base: Base {
                images: base.iter().copied().map(id).collect(),
                ..Base::default()
            },
            gated: true,
            ..Record::new(way, 0)
        }
    }

    /// Others: `a` is alpine, `e` a community image, `b` built from alpine, `f` built from `e`, `l` … `1` loaded, `c` in a circle.
    #[track_caller]
    fn check(record: &Record, expected: &[&str]) {
        let policy = Policy::parse(POLICY).unwrap();
        let find = |wanted: &Digest| {
            let known = [
                ('a', self::record(Way::Pull, &["alpine"], &[])),
                ('e', self::record(Way::Pull, &["evil/tool"], &[])),
                ('b', self::record(Way::Build, &[], &['a'])),
                ('f', self::record(Way::Build, &[], &['e'])),
                ('1', self::record(Way::Load, &[], &[])),
                ('c', self::record(Way::Build, &[], &['c'])),
            ];
            known
                .into_iter()
                .find(|(digit, _)| id(*digit) == *wanted)
                .map(|(_, record)| Arc::new(record))
        };
        let judge = Judge {
            policy: &policy,
            subject: &Subject::Anonymous,
            categories: &NothingKnown,
            find: &find,
        };
        let denied: Vec<String> = judge.judge(record).map_or_else(
            |denials| denials.iter().map(Denial::rule).collect(),
            |_| Vec::new(),
        );
        assert_eq!(denied, expected, "{record:?}");
    }

    #[test]
    fn an_image_is_what_it_came_from() {
        check(&record(Way::Pull, &["alpine"], &[]), &[]);
        check(
            &record(Way::Pull, &["evil/tool"], &[]),
            &["docker-hub.community"],
        );
        // Loaded again, it is still what Docker Hub has.
        check(&record(Way::Load, &["alpine"], &[]), &[]);
        check(
            &record(Way::Adopt, &["evil/tool"], &[]),
            &["docker-hub.community"],
        );
        check(&record(Way::Adopt, &[], &[]), &[]);
        check(&record(Way::Pull, &[], &[]), &["local-images.unknown"]);
        check(&record(Way::Unknown, &[], &[]), &["local-images.unknown"]);
        check(&record(Way::Load, &[], &[]), &["local-images.load"]);
        check(&record(Way::Import, &[], &[]), &[]);
    }

    #[test]
    fn what_is_made_rests_on_what_is_allowed() {
        check(&record(Way::Build, &[], &[]), &[]);
        check(&record(Way::Build, &[], &['a']), &[]);
        check(&record(Way::Build, &[], &['b']), &[]);
        check(&record(Way::Commit, &[], &['b']), &[]);
        check(&record(Way::Build, &[], &['e']), &["docker-hub.community"]);
        check(&record(Way::Commit, &[], &['f']), &["docker-hub.community"]);
        check(&record(Way::Build, &[], &['1']), &["local-images.load"]);
        check(
            &record(Way::Load, &[], &['e']),
            &["local-images.load", "docker-hub.community"],
        );
        // Twins: the same content as an official image.
        check(&record(Way::Build, &[], &['a', 'e']), &[]);
        check(&record(Way::Build, &[], &['9']), &["local-images.unknown"]);
        check(&record(Way::Build, &[], &['c']), &["local-images.unknown"]);
    }

    /// Each rests on all before it, and all on one that is denied: judged again on every way to it, that is 2^60 times.
    #[test]
    fn images_that_rest_on_one_another_are_judged_once_each() {
        let policy = Policy::parse(POLICY).unwrap();
        let id = |number: usize| format!("sha256:{number:064x}").parse::<Digest>().unwrap();
        let record = |number: usize| {
            let mut record = Record::new(Way::Build, 0);
            record.gated = true;
            record.base.images = (0..number).map(id).collect();
            if number == 0 {
                record.way = Way::Load;
            }
            Arc::new(record)
        };
        let records: BTreeMap<Digest, Arc<Record>> =
            (0..60).map(|number| (id(number), record(number))).collect();
        let judge = Judge {
            policy: &policy,
            subject: &Subject::Anonymous,
            categories: &NothingKnown,
            find: &|image| records.get(image).cloned(),
        };
        let denials = judge.judge(&record(60)).unwrap_err();
        let rules: Vec<String> = denials.iter().map(Denial::rule).collect();
        assert_eq!(rules, ["local-images.load"]);
    }

    #[test]
    fn a_gated_build_needs_the_gates_when_it_was_made() {
        let mut built = record(Way::Build, &[], &['a']);
        built.gated = false;
        check(&built, &["local-images.build"]);
    }
}
