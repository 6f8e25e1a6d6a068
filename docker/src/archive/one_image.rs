//! Lets one image of a docker-archive through, and nothing else that whoever wrote the archive put beside it.
//!
//! ```text
//! entries ----------------------------> as they are
//! manifest.json, index.json ----------> held back, read, written anew: this image, no names
//! repositories -----------------------> dropped
//! ```
//! An engine that loads an archive gives every name in it to what comes with the name, whatever had it before. So an archive
//! from one host must not decide what names mean on another. What the image itself consists of is checked by the engine that
//! loads it: its id is the digest of its configuration, which has the digests of its layers.

use std::{
    io::Write as _,
    path::{Component, Path},
};

use bytes::{Bytes, BytesMut};
use serde_json::Value;
use tar::{EntryType, Header};

use super::{LONGEST_TEXT, ManifestEntry, entry};

/// A tar's unit (POSIX.1-2017 pax, "ustar Interchange Format").
const BLOCK: usize = 512;

/// Why an archive is not let through.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotOneImage {
    /// It goes on beyond what the image can be.
    #[error("the archive is larger than {limit} bytes, and the image is not")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// It is no archive of the kind.
    #[error("the archive cannot be read: {0}")]
    Malformed(String),
    /// It has other images beside the one, or instead.
    #[error("the archive holds {found} instead of image {id} alone")]
    Others {
        /// The image asked for.
        id: String,
        /// What there is, as its manifest has it.
        found: String,
    },
}

/// The archive on its way through.
#[derive(Debug)]
pub struct OneImage {
    id: String,
    limit: u64,
    taken: u64,
    state: State,
    manifest: Option<Vec<u8>>,
    index: Option<Vec<u8>>,
}

#[derive(Debug)]
enum State {
    /// Between entries: what there is of the next header.
    Header(BytesMut),
    /// In an entry: bytes left with their padding, and what becomes of them.
    Content { left: u64, fate: Fate },
    /// Behind the last entry.
    End,
}

#[derive(Debug)]
enum Fate {
    Through,
    /// Text of this many bytes, and what there is of it.
    Held(Held, usize, Vec<u8>),
    Dropped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    Manifest,
    Index,
    /// What a header further on says of the next entry.
    Extension,
}

impl OneImage {
    /// Only the image with this id may come, in at most `limit` bytes.
    #[must_use]
    pub fn new(id: &str, limit: u64) -> Self {
        Self {
            id: id.to_owned(),
            limit,
            taken: 0,
            state: State::Header(BytesMut::new()),
            manifest: None,
            index: None,
        }
    }

    /// What of a piece goes on, in order.
    ///
    /// # Errors
    /// [`NotOneImage`]: the archive is not to be loaded.
    pub fn pass(&mut self, piece: Bytes) -> Result<Vec<Bytes>, NotOneImage> {
        self.taken = self.taken.saturating_add(piece.len() as u64);
        if self.taken > self.limit {
            return Err(NotOneImage::TooLarge { limit: self.limit });
        }
        let (mut piece, mut through) = (piece, Vec::new());
        while !piece.is_empty() {
            match &mut self.state {
                State::Header(block) => {
                    let part = piece.split_to(piece.len().min(BLOCK - block.len()));
                    block.extend_from_slice(&part);
                    if block.len() == BLOCK {
                        let block = block.split().freeze();
                        self.state = self.entry(&block, &mut through)?;
                    }
                }
                State::Content { left, fate } => {
                    let most = usize::try_from(*left).unwrap_or(usize::MAX);
                    let part = piece.split_to(piece.len().min(most));
                    *left -= part.len() as u64;
                    match fate {
                        Fate::Through => through.push(part),
                        Fate::Held(_, size, text) => {
                            text.extend_from_slice(&part[..part.len().min(*size - text.len())]);
                        }
                        Fate::Dropped => {}
                    }
                    if *left == 0 {
                        self.content_ended()?;
                    }
                }
                // Only padding may follow, and the archive's end is written anew.
                State::End => break,
            }
        }
        Ok(through)
    }

    /// The archive's end: what names the image, and the blocks that end a tar.
    ///
    /// # Errors
    /// [`NotOneImage`]: it was cut short, or holds something else.
    pub fn end(self) -> Result<Bytes, NotOneImage> {
        match &self.state {
            State::End => {}
            State::Header(block) if block.is_empty() => {}
            State::Header(_) | State::Content { .. } => return Err(malformed("it ends in an entry")),
        }
        let text = self.manifest.as_deref().ok_or_else(|| malformed("it has no manifest.json"))?;
        let manifest: Vec<ManifestEntry> = serde_json::from_slice(text).map_err(malformed)?;
        let index = self.index.as_deref().map(nameless_index).transpose()?;
        let digest = self.id.trim_start_matches("sha256:");
        let by_index = index.as_ref().is_some_and(|(_, named)| *named == self.id);
        let wanted = |one: &ManifestEntry| config_digest(&one.config) == Some(digest) || by_index;
        let one = match manifest.as_slice() {
            [one] if wanted(one) => one,
            others => {
                let found: Vec<_> = others.iter().map(|one| one.config.as_str()).collect();
                let found = format!("{} images ({})", others.len(), found.join(", ").escape_debug());
                return Err(NotOneImage::Others { id: self.id, found });
            }
        };
        let (config, layers) = (one.config.clone(), one.layers.clone());
        let mut end = Vec::new();
        let manifest =
            serde_json::to_vec(&[ManifestEntry { config, repo_tags: None, layers }]).map_err(malformed)?;
        entry(&mut end, "manifest.json", &manifest).map_err(malformed)?;
        if let Some((text, _)) = index {
            entry(&mut end, "index.json", &text).map_err(malformed)?;
        }
        end.write_all(&[0; 2 * BLOCK]).map_err(malformed)?;
        Ok(end.into())
    }

