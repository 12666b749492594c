//! Who else may do what only root should: by files, sockets and groups.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use super::{Facts, Finding};
use crate::inspection::AuthorityFiles;

pub(super) fn check(facts: &Facts, fix: bool) -> Vec<Finding> {
    let settings = &facts.settings;
    let mut findings = Vec::new();
    let settings_file = Path::new(crate::settings::DEFAULT_PATH);
    let state = settings.state_dir.as_path();
    for path in [settings.policy_path.as_path(), settings_file, state] {
        findings.extend(forbidden(
            path,
            0o022,
            "may be changed by others than root",
            fix,
        ));
    }
    let audit = settings.audit.path.as_path();
    findings.extend(forbidden(audit, 0o077, "is open to others than root", fix));
    let key = AuthorityFiles::below(state).key;
    findings.extend(forbidden(
        &key,
        0o077,
        "lets others pretend to be the policy's registries",
        fix,
    ));
    let containerd = Path::new("/run/containerd/containerd.sock");
    findings.extend(forbidden(
        containerd,
        0o007,
        "lets everybody make containers past the engine",
        fix,
    ));
    findings.extend(group(containerd));
    findings.extend(members(
        &fs::read_to_string("/etc/group").unwrap_or_default(),
    ));
    if findings.is_empty() {
        findings.push(Finding::ok(CHECK, "files and sockets are root's alone"));
    }
    findings
}

/// A finding if `path` is there and has one of the bits of `mask`.
fn forbidden(path: &Path, mask: u32, says: &str, fix: bool) -> Option<Finding> {
    let mode = fs::symlink_metadata(path).ok()?.mode() & 0o7777;
    if mode & mask == 0 {
        return None;
    }
    let shown = path.display();
    let right = mode & !mask;
    if fix && fs::set_permissions(path, Permissions::from_mode(right)).is_ok() {
        return Some(Finding::ok(
            CHECK,
            format!("{shown}: its mode was {mode:o} and is now {right:o}"),
        ));
    }
    Some(Finding::bad(
        CHECK,
        format!("{shown} {says}: its mode is {mode:o}"),
        format!("chmod {right:o} {shown}"),
    ))
}

fn group(socket: &Path) -> Option<Finding> {
    let found = fs::metadata(socket).ok()?;
    shared(socket, found.gid(), found.mode())
}

/// A finding if a group of others may use `socket`.
fn shared(socket: &Path, gid: u32, mode: u32) -> Option<Finding> {
    let shown = socket.display();
    (gid != 0 && mode & 0o070 != 0).then(|| {
        Finding::bad(
            CHECK,
            format!("{shown} belongs to a group, whose members make containers past the engine"),
            format!("chgrp root {shown}"),
        )
    })
}

/// Members of the group `docker`, who may do on this host what root may.
fn members(groups: &str) -> Option<Finding> {
    let line = groups.lines().find(|line| line.starts_with("docker:"))?;
    let members = line
        .rsplit(':')
        .next()
        .filter(|members| !members.is_empty())?;
    Some(Finding::warning(
        CHECK,
        format!("members of the group `docker` can become root by a container: {members}"),
        "let only those be members who may be root; the policy holds for them while they do not use it",
    ))
}

const CHECK: &str = "permissions";

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::super::tests::{check, well};
    use super::*;

    #[test]
    fn a_mode_is_complained_of_and_mended_on_demand() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("policy.json");
        fs::write(&file, "{}").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o666)).unwrap();
        let found = forbidden(&file, 0o022, "is open", false).unwrap();
        assert!(found.fix.unwrap().starts_with("chmod 644 "));
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o666);
        forbidden(&file, 0o022, "is open", true).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o644);
        assert_eq!(forbidden(&file, 0o022, "is open", true), None);
        assert_eq!(
            forbidden(&directory.path().join("none"), 0o777, "", false),
            None
        );
    }

    #[test]
    fn a_socket_of_containerd_that_others_may_use_is_bad() {
        let socket = Path::new("/run/containerd/containerd.sock");
        assert_eq!(shared(socket, 0, 0o660), None);
        assert_eq!(shared(socket, 999, 0o600), None);
        check(
            &[shared(socket, 999, 0o660).unwrap()],
            Health::Bad,
            "/run/containerd/containerd.sock belongs to a group",
            "chgrp root /run/containerd/containerd.sock",
        );
    }

    #[test]
    fn files_of_ramgates_that_others_may_change_are_found_and_mended() {
        let well = well();
        let settings = &well.facts.settings;
        let policy = settings.policy_path.clone();
        let audit = settings.audit.path.clone();
        fs::set_permissions(&policy, Permissions::from_mode(0o664)).unwrap();
        fs::set_permissions(&audit, Permissions::from_mode(0o644)).unwrap();
        let of = |findings: Vec<Finding>, path: &Path| {
            let named = |finding: &Finding| finding.says.contains(&path.display().to_string());
            findings.into_iter().filter(named).collect::<Vec<_>>()
        };
        let found = super::check(&well.facts, false);
        check(
            &of(found.clone(), &policy),
            Health::Bad,
            "may be changed by others than root: its mode is 664",
            "chmod 644 ",
        );
        check(
            &of(found, &audit),
            Health::Bad,
            "is open to others than root: its mode is 644",
            "chmod 600 ",
        );
        let mended = of(super::check(&well.facts, true), &policy);
        assert!(
            mended[0].health == Health::Ok
                && mended[0].says.ends_with("its mode was 664 and is now 644"),
            "{mended:?}"
        );
        assert_eq!(of(super::check(&well.facts, false), &policy), []);
        assert_eq!(fs::metadata(&audit).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn members_of_the_group_docker_are_named() {
        assert_eq!(members("root:x:0:\ndocker:x:999:\n"), None);
        assert_eq!(members("dockers:x:1:eve\n"), None);
        let found = members("docker:x:999:alice,bob\n").unwrap();
        assert!(found.says.ends_with("alice,bob"));
    }
}
