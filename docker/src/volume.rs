//! Named volumes.

use std::collections::BTreeMap;

/// A named volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeInfo {
    /// Its name, which is also its id.
    pub name: String,
    /// Its labels, fixed when it was created.
    pub labels: BTreeMap<String, String>,
}
