//! What is known, on disk. It is a cache: damaged, it is begun anew.

use std::path::{Path, PathBuf};

use ramgate_policy::Category;
use redb::backends::InMemoryBackend;
use redb::{
    Database, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _,
    TableDefinition,
};

use crate::catalog::CatalogError;
use crate::entry::{Entry, Source};

/// All entries, by namespace.
#[derive(Debug)]
pub(crate) struct Shelf {
    database: Database,
}

/// Category, source, checked, expires.
type Row = (u8, u8, u64, u64);

// === impl Shelf ===

impl Shelf {
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, CatalogError> {
        let Some(path) = path else {
            let backend = InMemoryBackend::new();
            return Self::with(
                Database::builder()
                    .create_with_backend(backend)
                    .map_err(store)?,
            );
        };
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).map_err(|source| directory_error(path, source))?;
        }
        // A damaged page can make the store panic rather than say so.
        let opened = std::panic::catch_unwind(|| Self::open_sound(path));
        match opened {
            Ok(Ok(shelf)) => Ok(shelf),
            Ok(Err(CatalogError::InUse)) => Err(CatalogError::InUse),
            Ok(Err(_)) | Err(_) => {
                tracing::error!(path = %path.display(), "the catalogue is damaged and begun anew");
                let aside = path.with_extension("damaged");
                std::fs::rename(path, &aside).map_err(|source| directory_error(path, source))?;
                Self::open_sound(path)
            }
        }
    }

    fn open_sound(path: &Path) -> Result<Self, CatalogError> {
        match Database::create(path) {
            Ok(database) => Self::with(database),
            Err(redb::DatabaseError::DatabaseAlreadyOpen) => Err(CatalogError::InUse),
            Err(error) => Err(store(error)),
        }
    }

    fn with(database: Database) -> Result<Self, CatalogError> {
        let transaction = database.begin_write().map_err(store)?;
        transaction.open_table(NAMESPACES).map_err(store)?;
        transaction.commit().map_err(store)?;
        Ok(Self { database })
    }

    pub(crate) fn get(&self, namespace: &str) -> Result<Option<Entry>, CatalogError> {
        let transaction = self.database.begin_read().map_err(store)?;
        let table = transaction.open_table(NAMESPACES).map_err(store)?;
        let row = table.get(namespace).map_err(store)?;
        Ok(row.and_then(|row| read(row.value())))
    }

    pub(crate) fn len(&self) -> Result<u64, CatalogError> {
        let transaction = self.database.begin_read().map_err(store)?;
        let table = transaction.open_table(NAMESPACES).map_err(store)?;
        table.len().map_err(store)
    }

    pub(crate) fn all(&self) -> Result<Vec<(String, Entry)>, CatalogError> {
        let transaction = self.database.begin_read().map_err(store)?;
        let table = transaction.open_table(NAMESPACES).map_err(store)?;
        let mut all = Vec::new();
        for row in table.iter().map_err(store)? {
            let (namespace, row) = row.map_err(store)?;
            if let Some(entry) = read(row.value()) {
                all.push((namespace.value().to_owned(), entry));
            }
        }
        Ok(all)
    }

    /// Puts entries there, each unless a newer one is; says how many it was.
    pub(crate) fn put<'a>(
        &self,
        entries: impl IntoIterator<Item = (&'a str, Entry)>,
    ) -> Result<u64, CatalogError> {
        let transaction = self.database.begin_write().map_err(store)?;
        let mut taken = 0;
        {
            let mut table = transaction.open_table(NAMESPACES).map_err(store)?;
            for (namespace, entry) in entries {
                let newer = table
                    .get(namespace)
                    .map_err(store)?
                    .is_some_and(|row| row.value().2 > entry.checked);
                if !newer {
                    table.insert(namespace, written(entry)).map_err(store)?;
                    taken += 1;
                }
            }
        }
        transaction.commit().map_err(store)?;
        Ok(taken)
    }
}

const fn written(entry: Entry) -> Row {
    let category = match entry.category {
        Category::Official => 0,
        Category::VerifiedPublisher => 1,
        Category::SponsoredOpenSource => 2,
        Category::Community => 3,
    };
    let source = match entry.source {
        Source::DockerHub => 0,
        Source::Bundle => 1,
    };
    (category, source, entry.checked, entry.expires)
}

/// What this version cannot read is not known to it.
const fn read((category, source, checked, expires): Row) -> Option<Entry> {
    let category = match category {
        1 => Category::VerifiedPublisher,
        2 => Category::SponsoredOpenSource,
        3 => Category::Community,
        _ => return None,
    };
    let source = match source {
        0 => Source::DockerHub,
        1 => Source::Bundle,
        _ => return None,
    };
    Some(Entry {
        category,
        checked,
        expires,
        source,
    })
}

fn directory_error(path: &Path, source: std::io::Error) -> CatalogError {
    CatalogError::Directory(PathBuf::from(path), source)
}

fn store(error: impl Into<redb::Error>) -> CatalogError {
    CatalogError::Store(Box::new(error.into()))
}

const NAMESPACES: TableDefinition<'_, &str, Row> = TableDefinition::new("namespaces");
