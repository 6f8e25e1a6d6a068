//! Archives as engines of both kinds write them, and as somebody would who wants more to be loaded.

use std::{collections::BTreeMap, io::Read as _};

use serde_json::json;

use super::*;

const ID: &str = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn hex() -> &'static str {
    ID.trim_start_matches("sha256:")
}

/// A tar of these files.
fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, *content).unwrap();
    }
    tar.into_inner().unwrap()
}

fn manifest(configs: &[String]) -> Vec<u8> {
    let one = |config| json!({ "Config": config, "RepoTags": ["postgres:16"], "Layers": ["l/layer.tar"] });
    serde_json::to_vec(&configs.iter().map(one).collect::<Value>()).unwrap()
}

/// What comes through, given in pieces of this size.
fn passed(archive: &[u8], piece: usize, limit: u64) -> Result<Vec<u8>, NotOneImage> {
    let mut one = OneImage::new(ID, limit);
    let mut through = Vec::new();
    for piece in archive.chunks(piece) {
        for part in one.pass(Bytes::copy_from_slice(piece))? {
            through.extend_from_slice(&part);
        }
    }
    through.extend_from_slice(&one.end()?);
    Ok(through)
}

fn contents(tar: &[u8]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in tar::Archive::new(tar).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        assert!(found.insert(path.clone(), text).is_none(), "{path} twice");
    }
    found
}

fn graph_driver(configs: &[String]) -> Vec<u8> {
    let layer = [b'x'; 1500];
    let config = format!("{}.json", hex());
    tar_of(&[
        (&config, b"{}"),
        ("l/layer.tar", &layer),
        ("repositories", br#"{"postgres":{"16":"l"}}"#),
        ("manifest.json", &manifest(configs)),
    ])
}

#[test]
fn one_image_comes_through_without_names_however_it_is_cut() {
    let archive = graph_driver(&[format!("{}.json", hex())]);
    for piece in [1, 7, 511, 512, 513, 4096, archive.len()] {
        let found = contents(&passed(&archive, piece, 1 << 20).unwrap());
        let names: Vec<_> = found.keys().map(String::as_str).collect();
        assert_eq!(names, [&format!("{}.json", hex()), "l/layer.tar", "manifest.json"], "{piece}");
        assert_eq!(found["l/layer.tar"], "x".repeat(1500));
        let manifest: Value = serde_json::from_str(&found["manifest.json"]).unwrap();
        let config = format!("{}.json", hex());
        assert_eq!(manifest, json!([{ "Config": config, "RepoTags": null, "Layers": ["l/layer.tar"] }]));
    }
}

#[test]
fn an_image_of_containerds_store_keeps_its_index_and_loses_its_names() {
    let index = json!({
        "schemaVersion": 2,
        "annotations": { "io.containerd.image.name": "docker.io/library/postgres:16" },
        "manifests": [{ "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": ID, "size": 7,
            "annotations": { "org.opencontainers.image.ref.name": "16" } }],
    });
    let archive = tar_of(&[
        ("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#),
        ("blobs/sha256/aa", b"{}"),
        ("index.json", &serde_json::to_vec(&index).unwrap()),
        ("./manifest.json", &manifest(&["blobs/sha256/aa".to_owned()])),
    ]);
    let found = contents(&passed(&archive, 100, 1 << 20).unwrap());
    assert_eq!(found.len(), 4);
    for file in ["index.json", "manifest.json"] {
        assert!(!found[file].contains("postgres") && !found[file].contains("annotations"), "{}", found[file]);
    }
    assert!(found["index.json"].contains(ID));
}

#[test]
fn other_images_beside_it_or_in_its_place_are_refused() {
    let own = format!("{}.json", hex());
    for configs in [vec![own.clone(), "ff.json".into()], vec!["ff.json".into()], vec![]] {
        let error = passed(&graph_driver(&configs), 4096, 1 << 20).unwrap_err();
        let NotOneImage::Others { id, found } = error else { panic!("{error}") };
        assert_eq!(id, ID);
        assert!(found.starts_with(&format!("{} images", configs.len())), "{found}");
    }
}

#[test]
fn what_would_get_by_is_refused() {
    let config = format!("{}.json", hex());
    let good = manifest(std::slice::from_ref(&config));
    let refused = |archive: &[u8], word: &str| {
        let error = passed(archive, 1000, 1 << 20).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    };
    refused(&tar_of(&[(&config, b"{}"), ("manifest.json", &good), ("./manifest.json", &good)]), "twice");
    refused(&tar_of(&[(&config, b"{}")]), "no manifest.json");
    refused(b"no tar at all, but long enough to be a header".repeat(30).as_slice(), "cannot be read");
    let whole = graph_driver(std::slice::from_ref(&config));
    refused(&whole[..1300], "ends in an entry");
    let mut damaged = whole.clone();
    damaged[3] ^= 1;
    refused(&damaged, "checksum");

    // Names that an extended header gives, links in the place of files, devices.
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_pax_extensions([("path", b"manifest.json".as_slice())]).unwrap();
    refused(&tar.into_inner().unwrap(), "sets path");
    for (kind, path) in
        [(EntryType::Symlink, "manifest.json"), (EntryType::Char, "x"), (EntryType::GNULongName, "x")]
    {
        let mut header = Header::new_ustar();
        header.set_path(path).unwrap();
        header.set_entry_type(kind);
        header.set_size(0);
        header.set_cksum();
        refused(header.as_bytes(), "is of kind");
    }
    // Dates and the like are no reason, and do not go on.
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_pax_extensions([("mtime", b"1.5".as_slice())]).unwrap();
    let mut dated = tar.into_inner().unwrap();
    dated.truncate(2 * BLOCK);
    dated.extend(whole);
    assert_eq!(contents(&passed(&dated, 1000, 1 << 20).unwrap()).len(), 3);
}

#[test]
fn an_archive_without_end_is_cut_off() {
    let whole = graph_driver(&[format!("{}.json", hex())]);
    let limit = whole.len() as u64;
    assert!(passed(&whole, 4096, limit).is_ok());
    assert_eq!(passed(&whole, 4096, limit - 1), Err(NotOneImage::TooLarge { limit: limit - 1 }));
    // Nor does it matter how it is told to be an entry of its own.
    let mut one = OneImage::new(ID, 1 << 20);
    let mut header = Header::new_ustar();
    header.set_path("x").unwrap();
    header.set_size(1 << 40);
    header.set_cksum();
    assert_eq!(one.pass(Bytes::copy_from_slice(header.as_bytes())).unwrap().len(), 1);
    let endless = Bytes::from(vec![0; 1 << 16]);
    let cut = (0..32).find_map(|_| one.pass(endless.clone()).err());
    assert_eq!(cut, Some(NotOneImage::TooLarge { limit: 1 << 20 }));
}
