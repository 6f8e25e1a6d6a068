//! Archives are read back with a reader that knows nothing of their writer.

use std::{collections::BTreeMap, io::Read as _};

use bytes::Bytes;
use futures_util::TryStreamExt as _;

use super::*;

fn hello() -> ImageArchive {
    let file = |path: &str, mode, content| ImageFile { path: path.into(), mode, content };
    ImageArchive {
        reference: "shoal-test:1".into(),
        architecture: "amd64".into(),
        entrypoint: vec!["/hello".into()],
        cmd: vec![],
        env: [("A".to_owned(), "1".to_owned())].into(),
        labels: [("shoal.test".to_owned(), "yes".to_owned())].into(),
        stop_signal: Some("SIGRTMIN+3".into()),
        layer: Layer::Files(vec![
            file("run", 0o755, FileContent::Directory),
            file("tmp", 0o1777, FileContent::Directory),
            file("hello", 0o755, FileContent::Bytes(Bytes::from_static(b"hello, world"))),
        ]),
    }
}

fn entries(tar: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(tar);
    let read = |entry: io::Result<tar::Entry<'_, &[u8]>>| {
        let mut entry = entry.unwrap();
        assert_eq!((entry.header().mtime().unwrap(), entry.header().uid().unwrap()), (0, 0));
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (entry.path().unwrap().display().to_string(), bytes)
    };
    archive.entries().unwrap().map(read).collect()
}

fn written(image: &PackedImage) -> Vec<u8> {
    let mut out = Vec::new();
    image.write_to(&mut out).unwrap();
    out
}

#[test]
fn the_manifest_leads_to_configuration_and_layer() {
    let image = hello().pack().unwrap();
    let outer = entries(&written(&image));
    let manifest: serde_json::Value = serde_json::from_slice(&outer["manifest.json"]).unwrap();
    assert_eq!(manifest[0]["RepoTags"][0], "shoal-test:1");

    let config = &outer[manifest[0]["Config"].as_str().unwrap()];
    assert_eq!(image.id(), format!("sha256:{}", hex::encode(Sha256::digest(config))));
    let config: serde_json::Value = serde_json::from_slice(config).unwrap();
    assert_eq!(config["config"]["Entrypoint"][0], "/hello");
    assert_eq!(config["config"]["Env"][0], "A=1");
    assert_eq!(config["config"]["Labels"]["shoal.test"], "yes");
    assert_eq!(config["config"]["StopSignal"], "SIGRTMIN+3");

    let layer = &outer[manifest[0]["Layers"][0].as_str().unwrap()];
    assert_eq!(config["rootfs"]["diff_ids"][0], format!("sha256:{}", hex::encode(Sha256::digest(layer))));
    let files = entries(layer);
    assert_eq!(files["hello"], b"hello, world");
    assert_eq!(files.keys().collect::<Vec<_>>(), ["hello", "run/", "tmp/"]);
}

#[test]
fn the_same_content_has_the_same_bytes_and_other_content_another_id() {
    let (one, two) = (hello().pack().unwrap(), hello().pack().unwrap());
    assert_eq!(written(&one), written(&two));
    let other = ImageArchive { labels: BTreeMap::new(), ..hello() }.pack().unwrap();
    assert_ne!(one.id(), other.id());
}

#[test]
fn a_root_file_system_is_taken_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("root.tar");
    let mut rootfs = Vec::new();
    Layer::Files(vec![]).write(&mut rootfs).unwrap();
    std::fs::write(&path, &rootfs).unwrap();
    let image = ImageArchive { layer: Layer::Tar(path.clone()), ..hello() }.pack().unwrap();
    assert_eq!(entries(&written(&image))[&format!("{}/layer.tar", image.diff_id)], rootfs);

    rootfs[0] = b'x';
    std::fs::write(&path, &rootfs).unwrap();
    assert!(matches!(image.write_to(io::sink()), Err(ArchiveError::Changed)));
    std::fs::write(&path, b"short").unwrap();
    assert!(matches!(image.write_to(io::sink()), Err(ArchiveError::Changed)));
}

#[test]
fn a_compressed_layer_is_refused_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("root.tar.gz");
    std::fs::write(&path, [0x1f, 0x8b, 8, 0]).unwrap();
    let error = ImageArchive { layer: Layer::Tar(path.clone()), ..hello() }.pack().unwrap_err();
    assert_eq!(error.to_string(), format!("{} is compressed with gzip: unpack it first", path.display()));
    let missing = ImageArchive { layer: Layer::Tar("/nowhere/x.tar".into()), ..hello() }.pack().unwrap_err();
    assert_eq!(missing.to_string(), "cannot pack /nowhere/x.tar");
}

#[tokio::test]
async fn the_stream_is_the_archive() {
    let big = ImageFile {
        path: "big".into(),
        mode: 0o644,
        content: FileContent::Bytes(Bytes::from(vec![7; 3_000_001])),
    };
    let image = ImageArchive { layer: Layer::Files(vec![big]), ..hello() }.pack().unwrap();
    let expected = written(&image);
    let chunks: Vec<Bytes> = image.stream().try_collect().await.unwrap();
    assert!(chunks.len() > 10 && chunks.concat() == expected);
}

#[tokio::test]
async fn a_fault_ends_the_stream_with_its_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("root.tar");
    std::fs::write(&path, vec![0; 4096]).unwrap();
    let image = ImageArchive { layer: Layer::Tar(path.clone()), ..hello() }.pack().unwrap();
    std::fs::remove_file(&path).unwrap();
    let error = image.stream().try_collect::<Vec<_>>().await.unwrap_err();
    assert!(error.to_string().contains("root.tar"), "{error}");
}