    /// What becomes of the entry with this header.
    fn entry(&self, block: &Bytes, through: &mut Vec<Bytes>) -> Result<State, NotOneImage> {
        if block.iter().all(|byte| *byte == 0) {
            return Ok(State::End);
        }
        let header = Header::from_byte_slice(block);
        if header.cksum().map_err(malformed)? != checksum(block) {
            return Err(malformed("a header's checksum is wrong"));
        }
        let size = header.entry_size().map_err(malformed)?;
        let left = size.checked_next_multiple_of(BLOCK as u64).ok_or_else(|| malformed("a size is wrong"))?;
        let path = header.path().map_err(malformed)?;
        let name = plain(&path).ok_or_else(|| malformed(format!("the path {} leads out", path.display())))?;
        let kind = header.entry_type();
        let held = match name.as_str() {
            _ if kind == EntryType::XHeader => Some(Some(Held::Extension)),
            "manifest.json" => Some(Some(Held::Manifest)),
            "index.json" => Some(Some(Held::Index)),
            "repositories" => Some(None),
            _other => None,
        };
        let plain_kind =
            matches!(kind, EntryType::Regular | EntryType::Directory | EntryType::Symlink | EntryType::Link);
        let fate = match held {
            None if plain_kind => {
                through.push(block.clone());
                Fate::Through
            }
            Some(Some(held)) if kind == EntryType::Regular || held == Held::Extension => {
                let text = usize::try_from(size).ok().filter(|_| size <= LONGEST_TEXT);
                let size = text.ok_or_else(|| malformed(format!("{name} is of {size} bytes")))?;
                Fate::Held(held, size, Vec::new())
            }
            Some(None) if kind == EntryType::Regular => Fate::Dropped,
            None | Some(_) => return Err(malformed(format!("{name} is of kind {kind:?}"))),
        };
        Ok(if left == 0 { State::Header(BytesMut::new()) } else { State::Content { left, fate } })
    }

    fn content_ended(&mut self) -> Result<(), NotOneImage> {
        let ended = std::mem::replace(&mut self.state, State::Header(BytesMut::new()));
        if let State::Content { fate: Fate::Held(held, _, text), .. } = ended {
            let (slot, name) = match held {
                Held::Manifest => (&mut self.manifest, "manifest.json"),
                Held::Index => (&mut self.index, "index.json"),
                Held::Extension => return harmless(&text),
            };
            if slot.replace(text).is_some() {
                return Err(malformed(format!("{name} is there twice")));
            }
        }
        Ok(())
    }
}

fn malformed(what: impl ToString) -> NotOneImage {
    NotOneImage::Malformed(what.to_string())
}

/// The sum of a header's bytes, its own field taken for blanks.
fn checksum(block: &[u8]) -> u32 {
    let bytes = block.iter().enumerate();
    bytes.map(|(at, byte)| u32::from(if (148..156).contains(&at) { b' ' } else { *byte })).sum()
}

/// A path without dots; `None`: it leads out of the archive.
fn plain(path: &Path) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::Normal(part) => parts.push(part.to_string_lossy()),
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.join("/"))
}

/// An extended header may date an entry; it may not call it otherwise than its header does. It is not passed on.
fn harmless(text: &[u8]) -> Result<(), NotOneImage> {
    for extension in tar::PaxExtensions::new(text) {
        let extension = extension.map_err(malformed)?;
        let key = extension.key().map_err(malformed)?;
        if matches!(key, "path" | "linkpath" | "size") || key.starts_with("GNU.sparse") {
            return Err(malformed(format!("an extended header sets {key}")));
        }
    }
    Ok(())
}

/// The digest in a configuration's path: `<hex>.json`, or `blobs/sha256/<hex>`.
fn config_digest(path: &str) -> Option<&str> {
    path.strip_prefix("blobs/sha256/").or_else(|| path.strip_suffix(".json"))
}

/// An OCI index of one manifest without its annotations, which hold the names, and that manifest's digest.
fn nameless_index(text: &[u8]) -> Result<(Vec<u8>, String), NotOneImage> {
    let mut index: Value = serde_json::from_slice(text).map_err(malformed)?;
    let wrong = || malformed("its index.json is not of one image");
    let fields = index.as_object_mut().ok_or_else(wrong)?;
    fields.remove("annotations");
    let [one] = fields.get_mut("manifests").and_then(Value::as_array_mut).ok_or_else(wrong)?.as_mut_slice()
    else {
        return Err(wrong());
    };
    let one = one.as_object_mut().ok_or_else(wrong)?;
    one.remove("annotations");
    let digest = one.get("digest").and_then(Value::as_str).ok_or_else(wrong)?.to_owned();
    Ok((serde_json::to_vec(&index).map_err(malformed)?, digest))
}

#[cfg(test)]
mod tests;
