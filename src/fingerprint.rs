//! What two contents are compared by when one of them is not at hand.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// The SHA-256 of `content`, in hexadecimal digits.
pub(crate) fn fingerprint(content: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(content) {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
