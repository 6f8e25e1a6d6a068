//! The archive as a node would see it: paths, modes, owners and what must not be in it.

use std::{collections::BTreeMap, io::Read};

use super::*;
use crate::view::tests::{view, with_api};

const ACCOUNTS: Accounts =
    Accounts { munge: Owner { uid: 102, gid: 104 }, slurm: Owner { uid: 64030, gid: 64030 } };

fn template(workers: u32) -> BootstrapTemplate {
    BootstrapTemplate::new(view(workers), ClusterKeys::derive(&[7; 32]), ACCOUNTS).unwrap()
}

fn archive(template: &BootstrapTemplate, node: &str) -> Vec<u8> {
    template.archive(&node.parse().unwrap()).unwrap()
}

/// `drwxr-xr-x`-like lines in the order of the archive, and the contents by path.
fn read(archive: &[u8]) -> (String, BTreeMap<String, Vec<u8>>) {
    let (mut listing, mut contents) = (String::new(), BTreeMap::new());
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        let header = entry.header();
        let (mode, uid, gid) = (header.mode().unwrap(), header.uid().unwrap(), header.gid().unwrap());
        assert_eq!(header.mtime().unwrap(), 0, "{path}");
        let kind = [
            ("d", tar::EntryType::Directory),
            ("l", tar::EntryType::Symlink),
            ("-", tar::EntryType::Regular),
        ];
        let kind = kind.iter().find(|(_, kind)| *kind == header.entry_type()).unwrap().0;
        let target = entry.link_name().unwrap().map(|t| format!(" -> {}", t.display())).unwrap_or_default();
        listing += &format!("{kind} {mode:04o} {uid}:{gid} {path}{target}\n");
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        assert!(contents.insert(path.clone(), content).is_none(), "{path} twice");
    }
    (listing, contents)
}

#[test]
fn what_each_role_gets() {
    let template = template(2);
    for node in ["controller", "submitter", "worker-1"] {
        insta::assert_snapshot!(node, read(&archive(&template, node)).0);
    }
}

#[test]
fn an_api_comes_with_a_key_that_the_controller_alone_has() {
    let template = BootstrapTemplate::new(with_api(1), ClusterKeys::derive(&[7; 32]), ACCOUNTS).unwrap();
    insta::assert_snapshot!("api", read(&archive(&template, "api")).0);
    let line = "- 0400 64030:64030 etc/slurm/jwt_hs256.key";
    for (node, has) in [("controller", true), ("api", false), ("submitter", false), ("worker-0", false)] {
        let listing = read(&archive(&template, node)).0;
        assert_eq!(listing.lines().any(|l| l == line), has, "{listing}");
        assert!(!read(&archive(&self::template(1), "controller")).0.contains("jwt"));
    }
}

#[test]
fn contents_without_secrets() {
    let (_, files) = read(&archive(&template(2), "worker-1"));
    let text = |path: &str| String::from_utf8(files[path].clone()).unwrap();
    insta::assert_snapshot!(
        "units",
        [
            "etc/shoal/resolv.conf",
            "etc/shoal/hosts",
            "etc/shoal/slurmd.env",
            "etc/systemd/system.conf.d/shoal.conf",
            "etc/systemd/system/slurmd.service.d/shoal.conf"
        ]
        .map(|path| format!("## {path}\n{}", text(path)))
        .concat()
    );
    let trust = text("etc/ssh/ssh_known_hosts");
    assert!(trust.starts_with("@cert-authority * ssh-ed25519 ") && trust.lines().count() == 1, "{trust}");
}

#[test]
fn every_parent_is_in_the_image_or_comes_first() {
    // What Debian's packages of the node image bring.
    let image = [
        "etc/munge",
        "etc/ssh",
        "etc/ssh/sshd_config.d",
        "etc/systemd",
        "etc/systemd/system",
        "etc",
        "root",
        "usr/lib/systemd",
    ]
    .map(str::to_owned);
    for node in ["controller", "submitter", "worker-0"] {
        let mut known: std::collections::BTreeSet<_> = image.iter().cloned().collect();
        for line in read(&archive(&template(1), node)).0.lines() {
            let path = line.split(' ').nth(3).unwrap().trim_end_matches('/');
            let parent = path.rsplit_once('/').unwrap().0;
            assert!(known.contains(parent), "{path}");
            known.insert(path.to_owned());
        }
    }
}

#[test]
fn nothing_where_docker_would_hide_or_lose_it() {
    for node in ["controller", "submitter", "worker-0"] {
        for path in read(&archive(&template(1), node)).1.keys() {
            for hidden in ["run/", "tmp/", "etc/hosts", "etc/hostname", "etc/resolv.conf"] {
                assert!(!path.starts_with(hidden), "{path}");
            }
        }
    }
}

