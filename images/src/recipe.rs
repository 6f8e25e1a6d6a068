//! The mmdebstrap command of an image. Pure; `build` runs it.

use std::{ffi::OsString, path::Path};

use crate::{BuildRequest, Package, overlay};

/// Times of files later than this are set to it (`SOURCE_DATE_EPOCH`), so the same packages give the same image. 2024-01-01; not 0,
/// because the day a password was last changed is taken from it, and 0 there means "expired" (shadow(5)).
pub(crate) const SOURCE_DATE_EPOCH: &str = "1704067200";

/// Left out while packages are unpacked, except the licences.
const EXCLUDED: &[&str] = &[
    "/usr/share/doc/*",
    "/usr/share/info/*",
    "/usr/share/lintian/*",
    "/usr/share/locale/*",
    "/usr/share/man/*",
];

/// Files no image may keep: keys made by package scripts, which every user of the image could read, caches and logs.
pub(crate) const CLEANED: &[&str] = &[
    "/etc/ssh/ssh_host_*",
    "/etc/munge/munge.key",
    "/var/log/journal",
    "/var/cache/ldconfig",
    "/var/cache/debconf/*-old",
];

/// Environment of the hooks: the archive of [`overlay::write`].
pub(crate) const OVERLAY_VARIABLE: &str = "SHOAL_OVERLAY";
/// Environment of the hooks: the file that gets what `slurmctld -V` says in the image.
pub(crate) const VERSION_VARIABLE: &str = "SHOAL_VERSION";

/// Shell commands on the finished tree (`$1`). Paths come by environment, so none needs quoting.
const HOOKS: &[&str] = &[
    // No key of the packages' scripts may end up in the image, where everybody could read it.
    r#"rm -f "$1"/etc/ssh/ssh_host_* "$1"/etc/munge/munge.key"#,
    r#"rm -rf "$1"/var/log/journal "$1"/var/cache/ldconfig "$1"/var/cache/debconf/*-old"#,
    r#"tar --extract --file "$SHOAL_OVERLAY" --directory "$1""#,
    r#"chroot "$1" slurmctld -V > "$SHOAL_VERSION""#,
];

/// The packages in `packages.txt`.
pub(crate) fn packages() -> impl Iterator<Item = &'static str> {
    overlay::lines(include_str!("../packages.txt"))
}

/// The packages in `packages.txt`, then those of `with` that are not among them, each once.
pub(crate) fn packages_with(with: &[Package]) -> Vec<&str> {
    let mut names: Vec<&str> = packages().collect();
    for package in with {
        if !names.contains(&package.as_str()) {
            names.push(package.as_str());
        }
    }
    names
}

/// Arguments of mmdebstrap(1) that write the image's only layer to `layer`. No mirror is named: mmdebstrap has a default.
pub(crate) fn arguments(request: &BuildRequest, layer: &Path) -> Vec<OsString> {
    let mut arguments: Vec<OsString> =
        ["--mode=root", "--variant=minbase", "--format=tar"].map(Into::into).into();
    let include = packages_with(&request.with).join(",");
    arguments.push(format!("--include={include}").into());
    arguments.extend(EXCLUDED.iter().map(|path| format!("--dpkgopt=path-exclude={path}").into()));
    arguments.push("--dpkgopt=path-include=/usr/share/doc/*/copyright".into());
    arguments.extend(HOOKS.iter().map(|command| format!("--customize-hook={command}").into()));
    if request.stale {
        arguments.push(r#"--aptopt=Acquire::Check-Valid-Until "false""#.into());
    }
    arguments.extend([request.suite.as_str().into(), layer.into()]);
    arguments
}

/// The version in what `slurmctld -V` prints: `slurm-wlm 22.05.8` -> `22.05.8`.
pub(crate) fn slurm_version(output: &str) -> Option<&str> {
    let version = output.split_whitespace().last()?;
    let plain = version.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'));
    (plain && version.starts_with(|c: char| c.is_ascii_digit())).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Suite;

    fn request(suite: Suite, with: Vec<Package>) -> BuildRequest {
        BuildRequest { tag: suite.default_tag(), suite, with, stale: false, output: "/t/out.tar".into() }
    }

    #[test]
    fn the_command() {
        let arguments = arguments(&request(Suite::Bookworm, vec![]), Path::new("/t/layer.tar"));
        let arguments: Vec<_> = arguments.iter().map(|a| a.to_str().unwrap()).collect();
        insta::assert_snapshot!(arguments.join("\n"));
    }

    #[test]
    fn what_is_added_comes_once() {
        let with: Vec<Package> = ["openmpi-bin", "munge", "openmpi-bin"].map(|p| p.parse().unwrap()).into();
        let names = packages_with(&with);
        assert_eq!(names.iter().filter(|name| **name == "openmpi-bin").count(), 1);
        assert_eq!(names.iter().filter(|name| **name == "munge").count(), 1);
        let stale = BuildRequest { stale: true, ..request(Suite::Forky, with) };
        let arguments = arguments(&stale, Path::new("/t/layer.tar"));
        assert!(arguments.iter().any(|a| a.to_str().is_some_and(|a| a.contains("Check-Valid-Until"))));
        let include =
            arguments.iter().find(|a| a.to_str().is_some_and(|a| a.starts_with("--include="))).unwrap();
        assert!(include.to_str().unwrap().ends_with(",openmpi-bin"), "{include:?}");
    }

    #[test]
    fn hooks_read_the_variables_set() {
        let hooks = HOOKS.concat();
        assert!(
            hooks.contains(&format!("\"${OVERLAY_VARIABLE}\""))
                && hooks.contains(&format!("\"${VERSION_VARIABLE}\""))
        );
    }

    #[test]
    fn versions() {
        assert_eq!(slurm_version("slurm-wlm 22.05.8\n"), Some("22.05.8"));
        assert_eq!(slurm_version("slurm 24.11.5-rc1"), Some("24.11.5-rc1"));
        for bad in ["", "slurmctld: error: no such file", "slurm -V\u{1b}"] {
            assert_eq!(slurm_version(bad), None, "{bad}");
        }
    }
}
