//! What a person can do about an error, beside what its text says: it travels beside the status.

use tonic::{Status, metadata::MetadataValue};

/// Where a status carries its hint.
const KEY: &str = "shoal-hint-bin";

/// A status with a hint.
#[must_use]
pub fn hinted(mut status: Status, hint: &str) -> Status {
    status.metadata_mut().insert_bin(KEY, MetadataValue::from_bytes(hint.as_bytes()));
    status
}

/// Where a status says when to call again.
const RETRY: &str = "shoal-retry-ms";

/// A status of a call that came too soon: in how long it may come again, in milliseconds.
#[must_use]
pub fn retried(mut status: Status, wait_ms: u64) -> Status {
    status.metadata_mut().insert(RETRY, MetadataValue::from(wait_ms));
    status
}

/// In how long a call that came too soon may come again, in milliseconds.
#[must_use]
pub fn retry_of(status: &Status) -> Option<u64> {
    status.metadata().get(RETRY)?.to_str().ok()?.parse().ok()
}

/// The hint that came with a status.
#[must_use]
pub fn hint_of(status: &Status) -> Option<String> {
    let hint = status.metadata().get_bin(KEY)?.to_bytes().ok()?;
    String::from_utf8(hint.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_comes_with_its_status() {
        let status = hinted(Status::not_found("no host"), "`shoal get hosts` lists the h\u{f6}sts");
        assert_eq!(hint_of(&status).as_deref(), Some("`shoal get hosts` lists the h\u{f6}sts"));
        assert_eq!(hint_of(&Status::internal("")), None);
        assert_eq!(retry_of(&retried(Status::resource_exhausted(""), 250)), Some(250));
        assert_eq!(retry_of(&Status::resource_exhausted("")), None);
    }
}
