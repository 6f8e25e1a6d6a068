//! Fixed vectors: stored clusters depend on them, so a change here is a change of format and needs a new salt.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use ssh_key::{Certificate, HashAlg};

use super::*;
use crate::{known_hosts, view::tests::view};

const SEED: [u8; 32] = *b"thirty-two bytes of no randomnes";

fn keys() -> ClusterKeys {
    ClusterKeys::derive(&SEED)
}

fn node(name: &str) -> NodeName {
    name.parse().unwrap()
}

#[test]
fn vectors() {
    let keys = keys();
    let vectors = [
        hex::encode(keys.munge_key().as_slice()),
        hex::encode(keys.token_key().as_slice()),
        keys.ssh_host_key(&node("worker-0")).unwrap().public,
        keys.cluster_ssh_key().unwrap().public,
        keys.ssh_host_authority().unwrap(),
    ];
    insta::assert_snapshot!(vectors.join("\n"));
}

#[test]
fn construction_is_the_documented_one() {
    // RFC 5869 by hand: extract with the salt, expand with the label.
    let (prk, hkdf) = Hkdf::<Sha256>::extract(Some(b"shoal cluster keys v1"), &SEED);
    assert_eq!(prk.len(), 32);
    let mut seed = [0; 32];
    hkdf.expand(b"ssh-host/worker-0", &mut seed).unwrap();
    let key = PrivateKey::from(Ed25519Keypair::from_seed(&seed));
    let pem = keys().ssh_host_key(&node("worker-0")).unwrap().private_pem;
    assert_eq!(PrivateKey::from_openssh(pem.as_bytes()).unwrap().key_data(), key.key_data());
}

#[test]
fn everything_differs() {
    let (one, other) = (keys(), ClusterKeys::derive(&[1; 32]));
    let all = |keys: &ClusterKeys| {
        let hosts = ["worker-0", "worker-1", "cluster", "controller"];
        let mut keys_of: Vec<_> = hosts.iter().map(|n| keys.ssh_host_key(&node(n)).unwrap().public).collect();
        keys_of.push(keys.cluster_ssh_key().unwrap().public);
        keys_of.push(keys.ssh_host_authority().unwrap());
        // Without the comment: the key itself must differ.
        keys_of.into_iter().map(|line| line.split(' ').nth(1).unwrap().to_owned()).collect::<Vec<_>>()
    };
    let unique: std::collections::BTreeSet<_> = all(&one).into_iter().chain(all(&other)).collect();
    assert_eq!(unique.len(), 12);
    assert_ne!(one.munge_key(), other.munge_key());
    assert_ne!(one.token_key(), other.token_key());
    assert_ne!(one.token_key().as_slice(), &one.munge_key()[..32]);
}

#[test]
fn the_certificate_names_the_node_and_nothing_else() {
    let (view, keys) = (view(2), keys());
    let worker = view.node(&node("worker-1")).unwrap();
    let line = keys.ssh_host_certificate(&view, worker).unwrap();
    assert_eq!(line, keys.ssh_host_certificate(&view, worker).unwrap());
    let certificate = Certificate::from_openssh(&line).unwrap();
    assert_eq!(certificate.cert_type(), CertType::Host);
    assert_eq!(
        certificate.valid_principals(),
        ["worker-1", "worker-1.dev", "worker-1.dev.default.shoal.internal", "10.96.0.5"]
    );
    let authority = PublicKey::from_openssh(&keys.ssh_host_authority().unwrap()).unwrap();
    let fingerprint = authority.fingerprint(HashAlg::Sha256);
    certificate.validate_at(4_000_000_000, &[fingerprint]).unwrap();
    let host = PublicKey::from_openssh(&keys.ssh_host_key(&worker.name).unwrap().public).unwrap();
    assert_eq!(certificate.public_key(), host.key_data());
    let stranger = PublicKey::from_openssh(&keys.cluster_ssh_key().unwrap().public).unwrap();
    assert!(certificate.validate_at(4_000_000_000, &[stranger.fingerprint(HashAlg::Sha256)]).is_err());
}

#[test]
fn known_hosts_has_every_name_once() {
    let (view, keys) = (view(1), keys());
    insta::assert_snapshot!(known_hosts(&view, &keys).unwrap());
}

/// OpenSSH's own reading of the files.
#[test]
fn openssh_agrees() {
    let dir = tempfile::tempdir().unwrap();
    let keygen = |arguments: &[&str], file: &str, content: &str| {
        let path = dir.path().join(file);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let output = Command::new("ssh-keygen").args(arguments).arg("-f").arg(&path).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let (view, keys) = (view(1), keys());
    let pair = keys.ssh_host_key(&node("worker-0")).unwrap();
    assert_eq!(keygen(&["-y"], "key", &pair.private_pem).trim(), pair.public);
    let line = keys.ssh_host_certificate(&view, view.node(&node("worker-0")).unwrap()).unwrap();
    let shown = keygen(&["-L"], "key-cert.pub", &line);
    assert!(
        shown.contains("host certificate") && shown.contains("worker-0.dev.default.shoal.internal"),
        "{shown}"
    );
    let hosts = known_hosts(&view, &keys).unwrap();
    let found = keygen(&["-F", "10.96.0.2"], "known_hosts", &hosts);
    assert!(found.contains(&keys.ssh_host_key(&node("controller")).unwrap().public), "{found}");
}
