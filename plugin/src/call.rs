//! The body of a call.

use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body as _, Bytes, Incoming};

/// A body that is too large, or broke off.
#[derive(Debug)]
pub(crate) struct InvalidBody;

/// Reads a body to its end. One that came in one piece, as most do, is not copied.
///
/// # Errors
/// [`InvalidBody`].
pub(crate) async fn read(mut body: Incoming) -> Result<Bytes, InvalidBody> {
    if body.size_hint().lower() > MESSAGE_SIZE_MAX_BYTES as u64 {
        return Err(InvalidBody);
    }
    let first = match body.frame().await {
        None => return Ok(Bytes::new()),
        Some(frame) => frame
            .map_err(|_| InvalidBody)?
            .into_data()
            .unwrap_or_default(),
    };
    if body.is_end_stream() {
        return Ok(first);
    }
    let room = MESSAGE_SIZE_MAX_BYTES.saturating_sub(first.len());
    let rest = Limited::new(body, room).collect().await;
    let rest = rest.map_err(|_| InvalidBody)?.to_bytes();
    if rest.is_empty() {
        return Ok(first);
    }
    Ok([first, rest].concat().into())
}

/// 8 MiB: dockerd hands over bodies of up to 4 MiB (moby `pkg/authorization/authz.go`, `maxBodySize`), which as base64 are
/// 5.4 MiB; the rest is room for headers and certificates.
const MESSAGE_SIZE_MAX_BYTES: usize = 8 * 1024 * 1024;
