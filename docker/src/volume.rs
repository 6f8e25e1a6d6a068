//! Named volumes.

use std::collections::BTreeMap;

use shoal_types::Timestamp;

/// A named volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeInfo {
    /// Its name, which is also its id.
    pub name: String,
    /// Its labels, fixed when it was created.
    pub labels: BTreeMap<String, String>,
    /// When it was created, by the engine's clock, in whole seconds. 20.10 tells when its content last changed.
    pub created: Option<Timestamp>,
}
