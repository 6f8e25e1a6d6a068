//! What is laid over Debian's packages: a few files, the units that never run, the target nodes boot to.

use std::io;

use tar::{Builder, EntryType, Header};

/// Path in the image -> text; the files lie in `overlay/` beside the sources.
const FILES: &[(&str, &str)] = &[
    ("etc/default/locale", include_str!("../overlay/etc/default/locale")),
    (
        "etc/systemd/journald.conf.d/shoal.conf",
        include_str!("../overlay/etc/systemd/journald.conf.d/shoal.conf"),
    ),
    // Both are Docker's in a running node; what the build machine has there is nobody's business.
    ("etc/hostname", ""),
    ("etc/resolv.conf", ""),
    // Empty, not absent: each node makes its own at its first boot without the ceremony of a first boot (machine-id(5)).
    ("etc/machine-id", ""),
];

/// Path in the image -> target of a symbolic link there.
const LINKS: &[(&str, &str)] = &[
    ("etc/systemd/system/default.target", "/lib/systemd/system/multi-user.target"),
    // The bus starts when somebody asks for it.
    ("etc/systemd/system/multi-user.target.wants/dbus.service", "/dev/null"),
    // So does logind: libpam-systemd is not installed, so no login asks it for anything, but `reboot` and its kin do.
    ("etc/systemd/system/multi-user.target.wants/systemd-logind.service", "/dev/null"),
    // Would close the node to logins until systemd-user-sessions opens it, which is masked.
    ("etc/tmpfiles.d/systemd-nologin.conf", "/dev/null"),
];

/// The units and generators in `masked.txt`, each with the directory in which a link to /dev/null hides it.
fn masked() -> impl Iterator<Item = (&'static str, &'static str)> {
    lines(include_str!("../masked.txt")).map(|name| match name.ends_with("-generator") {
        true => ("etc/systemd/system-generators", name),
        false => ("etc/systemd/system", name),
    })
}

/// The lines of a list that are not empty and no comment.
pub(crate) fn lines(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The overlay as a tar archive to be extracted at `/` of the image: everything root's, directories come with what is in them.
///
/// # Errors
/// Writing to `out` failed.
pub(crate) fn write(out: impl io::Write) -> io::Result<()> {
    let mut tar = Builder::new(out);
    for (path, text) in FILES {
        let mut header = header(EntryType::Regular, 0o644);
        header.set_size(text.len() as u64);
        tar.append_data(&mut header, path, text.as_bytes())?;
    }
    let masks = masked().map(|(directory, name)| (format!("{directory}/{name}"), "/dev/null"));
    let links = LINKS.iter().map(|(path, target)| ((*path).to_owned(), *target));
    for (path, target) in links.chain(masks) {
        tar.append_link(&mut header(EntryType::Symlink, 0o777), path, target)?;
    }
    tar.finish()
}

fn header(kind: EntryType, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    header
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn what_is_laid_over() {
        let mut archive = Vec::new();
        write(&mut archive).unwrap();
        let mut listing = String::new();
        for entry in tar::Archive::new(&archive[..]).entries().unwrap() {
            let entry = entry.unwrap();
            let (path, target) = (entry.path().unwrap(), entry.link_name().unwrap());
            let target = target.map(|target| format!(" -> {}", target.display())).unwrap_or_default();
            listing += &format!("{:04o} {}{target}\n", entry.header().mode().unwrap(), path.display());
        }
        insta::assert_snapshot!(listing);
    }

    #[test]
    fn masked_names_are_of_known_kinds_and_once() {
        let names: Vec<_> = masked().map(|(_, name)| name).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        for name in names {
            let kind = name.rsplit(['.', '-']).next();
            let known = ["service", "timer", "target", "mount", "automount", "path", "generator"];
            assert!(kind.is_some_and(|kind| known.contains(&kind)), "{name}");
        }
    }
}
