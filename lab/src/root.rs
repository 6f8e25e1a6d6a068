//! A host's own `/`.
//!
//! The engine's file tree (the machine's own, or forky's) lies below an overlay whose upper layer is in
//! memory: whatever the engine writes outside its data root is gone with the host, and nothing of it
//! reaches the machine or another host. `/proc`, `/sys`, `/run` and `/tmp` are the host's own, `/dev` is the
//! machine's. It is entered by `pivot_root`: in a plain chroot engines cannot unpack images.

use std::fs;
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{chdir, pivot_root};

use crate::engine::CgroupView;
use crate::error::{Error, file};
use crate::spec::HostSpec;

const NONE: Option<&str> = None;

/// Builds the host's `/` in this process's mount namespace, which must be its own, and moves into it.
///
/// # Errors
/// [`Error::File`], [`Error::Kernel`].
pub(crate) fn enter(spec: &HostSpec) -> Result<(), Error> {
    let step = |what| move |source| Error::Kernel { host: spec.name, what, source };
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)
        .map_err(step("make mounts private"))?;

    let stage = spec.dir.root();
    mount(Some("tmpfs"), &stage, Some("tmpfs"), MsFlags::empty(), Some("mode=0700"))
        .map_err(step("mount a tmpfs"))?;
    chdir(&stage).map_err(step("enter the tmpfs"))?;
    for dir in ["upper", "work", "root"] {
        fs::create_dir(dir).map_err(file("make directory", &stage.join(dir)))?;
    }
    let layers = format!("lowerdir={},upperdir=upper,workdir=work", spec.image.display());
    mount(Some("overlay"), "root", Some("overlay"), MsFlags::empty(), Some(layers.as_str()))
        .map_err(step("mount an overlay of the engine's file tree"))?;

    let root = stage.join("root");
    let fresh = |kind: &str, point: &str, data: Option<&str>| {
        mount(Some(kind), &root.join(point), Some(kind), MsFlags::empty(), data)
    };
    let bind = |source: &Path, flags| {
        let target = root.join(source.strip_prefix("/").unwrap_or(source));
        mount(Some(source), &target, NONE, MsFlags::MS_BIND | flags, NONE)
    };
    fresh("proc", "proc", None).map_err(step("mount /proc"))?;
    // A sysfs shows the network namespace of the process that mounts it.
    fresh("sysfs", "sys", None).map_err(step("mount /sys"))?;
    match spec.cgroup_view {
        CgroupView::Machine => bind(Path::new("/sys/fs/cgroup"), MsFlags::MS_REC),
        CgroupView::V2 => fresh("cgroup2", "sys/fs/cgroup", Some("nsdelegate")),
    }
    .map_err(step("mount /sys/fs/cgroup"))?;
    bind(Path::new("/dev"), MsFlags::MS_REC).map_err(step("mount /dev"))?;
    fresh("tmpfs", "run", Some("mode=0755")).map_err(step("mount /run"))?;
    fresh("tmpfs", "tmp", Some("mode=1777")).map_err(step("mount /tmp"))?;

    // 20.10 keeps its identity there, which outlives a power cut as a real host's does.
    let etc = root.join("etc/docker");
    fs::create_dir_all(&etc).map_err(file("make directory", &etc))?;
    mount(Some(&spec.dir.etc()), &etc, NONE, MsFlags::MS_BIND, NONE).map_err(step("mount /etc/docker"))?;

    // The host's directory keeps its path, so that what the engine says of files holds on the machine too.
    let own = root.join(spec.dir.path().strip_prefix("/").unwrap_or(spec.dir.path()));
    fs::create_dir_all(&own).map_err(file("make directory", &own))?;
    bind(spec.dir.path(), MsFlags::empty()).map_err(step("mount its directory"))?;

    chdir(&root).map_err(step("enter its root"))?;
    // The old root lands on top of the new one and is taken off (pivot_root(2), "pivot_root(".", ".")").
    pivot_root(".", ".").map_err(step("make it the root"))?;
    umount2(".", MntFlags::MNT_DETACH).map_err(step("take off the old root"))?;
    chdir("/").map_err(step("enter its root"))
}
