//! Bringing a lab up.

use std::collections::BTreeSet;
use std::path::Path;

use crate::cgroup::Cgroups;
use crate::engine::{EngineKind, Engines};
use crate::error::{Error, file};
use crate::lab::{Lab, Options, require_root};
use crate::lan::{self, Lan};
use crate::layout::{LabDir, SHARED_DIR};
use crate::lock::Lock;
use crate::name::{HostName, LabName};
use crate::pki::LabAuthority;
use crate::record::{HostRecord, Record};
use crate::subnet::Subnet;
use crate::{install, machine, power};

/// How many hosts a lab has when nobody says.
const HOSTS: usize = 3;

impl Lab {
    /// Brings a lab up: installs what is missing, makes or repairs every host, adds hosts when more are asked
    /// for, mends cut cables; returns when every engine answers over TLS.
    ///
    /// # Errors
    /// Any [`Error`]. What was made by then stays: call it again to go on, or [`crate::down()`].
    pub fn up(options: &Options) -> Result<Self, Error> {
        require_root()?;
        let name = &options.name;
        let cgroups = Cgroups::discover()?;
        let dir = LabDir::new(name, options.dir.as_deref())?;
        let _lock = Lock::lab(name)?;
        let recorded = Record::read(name, &dir)?;
        let known = recorded.as_ref().map_or(&[][..], |record| &record.hosts);
        let hosts = plan(name, known, options.hosts, options.engines)?;
        let kinds: Vec<EngineKind> = hosts.iter().map(|host| host.engine).collect();
        if kinds.contains(&EngineKind::V28) && !cgroups.has_v2() {
            return Err(Error::NoCgroup2);
        }
        install::ensure(&kinds)?;
        machine::prepare()?;
        crate::file::make_dir(dir.path())?;
        let record = match recorded {
            Some(record) => {
                let grown = Record { hosts, ..record };
                grown.write(&dir)?;
                Lan::new(name, grown.subnet).ensure()?;
                grown
            }
            None => {
                // Without a record whatever has this lab's name was left by a crash.
                crate::down::sweep(name, &cgroups)?;
                claim(name, &dir, hosts)?
            }
        };
        let lab = Self::new(dir, record, cgroups, options.program.clone());
        let authority = LabAuthority::open_or_make(name, &lab.dir.pki())?;
        for host in lab.hosts() {
            let own = lab.dir.host(host.name);
            authority.ensure_server(&own.server_tls(), host.name, host.address.into())?;
            authority.ensure_client(&own.client_tls(), host.name)?;
            lab.lan().ensure_host(host.name)?;
            power::on(&lab, host.name)?;
        }
        let mut record = lab.record.clone();
        for host in &mut record.hosts {
            host.engine_version = Some(lab.await_engine(host.name)?);
        }
        record.write(&lab.dir)?;
        Ok(Self::new(lab.dir, record, lab.cgroups, lab.program))
    }
}

/// Takes a LAN for a new lab and writes its record: one lab at a time, until its route is there to be seen.
fn claim(name: &LabName, dir: &LabDir, hosts: Vec<HostRecord>) -> Result<Record, Error> {
    let _one_at_a_time = Lock::shared("subnets")?;
    let record = Record { name: name.clone(), subnet: lan::pick_subnet(&recorded_subnets()?)?, hosts };
    record.write(dir)?;
    Lan::new(name, record.subnet).ensure()?;
    Ok(record)
}

/// The LANs of the labs in the shared directory, whether they run or not.
fn recorded_subnets() -> Result<BTreeSet<Subnet>, Error> {
    let shared = Path::new(SHARED_DIR);
    match std::fs::read_dir(shared) {
        Ok(labs) => {
            Ok(labs.flatten().filter_map(|lab| Record::subnet_in(&lab.path().join("lab.json"))).collect())
        }
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(other) => Err(file("read", shared)(other)),
    }
}

/// The hosts of a lab: the present ones, then new ones.
fn plan(
    lab: &LabName,
    known: &[HostRecord],
    count: Option<usize>,
    engines: Option<Engines>,
) -> Result<Vec<HostRecord>, Error> {
    let count = count.unwrap_or(if known.is_empty() { HOSTS } else { known.len() });
    if count < known.len() {
        return Err(Error::Shrink { lab: lab.clone(), have: known.len(), want: count });
    }
    let all: Option<Vec<HostName>> =
        (1..=count).map(|number| u8::try_from(number).ok().and_then(HostName::from_number)).collect();
    let names = all.filter(|names| !names.is_empty()).ok_or(Error::HostCount(count))?;
    if let Some(engines) = engines {
        for host in known {
            let want = engines.of(host.name);
            if want != host.engine {
                return Err(Error::OtherEngine {
                    lab: lab.clone(),
                    host: host.name,
                    have: host.engine,
                    want,
                });
            }
        }
    }
    let engines = engines.unwrap_or(Engines::Mixed);
    let new = names.into_iter().skip(known.len());
    let new = new.map(|name| HostRecord { name, engine: engines.of(name), engine_version: None });
    Ok(known.iter().cloned().chain(new).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lab() -> LabName {
        "lab".parse().unwrap()
    }

    fn kinds(hosts: &[HostRecord]) -> Vec<(String, EngineKind)> {
        hosts.iter().map(|host| (host.name.to_string(), host.engine)).collect()
    }

    #[test]
    fn a_new_lab_has_three_mixed_hosts() {
        let hosts = plan(&lab(), &[], None, None).unwrap();
        let expected =
            [("host1", EngineKind::System), ("host2", EngineKind::V28), ("host3", EngineKind::System)];
        assert_eq!(kinds(&hosts), expected.map(|(name, kind)| (name.to_owned(), kind)));
    }

    #[test]
    fn a_lab_grows_and_keeps_what_it_has() {
        let two = plan(&lab(), &[], Some(2), Some(Engines::System)).unwrap();
        let same = plan(&lab(), &two, None, None).unwrap();
        assert_eq!(same, two);
        let grown = plan(&lab(), &two, Some(4), Some(Engines::System)).unwrap();
        assert_eq!(grown[..2], two);
        assert_eq!(grown.len(), 4);
        assert!(grown.iter().all(|host| host.engine == EngineKind::System));
    }

    #[test]
    fn what_a_lab_cannot_become_is_refused() {
        let two = plan(&lab(), &[], Some(2), Some(Engines::System)).unwrap();
        assert!(matches!(plan(&lab(), &two, Some(1), None), Err(Error::Shrink { have: 2, want: 1, .. })));
        assert!(matches!(plan(&lab(), &two, None, Some(Engines::Mixed)), Err(Error::OtherEngine { .. })));
        for count in [0, 201, 1000] {
            assert!(
                matches!(plan(&lab(), &[], Some(count), None), Err(Error::HostCount(refused)) if refused == count)
            );
        }
    }
}
