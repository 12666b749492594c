//! Terraform's configuration language, as far as its JSON syntax goes: expressions become text, `"${var.name}"`.

use serde_json::Value;

/// # Errors
/// What is wrong with the text.
pub(super) fn read(text: &str) -> Result<Value, String> {
    hcl::from_str(text).map_err(|error| error.to_string().trim().to_owned())
}
