//! Which certificates dockerd trusts: as any program in Go it reads one bundle, and every file of some directories, when it starts.
//!
//! As of Go's `crypto/x509`, `root_unix.go` and `root_linux.go`.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// Where a program in Go finds the certificates that it trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TrustPlaces {
    /// The first that can be read counts.
    bundles: Vec<PathBuf>,
    /// All of them count.
    pub(crate) directories: Vec<PathBuf>,
}

// === impl TrustPlaces ===

impl TrustPlaces {
    /// Those of a program with this environment.
    pub(crate) fn of(environment: &BTreeMap<String, String>) -> Self {
        let set = |name: &str| environment.get(name).filter(|value| !value.is_empty());
        Self {
            bundles: match set(BUNDLE) {
                Some(path) => vec![path.into()],
                None => BUNDLES.map(PathBuf::from).to_vec(),
            },
            directories: match set(DIRECTORY) {
                Some(paths) => paths.split(':').map(PathBuf::from).collect(),
                None => DIRECTORIES.map(PathBuf::from).to_vec(),
            },
        }
    }

    /// Those of a process that runs; `None` if it cannot be asked.
    pub(crate) fn of_process(pid: u32) -> Option<Self> {
        let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
        Some(Self::of(&assignments(&environment)))
    }

    /// The file there that has `certificate`, which is text in PEM.
    pub(crate) fn find(&self, certificate: &str) -> Option<PathBuf> {
        let wanted = body(certificate)?;
        let bundle = self.bundles.iter().find(|path| fs::read(path).is_ok());
        let of_directories = self.directories.iter().flat_map(|directory| {
            let entries = fs::read_dir(directory).into_iter().flatten().flatten();
            entries.map(|entry| entry.path())
        });
        bundle
            .cloned()
            .into_iter()
            .chain(of_directories)
            .find(|path| {
                let text = fs::read(path).unwrap_or_default();
                certificates(&String::from_utf8_lossy(&text)).any(|found| found == wanted)
            })
    }
}

/// The environment of a process, as `/proc` has it.
pub(crate) fn assignments(environment: &[u8]) -> BTreeMap<String, String> {
    let words = environment.split(|byte| *byte == 0);
    words
        .filter_map(|word| {
            let word = String::from_utf8_lossy(word);
            let (name, value) = word.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        })
        .collect()
}

/// What is between the lines of a certificate's text, without its line ends.
fn body(text: &str) -> Option<String> {
    certificates(text).next()
}

fn certificates(text: &str) -> impl Iterator<Item = String> {
    let parts = text.split(BEGIN).skip(1);
    parts.filter_map(|part| {
        let (inside, _) = part.split_once(END)?;
        Some(inside.split_whitespace().collect())
    })
}

/// The variable that names directories instead of the usual ones.
pub(crate) const DIRECTORY: &str = "SSL_CERT_DIR";
const BUNDLE: &str = "SSL_CERT_FILE";
const BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
const DIRECTORIES: [&str; 2] = ["/etc/ssl/certs", "/etc/pki/tls/certs"];
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str =
        "words\n-----BEGIN CERTIFICATE-----\nAAAA\nBBBB\n-----END CERTIFICATE-----\n";

    #[test]
    fn a_certificate_is_found_in_the_bundle_that_counts_and_in_any_directory() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name).display().to_string();
        let places = |bundle: &str, directories: &str| {
            let set = [(BUNDLE, bundle), (DIRECTORY, directories)];
            TrustPlaces::of(
                &set.map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .into(),
            )
        };
        let other = OURS.replace("AAAA", "CCCC");
        fs::write(
            at("bundle"),
            format!("{other}{}", OURS.replace("AAAA\nBBBB", "AAAABBBB")),
        )
        .unwrap();
        fs::create_dir(at("certificates")).unwrap();
        assert_eq!(
            places(&at("bundle"), "/nowhere").find(OURS),
            Some(at("bundle").into())
        );
        fs::write(at("bundle"), &other).unwrap();
        let both = places(&at("bundle"), &format!("/nowhere:{}", at("certificates")));
        assert_eq!(both.find(OURS), None);
        fs::write(at("certificates/x.pem"), OURS).unwrap();
        assert_eq!(both.find(OURS), Some(at("certificates/x.pem").into()));
        assert_eq!(both.find("no certificate"), None);
    }

    #[test]
    fn without_variables_the_usual_places_count() {
        let places = TrustPlaces::of(&assignments(b"PATH=/bin\0SSL_CERT_FILE=\0"));
        assert_eq!(places.bundles.len(), BUNDLES.len());
        assert_eq!(places.directories, DIRECTORIES.map(PathBuf::from));
    }
}
