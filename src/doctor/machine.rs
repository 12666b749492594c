//! The machine: its clock, and room on its disks.

use std::path::Path;
use std::process::{Command, Stdio};

use super::policy::PolicyFiles;
use super::{Facts, Finding};

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let settings = &facts.settings;
    let mut places = vec![settings.state_dir.as_path()];
    places.extend(settings.audit.path.parent());
    places.extend(
        settings
            .mirror
            .as_ref()
            .map(|mirror| mirror.storage.directory()),
    );
    places.retain(|place| place.exists());
    let full: Vec<Finding> = places.into_iter().filter_map(room).collect();
    let mut findings = vec![clock(facts)];
    if full.is_empty() {
        findings.push(Finding::ok("disk", "there is room where ramgate writes"));
    }
    findings.extend(full);
    findings
}

/// A clock that was set back makes certificates and what is cached look wrong. The policy's file cannot be from the future.
fn clock(facts: &Facts) -> Finding {
    let changed = facts.policy.as_ref().ok().and_then(PolicyFiles::changed);
    match changed {
        Some(changed) if changed.as_second() > facts.now.as_second() + TOLERANCE_SECONDS => {
            Finding::bad(
                "clock",
                format!(
                    "the policy's file is from the future: it is {} by this clock",
                    facts.now
                ),
                "set the clock; registries' certificates are judged by it",
            )
        }
        _ => Finding::ok("clock", format!("it is {:.0}", facts.now)),
    }
}

/// A finding if there is little room at `place`.
fn room(place: &Path) -> Option<Finding> {
    let output = Command::new("df")
        .args(["-Pk", "--"])
        .arg(place)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    scarce(
        place,
        free_kibibytes(&String::from_utf8_lossy(&output.stdout))?,
    )
}

fn scarce(place: &Path, free: u64) -> Option<Finding> {
    (free < FREE_MIN_KIBIBYTES).then(|| {
        let (place, free) = (place.display(), free / 1024);
        Finding::bad(
            "disk",
            format!("{free} MiB are free at {place}; decisions go unlogged when there is none"),
            format!("make room at {place}"),
        )
    })
}

fn free_kibibytes(df: &str) -> Option<u64> {
    df.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()
}

/// What file systems and clocks of other machines may differ by.
const TOLERANCE_SECONDS: i64 = 60;
/// 512 MiB: a large image, or a day of a busy audit log.
const FREE_MIN_KIBIBYTES: u64 = 512 * 1024;

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::super::Health;
    use super::super::tests::{check as told, well};
    use super::*;

    #[test]
    fn a_clock_that_was_set_back_is_bad() {
        let mut well = well();
        assert_eq!(clock(&well.facts).health, Health::Ok);
        // A little is what file systems differ by.
        let file = std::fs::File::open(&well.facts.settings.policy_path).unwrap();
        file.set_modified(SystemTime::from(well.facts.now) + Duration::from_secs(30))
            .unwrap();
        assert_eq!(clock(&well.facts).health, Health::Ok);
        well.facts.now = "2020-01-01T00:00:00Z".parse().unwrap();
        told(
            &[clock(&well.facts)],
            Health::Bad,
            "the policy's file is from the future: it is 2020-01-01",
            "set the clock",
        );
    }

    #[test]
    fn little_room_is_bad_and_the_place_is_named() {
        let place = Path::new("/var/lib/ramgate");
        assert_eq!(scarce(place, FREE_MIN_KIBIBYTES), None);
        let found = scarce(place, 100 * 1024).unwrap();
        told(
            &[found],
            Health::Bad,
            "100 MiB are free at /var/lib/ramgate",
            "make room at /var/lib/ramgate",
        );
        // A real one, whatever it is.
        let here = room(Path::new("/"));
        assert!(here.is_none_or(|found| found.says.contains("free at /;")));
        assert_eq!(room(Path::new("/nonexistent")), None);
    }

    #[test]
    fn room_is_read_from_df() {
        let df = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/sda1 100 60 40 60% /\n";
        assert_eq!(free_kibibytes(df), Some(40));
        assert_eq!(free_kibibytes("nonsense"), None);
    }
}
