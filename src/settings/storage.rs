//! Where the mirror keeps things, how much of it, and what never goes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ramgate_mirror::{BucketPlace, Pin, Url};

use super::check::Check;
use super::file::MirrorPart;
use super::{Storage, StorageOption, quantity};

// === impl Check ===

impl Check<'_> {
    pub(super) fn storage(&mut self, part: &MirrorPart, state: Option<PathBuf>) -> Option<Storage> {
        let directory = match &part.storage {
            None => Some(state.as_ref().map(|state| state.join("mirror"))),
            Some(url) => url
                .strip_prefix("file://")
                .map(|path| self.path(path, STORAGE)),
        };
        if let Some(directory) = directory {
            if !part.storage_options.is_empty() {
                self.report(OPTIONS, "a directory has no options");
            }
            return directory.map(Storage::Directory);
        }
        let url = self.bucket(part.storage.as_deref().unwrap_or_default())?;
        let mut options = BTreeMap::new();
        for (name, value) in &part.storage_options {
            let (name, option) = match name.strip_suffix("-file") {
                Some(name) => {
                    let path = self.path(value, &format!("{OPTIONS}.{name}-file"))?;
                    (name, StorageOption::File(path))
                }
                None => (name.as_str(), StorageOption::Value(value.clone())),
            };
            let name = name.replace('-', "_");
            if !BucketPlace::knows(url.scheme(), &name) {
                self.report(
                    OPTIONS,
                    format!("`{name}` is no option of this object store"),
                );
            }
            options.insert(name, option);
        }
        Some(Storage::Bucket {
            url,
            options,
            spool: state?.join("spool"),
        })
    }

    fn bucket(&mut self, text: &str) -> Option<Url> {
        let known = ["s3", "gs", "az"];
        let url = text.parse::<Url>().ok().filter(|url| {
            known.contains(&url.scheme())
                && url.host_str().is_some_and(|bucket| !bucket.is_empty())
                && url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none()
        });
        let url = url.ok_or_else(|| {
            format!(
                "`{text}` is not of the form `file:///directory`, `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`"
            )
        });
        self.read(url, STORAGE)
    }

    pub(super) fn max_size(&mut self, part: &MirrorPart) -> Option<u64> {
        let size = part.max_size.as_deref()?;
        let in_bucket = part
            .storage
            .as_deref()
            .is_some_and(|storage| !storage.starts_with("file://"));
        if in_bucket {
            self.report(
                "mirror.max-size",
                "a bucket does not say what was used last; give it a lifecycle rule instead",
            );
        }
        self.read(quantity::size(size), "mirror.max-size")
    }

    pub(super) fn pins(&mut self, part: &MirrorPart) -> Vec<Pin> {
        let mut pins = Vec::new();
        for (index, text) in part.pin.iter().enumerate() {
            let pin = text
                .parse()
                .map_err(|error| format!("`{text}` is no pin: {error}"));
            pins.extend(self.read(pin, &format!("mirror.pin[{index}]")));
        }
        pins
    }
}

const STORAGE: &str = "mirror.storage";
const OPTIONS: &str = "mirror.storage-options";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    #[track_caller]
    fn check(mirror: &str, expected: &[&str]) {
        let findings: Vec<String> = match Settings::parse(&format!(r#"{{ "mirror": {mirror} }}"#)) {
            Ok(_) => Vec::new(),
            Err(findings) => findings.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(findings, expected, "{mirror}");
    }

    #[test]
    fn a_bucket_has_options_and_its_keys_stay_in_files() {
        let text = r#"{ "mirror": { "storage": "s3://bucket/prefix", "storage-options": {
            "region": "eu-west-1", "access-key-id": "AKIAEXAMPLE", "secret-access-key-file": "/run/secret" } } }"#;
        let mirror = Settings::parse(text).unwrap().mirror.unwrap();
        let Storage::Bucket { options, .. } = &mirror.storage else {
            panic!("{:?}", mirror.storage);
        };
        assert!(matches!(&options["region"], StorageOption::Value(value) if value == "eu-west-1"));
        assert!(
            matches!(&options["secret_access_key"], StorageOption::File(path) if path.ends_with("secret"))
        );
        assert!(!format!("{mirror:?}").contains("AKIAEXAMPLE"));
    }

    #[test]
    fn what_does_not_go_together_is_reported() {
        let form = "line 1: mirror.storage: `s3://` is not of the form `file:///directory`, `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`";
        check(r#"{ "storage": "s3://" }"#, &[form]);
        check(
            r#"{ "storage": "s3://bucket", "storage-options": { "regoin": "x" } }"#,
            &["line 1: mirror.storage-options: `regoin` is no option of this object store"],
        );
        check(
            r#"{ "storage-options": { "region": "x" } }"#,
            &["line 1: mirror.storage-options: a directory has no options"],
        );
        check(
            r#"{ "storage": "gs://bucket", "max-size": "1GiB" }"#,
            &[
                "line 1: mirror.max-size: a bucket does not say what was used last; give it a lifecycle rule instead",
            ],
        );
        check(
            r#"{ "pin": ["docker.io/library/alpine", "alpine"] }"#,
            &[
                "line 1: mirror.pin[1]: `alpine` is no pin: no registry stands in front, as in `docker.io/library/alpine`",
            ],
        );
    }
}