#[test]
fn the_same_bytes_again_and_its_own_host_key_only() {
    let template = template(3);
    let first = archive(&template, "worker-0");
    assert_eq!(first, archive(&self::template(3), "worker-0"));
    let text = String::from_utf8_lossy(&first).into_owned();
    let private = |node: &str| template.keys.ssh_host_key(&node.parse().unwrap()).unwrap().private_pem;
    assert!(text.contains(private("worker-0").as_str()) && !text.contains(private("worker-1").as_str()));
}

#[test]
fn size_does_not_grow_with_the_cluster() {
    let (small, large) = (archive(&template(2), "worker-0"), archive(&template(3000), "worker-0"));
    assert_eq!(small.len(), large.len());
    assert!(large.len() < 32 << 10, "{} bytes", large.len());
}

#[test]
fn a_node_that_is_not_there() {
    let error = template(1).archive(&"worker-9".parse().unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "cluster dev has no node worker-9");
}

#[test]
fn debug_shows_no_secret() {
    let text = format!("{:?} {:?}", template(1), ClusterKeys::derive(&[7; 32]));
    assert_eq!(text, "BootstrapTemplate { cluster: \"dev\", .. } ClusterKeys(..)");
}

#[test]
fn users_keys_stand_beside_the_clusters() {
    let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC9GBAegsGjkqJORwtyWQ1aAJ+IS1ablwZ7IbfqZVWzy me@desk";
    let with = view(1).with_ssh_keys(vec![line.parse().unwrap()]);
    let template = BootstrapTemplate::new(with, ClusterKeys::derive(&[7; 32]), ACCOUNTS).unwrap();
    for node in ["controller", "worker-0"] {
        let (_, files) = read(&archive(&template, node));
        let authorized = String::from_utf8(files["etc/ssh/authorized_keys"].clone()).unwrap();
        let own = String::from_utf8(files["root/.ssh/id_ed25519.pub"].clone()).unwrap();
        assert_eq!(authorized, format!("{own}{line}\n"), "{node}");
    }
}

#[test]
fn files_and_directories_of_the_user_come_along() {
    use shoal_types::SlurmSpec;

    let main = "StateSaveLocation=/data/state\nSlurmdSpoolDir=/var/spool/slurm/%n/d\nSlurmctldLogFile=/var/log/own/deep/x.log\nJobCredentialPrivateKey=/etc/slurm/keys/job";
    let files = [
        ("prolog.d/a", "#!/bin/sh\n"),
        ("job_submit.lua", "return 0"),
        ("keys/job", "secret"),
        ("cgroup.conf", "X=1\n"),
        ("gres.conf", "Name=gpu File=/dev/nvidia[0-1]\n"),
    ];
    let slurm = SlurmSpec {
        main: [("main".to_owned(), main.to_owned())].into(),
        files: files.map(|(name, text)| (name.to_owned(), text.to_owned())).into(),
        ..SlurmSpec::default()
    };
    let view = crate::view::tests::sized(1, slurm);
    let template = BootstrapTemplate::new(view, ClusterKeys::derive(&[7; 32]), ACCOUNTS).unwrap();
    for node in ["controller", "worker-0"] {
        let (listing, contents) = read(&archive(&template, node));
        for line in [
            "- 0755 0:0 etc/slurm/prolog.d/a",
            "- 0644 0:0 etc/slurm/job_submit.lua",
            "d 0755 64030:64030 data/state",
            "d 0755 64030:64030 var/spool/slurm",
            "d 0755 0:0 data",
            "d 0755 0:0 var/log/own",
            "d 0755 64030:64030 var/log/own/deep",
        ] {
            assert!(listing.lines().any(|l| l == line), "no `{line}` in {node}:\n{listing}");
        }
        assert!(!listing.lines().any(|l| l.ends_with(" var") || l.contains('%')), "{listing}");
        let key = listing.lines().find(|line| line.ends_with("etc/slurm/keys/job"));
        let own = "- 0600 64030:64030 etc/slurm/keys/job";
        assert_eq!(key, (node == "controller").then_some(own), "{node}: a secret is slurmctld's alone");
        assert_eq!(contents["etc/slurm/cgroup.conf"], b"X=1\n");
        assert_eq!(listing.contains("shoal-bootstrap.service.d"), node == "worker-0", "{listing}");
    }
    let (_, contents) = read(&archive(&template, "worker-0"));
    assert_eq!(contents["etc/shoal/devices"], b"/dev/nvidia0\n/dev/nvidia1\n");
}
