//! Reading answers without a shape of their own.

use anyhow::Context;
use serde_json::Value;

/// The entries of a list.
///
/// # Errors
/// It is no list.
pub fn list(value: &Value) -> anyhow::Result<&[Value]> {
    value.as_array().map(Vec::as_slice).with_context(|| format!("no list: {value}"))
}

/// A field that is text.
///
/// # Errors
/// It is not there, or no text.
pub fn text(value: &Value, field: &str) -> anyhow::Result<String> {
    value[field].as_str().map(str::to_owned).with_context(|| format!("no text {field} in {value}"))
}
