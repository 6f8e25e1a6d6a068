//! Taking a lab down, so that nothing of it is left.
//!
//! What there is to remove is asked of the kernel, by the lab's name in cgroups, namespaces and interfaces,
//! and of its directory by the names that layout.rs gives: a record is not needed, so this works after any crash.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::mount::{MntFlags, umount2};

use crate::cgroup::Cgroups;
use crate::error::{Error, file};
use crate::file::gone_is_fine;
use crate::lab::require_root;
use crate::layout::{LabDir, SHARED_DIR};
use crate::lock::Lock;
use crate::name::LabName;
use crate::{install, lan, power, process, wait};

/// How long the kernel may take to let go of a killed host's mounts.
const FILES_LIMIT: Duration = Duration::from_secs(20);

/// Takes a lab down: processes, mounts, namespaces, links, cgroups, files. A lab that is not there, or only in
/// part, is fine. Without a directory, both the default one and the ones that its running hosts name are
/// cleared. What all labs share (engine 28's file tree) stays.
///
/// # Errors
/// [`Error::NotRoot`], [`Error::Dir`], [`Error::NoCgroups`]; [`Error::Remains`], [`Error::Signal`],
/// [`Error::Command`] and [`Error::File`] when something resists.
pub fn down(name: &LabName, dir: Option<&Path>) -> Result<(), Error> {
    require_root()?;
    let _lock = Lock::lab(name)?;
    let cgroups = Cgroups::discover()?;
    let mut dirs = vec![LabDir::new(name, dir)?];
    if dir.is_none() {
        dirs.extend(dirs_of_hosts(name, &cgroups));
    }
    sweep(name, &cgroups)?;
    dirs.iter().try_for_each(remove_files)
}

/// Removes what all labs share: engine 28's file tree. Refused while a lab runs.
///
/// # Errors
/// [`Error::NotRoot`], [`Error::InUse`], [`Error::File`].
pub fn purge() -> Result<(), Error> {
    require_root()?;
    let _one_at_a_time = Lock::shared("install")?;
    if let Some(lab) = Cgroups::discover()?.labs().into_iter().next() {
        return Err(Error::InUse { lab });
    }
    let root = install::engine_28_root();
    for tree in [root.with_extension("partial"), root] {
        gone_is_fine(fs::remove_dir_all(&tree)).map_err(file("remove", &tree))?;
    }
    remove_if_empty(Path::new(SHARED_DIR))
}

/// Removes everything of a lab from the kernel.
pub(crate) fn sweep(name: &LabName, cgroups: &Cgroups) -> Result<(), Error> {
    for host in cgroups.hosts(name) {
        power::off(name, cgroups, host)?;
    }
    cgroups.remove(&name.cgroup())?;
    for namespace in lan::namespaces(name)? {
        lan::remove_namespace(&namespace)?;
    }
    lan::remove_uplink(name)
}

/// The directories that a lab's running hosts were made from.
fn dirs_of_hosts(name: &LabName, cgroups: &Cgroups) -> Vec<LabDir> {
    let hosts = cgroups.hosts(name).into_iter();
    let inits =
        hosts.filter_map(|host| process::init(&cgroups.engine_members(name, host)).map(|init| init.pid));
    inits
        .filter_map(process::arguments)
        .filter_map(|words| LabDir::of_spec(Path::new(words.last()?)))
        .collect()
}

/// Removes a lab's files, and its directory if nobody else keeps something there.
fn remove_files(dir: &LabDir) -> Result<(), Error> {
    unmount_below(dir.path())?;
    wait::until(FILES_LIMIT, || {
        [dir.hosts(), dir.pki()]
            .iter()
            .try_for_each(|tree| gone_is_fine(fs::remove_dir_all(tree)).map_err(file("remove", tree)))
    })?;
    for left in [dir.record(), dir.record().with_extension("new")] {
        gone_is_fine(fs::remove_file(&left)).map_err(file("remove", &left))?;
    }
    remove_if_empty(dir.path())?;
    if dir.path().starts_with(SHARED_DIR) { remove_if_empty(Path::new(SHARED_DIR)) } else { Ok(()) }
}

fn remove_if_empty(dir: &Path) -> Result<(), Error> {
    match gone_is_fine(fs::remove_dir(dir)) {
        Err(others) if others.kind() == ErrorKind::DirectoryNotEmpty => Ok(()),
        done => done.map_err(file("remove", dir)),
    }
}

/// Takes off what is mounted below a directory, last first, so that removing files never reaches through.
/// Hosts keep their mounts to themselves; this is for those that someone made to look into a host.
fn unmount_below(dir: &Path) -> Result<(), Error> {
    let table = Path::new("/proc/self/mountinfo");
    let text = fs::read_to_string(table).map_err(file("read", table))?;
    for point in mounts_below(&text, dir).iter().rev() {
        umount2(point, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW)
            .map_err(std::io::Error::from)
            .map_err(file("unmount", point))?;
    }
    Ok(())
}

/// The mount points strictly below a directory, in the order they were mounted.
fn mounts_below(mountinfo: &str, dir: &Path) -> Vec<PathBuf> {
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4));
    let points = points.map(|point| PathBuf::from(point.replace("\\040", " ")));
    points.filter(|point| point != dir && point.starts_with(dir)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mounts_below_the_directory_are_found() {
        let table = "\
            1 0 0:1 / / rw - ext4 /dev/sda rw\n\
            2 1 0:2 / /lab rw - tmpfs x rw\n\
            3 2 0:3 / /lab/hosts/host1/a\\040b rw - tmpfs x rw\n\
            4 1 0:4 / /labor rw - tmpfs x rw\n";
        assert_eq!(mounts_below(table, Path::new("/lab")), [Path::new("/lab/hosts/host1/a b")]);
    }

    #[test]
    fn a_directory_that_others_use_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let lab = LabDir::new(&"lab".parse().unwrap(), Some(dir.path())).unwrap();
        fs::create_dir_all(lab.hosts().join("host1/data")).unwrap();
        fs::create_dir(lab.pki()).unwrap();
        fs::write(lab.record(), "not json").unwrap();
        fs::write(dir.path().join("stranger"), "").unwrap();
        remove_files(&lab).unwrap();
        let left: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["stranger"]);
        fs::remove_file(dir.path().join("stranger")).unwrap();
        remove_files(&lab).unwrap();
        assert!(!dir.path().exists());
    }
}
