//! CPUs as a JSON number of cores: whole ones without a fraction.

use serde::{Serialize, Serializer};
use shoal_types::MilliCpu;

/// An amount of CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Cores(#[cfg_attr(test, schemars(with = "f64"))] pub(super) MilliCpu);

impl Serialize for Cores {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let milli = self.0.0;
        match milli % 1000 {
            0 => serializer.serialize_u64(milli / 1000),
            _ => serializer.serialize_f64(self.0.cores()),
        }
    }
}
