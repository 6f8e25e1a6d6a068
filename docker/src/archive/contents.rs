//! What an archive of `docker save` holds: references, and the digest of each one's image, computed of the bytes.
//!
//! ```text
//! manifest.json: [{ "Config": "0a...json", "RepoTags": ["shoal-node:bookworm"], ... }]
//! 0a...json      the configuration, whose SHA-256 is the image's id on engines with a graph driver
//! ```
//! An entry that comes twice counts as it comes last: an engine unpacks the archive before it reads it.

use std::{
    collections::BTreeMap,
    io::{self, Read, Seek},
};

use sha2::{Digest as _, Sha256};
use shoal_types::ImageRef;

use super::{LONGEST_TEXT, ManifestEntry};

/// Reference -> `sha256:...` of its image. `None` if it is no plain archive of Docker's: compressed, of another layout, or broken,
/// which is for engines to say.
///
/// # Errors
/// The file cannot be read.
pub fn contents(file: &mut (impl Read + Seek)) -> io::Result<Option<BTreeMap<String, String>>> {
    let Some(found) = documents(file, |path| path == "manifest.json")? else { return Ok(None) };
    let manifest = found.get("manifest.json").map(|text| serde_json::from_slice::<Vec<ManifestEntry>>(text));
    let Some(Ok(manifest)) = manifest else { return Ok(None) };
    let wanted = |path: &str| manifest.iter().any(|entry| entry.config == path);
    let Some(configs) = documents(file, wanted)? else { return Ok(None) };
    let mut contents = BTreeMap::new();
    for ManifestEntry { config, repo_tags, layers: _ } in &manifest {
        let Some(text) = configs.get(config) else { return Ok(None) };
        let id = format!("sha256:{}", hex::encode(Sha256::digest(text)));
        for reference in repo_tags.iter().flatten() {
            contents.insert(ImageRef::listed(reference), id.clone());
        }
    }
    Ok(Some(contents))
}

/// The short files of a tar archive that are wanted, by path; `None` if it is none.
fn documents(
    file: &mut (impl Read + Seek),
    wanted: impl Fn(&str) -> bool,
) -> io::Result<Option<BTreeMap<String, Vec<u8>>>> {
    file.rewind()?;
    let mut archive = tar::Archive::new(file);
    let mut found = BTreeMap::new();
    for entry in archive.entries_with_seek()? {
        let Ok(entry) = entry else { return Ok(None) };
        let Ok(path) = entry.path().map(|path| path.to_string_lossy().into_owned()) else { return Ok(None) };
        let path = path.strip_prefix("./").unwrap_or(&path);
        if !wanted(path) {
            continue;
        }
        if entry.size() > LONGEST_TEXT || !entry.header().entry_type().is_file() {
            return Ok(None);
        }
        let (path, mut text) = (path.to_owned(), Vec::new());
        if entry.take(LONGEST_TEXT).read_to_end(&mut text).is_err() {
            return Ok(None);
        }
        found.insert(path, text);
    }
    Ok(Some(found))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn archive(files: &[(&str, &str)]) -> Cursor<Vec<u8>> {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, text) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, path, text.as_bytes()).unwrap();
        }
        Cursor::new(tar.into_inner().unwrap())
    }

    fn of(files: &[(&str, &str)]) -> Option<Vec<(String, String)>> {
        Some(contents(&mut archive(files)).unwrap()?.into_iter().collect())
    }

    // printf config | sha256sum
    const ID: &str = "sha256:b79606fb3afea5bd1609ed40b622142f1c98125abcfe89a76a661b0e8e343910";
    const MANIFEST: &str =
        r#"[{"Config":"c.json","RepoTags":["n:1","docker.io/library/m"],"Layers":["l.tar"]}]"#;

    #[test]
    fn digests_are_computed_and_not_believed() {
        let both = Some(vec![("m:latest".to_owned(), ID.to_owned()), ("n:1".to_owned(), ID.to_owned())]);
        assert_eq!(of(&[("l.tar", "x"), ("c.json", "config"), ("manifest.json", MANIFEST)]), both);
        assert_eq!(of(&[("./manifest.json", MANIFEST), ("c.json", "config")]), both);
        // The last one counts.
        let earlier = r#"[{"Config":"c.json","RepoTags":["other:1"],"Layers":[]}]"#;
        let files =
            [("manifest.json", earlier), ("c.json", "x"), ("c.json", "config"), ("manifest.json", MANIFEST)];
        assert_eq!(of(&files), both);
        let untagged = r#"[{"Config":"c.json","RepoTags":null,"Layers":[]}]"#;
        assert_eq!(of(&[("manifest.json", untagged), ("c.json", "config")]), Some(vec![]));
    }

    #[test]
    fn what_is_no_plain_archive_says_nothing() {
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[("index.json", "{}")]), None);
        assert_eq!(of(&[("manifest.json", "{")]), None);
        assert_eq!(of(&[("manifest.json", MANIFEST)]), None, "the configuration is missing");
        assert_eq!(contents(&mut Cursor::new(b"\x1f\x8b\x08 no tar".repeat(100))).unwrap(), None);
        let long = "x".repeat(usize::try_from(LONGEST_TEXT).unwrap() + 1);
        assert_eq!(of(&[("manifest.json", MANIFEST), ("c.json", &long)]), None);
    }
}
