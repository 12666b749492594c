//! An object of a bucket that is read, and checked the first time: whoever may write to the bucket may have put another one there.
//!
//! INVARIANT(last-byte): of an object, in the state that the bucket says it is in, that this process has not read and found right,
//! the last piece of every answer waits for the digest of the whole. What is wrong is removed and fetched again by the next who asks.

use std::io;
use std::ops::Range;

use axum::body::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::{GetOptions, GetRange, ObjectMeta};
use ramgate_provenance::Verifier;

use super::bucket::{Bucket, failed};
use super::names;

/// An object in one state.
#[derive(Clone, Debug)]
pub(super) struct Object {
    bucket: Bucket,
    name: String,
    meta: ObjectMeta,
    /// Whether who reads it checks it.
    trusted: bool,
}

/// A part of an object on its way, or all of it.
struct Checked {
    object: Object,
    pieces: BoxStream<'static, io::Result<Bytes>>,
    /// Of the pieces, if they are the whole.
    verifier: Option<Verifier>,
    held: Option<Bytes>,
    ended: bool,
}

// === impl Object ===

impl Object {
    pub(super) const fn new(bucket: Bucket, name: String, meta: ObjectMeta) -> Self {
        Self {
            bucket,
            name,
            meta,
            trusted: false,
        }
    }

    /// For who checks it anyway.
    pub(super) fn unchecked(self) -> Self {
        Self {
            trusted: true,
            ..self
        }
    }

    pub(super) const fn size(&self) -> u64 {
        self.meta.size
    }

    pub(super) fn stream(self, range: Range<u64>) -> BoxStream<'static, io::Result<Bytes>> {
        let pieces = self.pieces(range.clone());
        if self.trusted || self.bucket.knows(&self.name, &self.state()) {
            return pieces;
        }
        let is_whole = range == (0..self.size());
        let checked = Checked {
            verifier: is_whole.then(|| self.verifier()).flatten(),
            object: self,
            pieces,
            held: None,
            ended: false,
        };
        checked.stream()
    }

    fn pieces(&self, range: Range<u64>) -> BoxStream<'static, io::Result<Bytes>> {
        let options = GetOptions {
            range: (!range.is_empty()).then_some(GetRange::Bounded(range)),
            // Another object is another state.
            if_match: self.meta.e_tag.clone(),
            ..GetOptions::default()
        };
        let (bucket, path) = (self.bucket.clone(), self.meta.location.clone());
        let begun = async move {
            let got = bucket.store().get_opts(&path, options).await;
            Ok::<_, io::Error>(got.map_err(failed)?.into_stream().map_err(failed))
        };
        futures_util::stream::once(begun).try_flatten().boxed()
    }

    /// What the bucket tells one object under this name from another by.
    fn state(&self) -> String {
        let tag = self.meta.e_tag.as_deref().unwrap_or_default();
        format!("{tag} {} {}", self.meta.last_modified, self.meta.size)
    }

    fn verifier(&self) -> Option<Verifier> {
        names::digest(&self.name).map(|digest| Verifier::new(&digest))
    }

    /// Reads the whole for nothing but the check of it.
    async fn read(&self) -> io::Result<Option<Verifier>> {
        let Some(mut verifier) = self.verifier() else {
            return Ok(None);
        };
        let mut pieces = self.pieces(0..self.size());
        while let Some(piece) = pieces.try_next().await? {
            verifier.update(&piece);
        }
        Ok(Some(verifier))
    }
}

// === impl Checked ===

impl Checked {
    fn stream(self) -> BoxStream<'static, io::Result<Bytes>> {
        futures_util::stream::try_unfold(self, |mut checked| async {
            let piece = checked.next().await?;
            Ok(piece.map(|piece| (piece, checked)))
        })
        .boxed()
    }

    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        while !self.ended {
            let Some(piece) = self.pieces.try_next().await? else {
                self.ended = true;
                self.check().await?;
                break;
            };
            if let Some(verifier) = &mut self.verifier {
                verifier.update(&piece);
            }
            if !piece.is_empty()
                && let Some(before) = self.held.replace(piece)
            {
                return Ok(Some(before));
            }
        }
        Ok(self.held.take())
    }

    async fn check(&mut self) -> io::Result<()> {
        let Object { bucket, name, .. } = &self.object;
        let verifier = match self.verifier.take() {
            Some(verifier) => Some(verifier),
            None => self.object.read().await?,
        };
        if verifier.is_some_and(|mut verifier| verifier.verify().is_some()) {
            bucket.learn(name, self.object.state());
            return Ok(());
        }
        tracing::error!(
            name,
            "what is in the bucket is not what its name says; it is removed"
        );
        bucket.remove(name).await?;
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "not what its digest says",
        ))
    }
}
