//! `lab.json`: what the lab was asked to be.
//!
//! Only the intent is kept (which hosts, which engines, which LAN). What is running is asked of the kernel
//! every time, so nothing here goes stale in a crash and no process is ever killed on the word of a file.

use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::engine::EngineKind;
use crate::error::{self, Error};
use crate::file;
use crate::layout::LabDir;
use crate::name::{HostName, LabName};
use crate::subnet::Subnet;

/// A lab as asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    pub(crate) name: LabName,
    pub(crate) subnet: Subnet,
    /// In the order of their numbers, without a gap.
    pub(crate) hosts: Vec<HostRecord>,
}

/// A host as asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HostRecord {
    pub(crate) name: HostName,
    pub(crate) engine: EngineKind,
    /// What the engine called itself when it last came up.
    pub(crate) engine_version: Option<String>,
}

impl Record {
    /// Reads the record of a lab; `None` when there is none.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Record`].
    pub(crate) fn read(name: &LabName, dir: &LabDir) -> Result<Option<Self>, Error> {
        let path = dir.record();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(missing) if missing.kind() == ErrorKind::NotFound => return Ok(None),
            Err(other) => return Err(error::file("read", &path)(other)),
        };
        serde_json::from_str(&text).map(Some).map_err(|source| Error::Record {
            lab: name.clone(),
            path,
            source,
        })
    }

    /// Writes the record, whole or not at all.
    ///
    /// # Errors
    /// [`Error::File`].
    pub(crate) fn write(&self, dir: &LabDir) -> Result<(), Error> {
        file::write_json(&dir.record(), self)
    }

    /// The LAN in a record that may be of any lab, in any state; `None` when it cannot be told.
    pub(crate) fn subnet_in(path: &Path) -> Option<Subnet> {
        let text = std::fs::read_to_string(path).ok()?;
        serde_json::from_str::<Self>(&text).ok().map(|record| record.subnet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lab(dir: &tempfile::TempDir) -> (LabName, LabDir) {
        let name: LabName = "lab".parse().unwrap();
        let lab = LabDir::new(&name, Some(dir.path())).unwrap();
        (name, lab)
    }

    #[test]
    fn a_record_comes_back_as_written() {
        let dir = tempfile::tempdir().unwrap();
        let (name, lab) = lab(&dir);
        assert_eq!(Record::read(&name, &lab).unwrap(), None);
        let host = HostRecord {
            name: "host1".parse().unwrap(),
            engine: EngineKind::V28,
            engine_version: Some("28.5.2".to_owned()),
        };
        let subnet = Subnet::first_free(&std::collections::BTreeSet::new(), &[]).unwrap();
        let record = Record { name: name.clone(), subnet, hosts: vec![host] };
        record.write(&lab).unwrap();
        assert_eq!(Record::read(&name, &lab).unwrap(), Some(record));
        assert_eq!(Record::subnet_in(&lab.record()), Some(subnet));
    }

    #[test]
    fn a_corrupt_record_says_how_to_go_on() {
        let dir = tempfile::tempdir().unwrap();
        let (name, lab) = lab(&dir);
        std::fs::write(lab.record(), "{\"name\": \"la").unwrap();
        let refused = Record::read(&name, &lab).unwrap_err().to_string();
        assert!(refused.contains("lab.json") && refused.contains("--name lab down"), "{refused}");
        assert_eq!(Record::subnet_in(&lab.record()), None);
    }
}
