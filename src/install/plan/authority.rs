//! What level `strict` adds: the authority by which the network gate reads what goes to registries, and the engine's trust in it.
//!
//! Nothing else on the host comes to trust it, where that can be had: the engine's unit names a directory of its own for it.

use std::path::{Path, PathBuf};

use ramgate_egress::Authority;
use ramgate_policy::Host;

use super::Draft;
use crate::inspection::AuthorityFiles;
use crate::install::host::INSPECTION_DROP_IN;
use crate::install::step::Part;
use crate::trust::DIRECTORY;

/// Adds the steps of the gates: key and certificate, made anew unless those that are there will do.
pub(super) fn make(draft: &mut Draft<'_>) {
    if !draft.choices.level.inspects() {
        return;
    }
    let Some(policy) = &draft.policy else {
        return; // Which is said already.
    };
    let Some(hosts) = policy.registry_hosts() else {
        draft.problems.push(format!(
            "{}: `--level strict` reads what goes to the policy's registries, and the policy has no list of them: add `registries`",
            draft.host.settings.policy_path.display()
        ));
        return;
    };
    let files = AuthorityFiles::below(&draft.host.settings.state_dir);
    if let Some(certificate) = that_will_do(draft, &files, &hosts) {
        draft.certificate = Some(certificate);
        return;
    }
    match (draft.choices.authority)(&hosts) {
        Ok(made) => {
            let (key, certificate) = (made.key.as_bytes(), made.certificate.as_bytes());
            draft.file(&files.key, Part::Gates, key, 0o600, KEY);
            draft.file(
                &files.certificate,
                Part::Gates,
                certificate,
                0o644,
                CERTIFICATE,
            );
            draft.certificate = Some(made.certificate);
        }
        Err(error) => draft.problems.push(error.to_string()),
    }
}

/// The certificate that is there, if it is good for all of `hosts`.
fn that_will_do(draft: &Draft<'_>, files: &AuthorityFiles, hosts: &[Host]) -> Option<String> {
    let text = |path: &Path| {
        let entry = draft.host.entry(path);
        entry
            .content()
            .map(|content| String::from_utf8_lossy(content).into_owned())
    };
    let (certificate, key) = (text(&files.certificate)?, text(&files.key)?);
    let authority = Authority::read(&certificate, &key).ok()?;
    hosts
        .iter()
        .all(|host| authority.permits(host))
        .then_some(certificate)
}

/// Adds the steps of the engine: what it is to trust, where it reads it.
pub(super) fn trust(draft: &mut Draft<'_>) {
    let Some(certificate) = draft.certificate.clone() else {
        return;
    };
    let host = draft.host;
    let own = host.trusted_file();
    if host.systemd && host.docker.unit.is_some() {
        put(draft, &own, &certificate);
        let path = host.layout.units.join(INSPECTION_DROP_IN);
        let directory = own.parent().unwrap_or_else(|| Path::new("/"));
        let text = drop_in(draft, directory);
        put(draft, &path, &text);
    } else if let Some(path) = &host.trusted_by_all {
        put(draft, path, &certificate);
    } else {
        draft.problems.push(
            "the engine reads certificates from none of the usual directories (/etc/ssl/certs, /etc/pki/tls/certs): install \
             `ca-certificates`, or use `--level standard`"
                .to_owned(),
        );
    }
}

fn put(draft: &mut Draft<'_>, path: &Path, text: &str) {
    draft.file(path, Part::Engine, text.as_bytes(), 0o644, TRUST);
}

/// The drop-in that has the engine read `directory` beside the directories that it reads now.
fn drop_in(draft: &Draft<'_>, directory: &Path) -> String {
    let places = draft.host.docker.trust_places();
    let mut directories: Vec<PathBuf> = places.directories;
    directories.retain(|place| place != directory);
    directories.push(directory.to_owned());
    let directories: Vec<String> = directories
        .iter()
        .map(|place| place.display().to_string())
        .collect();
    format!(
        "# By `ramgate install`: dockerd, and nothing else on this host, trusts what ramgate reads registries with. See docs/egress.md.\n\
         [Service]\nEnvironment={DIRECTORY}={}\n",
        directories.join(":")
    )
}

const KEY: &str = "the key with which ramgate reads what goes to registries";
const CERTIFICATE: &str = "its certificate, good for the policy's registries alone";
const TRUST: &str = "what the engine trusts";
