//! From the settings of the mirror's storage to the storage: keys are read from where they are.

use anyhow::Context as _;
use ramgate_mirror::{BucketPlace, Place};

use crate::settings::{Mirror, Storage, StorageOption};

/// The storage that the settings name.
pub(crate) fn open(part: &Mirror) -> anyhow::Result<ramgate_mirror::Storage> {
    let place = match &part.storage {
        Storage::Directory(path) => Place::Directory(path.clone()),
        Storage::Bucket {
            url,
            options,
            spool,
        } => {
            let mut all = environment(url.scheme());
            for (name, option) in options {
                let value = match option {
                    StorageOption::Value(value) => value.clone(),
                    StorageOption::File(path) => std::fs::read_to_string(path)
                        .with_context(|| format!("mirror.storage-options: {}", path.display()))?
                        .trim_end_matches(['\n', '\r'])
                        .to_owned(),
                };
                all.push((name.clone(), value));
            }
            Place::Bucket(BucketPlace {
                url: url.clone(),
                options: all,
                spool: spool.clone(),
            })
        }
    };
    Ok(ramgate_mirror::Storage {
        place,
        max_size_bytes: part.max_size_bytes,
        pins: part.pins.clone(),
    })
}

/// What the object store's own tools read too, as `AWS_SECRET_ACCESS_KEY`; what stands in the settings goes before it.
fn environment(scheme: &str) -> Vec<(String, String)> {
    let prefix = match scheme {
        "s3" => "AWS_",
        "gs" => "GOOGLE_",
        _ => "AZURE_",
    };
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with(prefix))
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .filter(|(name, _)| BucketPlace::knows(scheme, name))
        .collect()
}
