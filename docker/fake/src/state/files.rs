//! Files of containers: from archives, as programs see them, and in volumes.
//!
//! A path belongs to the mount with the longest target above it, else to the container's root. Archives never reach a
//! tmpfs: what they put below its target lies hidden under it.

use bytes::Bytes;
use shoal_docker::{ContainerSpec, Mount, PathStat};

use super::{Container, State};
use crate::{
    Refusal,
    files::{Entry, Files, Unpackable, entries, join, tar_of},
};

/// Whose a path is.
enum Place {
    Root,
    Tmpfs,
    /// Of the host, which has no files here.
    Bind,
    /// A volume, and the path in it.
    Volume(String, String),
}

/// `path` seen from `target`, if it lies there or below.
fn below(path: &str, target: &str) -> Option<String> {
    let target = join("/", target);
    match path.strip_prefix(target.as_str())? {
        "" => Some("/".to_owned()),
        rest if rest.starts_with('/') => Some(rest.to_owned()),
        _ => None,
    }
}

fn place(spec: &ContainerSpec, path: &str) -> Place {
    let target = |mount: &Mount| match mount {
        Mount::Volume { target, .. } | Mount::Bind { target, .. } | Mount::Tmpfs { target, .. } => {
            target.clone()
        }
    };
    let fits = spec.mounts.iter().filter_map(|mount| Some((mount, below(path, &target(mount))?)));
    match fits.max_by_key(|(mount, _)| target(mount).len()) {
        None => Place::Root,
        Some((Mount::Volume { name, .. }, inner)) => Place::Volume(name.clone(), inner),
        Some((Mount::Bind { .. }, _)) => Place::Bind,
        Some((Mount::Tmpfs { .. }, _)) => Place::Tmpfs,
    }
}

fn refused(error: Unpackable) -> Refusal {
    Refusal::BadRequest(error.to_string())
}

impl Container {
    /// Unpacks what waits: archives are read only when somebody looks.
    fn unpack(&mut self) -> &Files {
        for (base, tar) in std::mem::take(&mut self.archives) {
            for (path, entry) in entries(&base, &tar).unwrap_or_default() {
                // Refused when it came if it could not be put there.
                drop(self.files.insert(&path, entry));
            }
        }
        &self.files
    }

    fn root_entry(&mut self, path: &str) -> Option<Entry> {
        self.unpack();
        self.files.get(path).or_else(|| self.image.files().get(path)).cloned()
    }

    fn is_directory(&mut self, path: &str) -> bool {
        path == "/"
            || below_any_target(&self.spec, path)
            || self.image.files().is_directory(path)
            || self.unpack().is_directory(path)
    }
}

/// Whether something is mounted there: the engine makes the directory.
fn below_any_target(spec: &ContainerSpec, path: &str) -> bool {
    spec.mounts.iter().any(|mount| match mount {
        Mount::Volume { target, .. } | Mount::Bind { target, .. } | Mount::Tmpfs { target, .. } => {
            join("/", target) == path
        }
    })
}

impl State {
    pub(crate) fn put_archive(&mut self, reference: &str, path: &str, tar: &Bytes) -> Result<(), Refusal> {
        let number = self.seek(reference)?;
        let keep = self.shared.keep_archives();
        let Some(container) = self.containers.get_mut(&number) else { return Err(Refusal::NotFound(None)) };
        let base = join("/", path);
        if !container.is_directory(&base) {
            return Err(Refusal::NotFound(None));
        }
        let found = entries(&base, tar).map_err(refused)?;
        if !keep {
            return Ok(());
        }
        let has_volume = container.spec.mounts.iter().any(|mount| matches!(mount, Mount::Volume { .. }));
        let files = |(_, entry): &(String, Entry)| entry.content.is_some();
        for (path, _) in found.iter().filter(|entry| files(entry)) {
            if container.image.files().is_directory(path) || container.files.is_directory(path) {
                return Err(refused(Unpackable::DirectoryThere(path.clone())));
            }
        }
        if !has_volume {
            container.archives.push((base, tar.clone()));
            return Ok(());
        }
        for (path, entry) in found {
            match place(&container.spec, &path) {
                Place::Root | Place::Tmpfs => container.files.insert(&path, entry).map_err(refused)?,
                Place::Bind => {}
                Place::Volume(name, inner) => {
                    let volume = self.volumes.entry(name).or_default();
                    volume.files.insert(&inner, entry).map_err(refused)?;
                }
            }
        }
        Ok(())
    }

    /// A file, or a directory with what is below it, by names from `path` on; and how often its file system has changed.
    fn seen_from_outside(
        &mut self,
        reference: &str,
        path: &str,
    ) -> Result<(Vec<(String, Entry)>, u64), Refusal> {
        let number = self.seek(reference)?;
        let Some(container) = self.containers.get_mut(&number) else { return Err(Refusal::NotFound(None)) };
        let (found, changes) = match place(&container.spec, path) {
            Place::Bind => (Vec::new(), 0),
            Place::Volume(volume, inner) => {
                let files = self.volumes.get(&volume).map(|volume| &volume.files);
                let mut found = files.map(|files| tree(&[files], &inner)).unwrap_or_default();
                // One that is empty is a directory.
                if files.is_some() && inner == "/" && found.iter().all(|(name, _)| !name.is_empty()) {
                    found.insert(0, (String::new(), Entry { mode: 0o755, uid: 0, gid: 0, content: None }));
                }
                (found, files.map_or(0, Files::changes))
            }
            Place::Root | Place::Tmpfs => {
                let image = std::sync::Arc::clone(container.image.files());
                let files = container.unpack();
                (tree(&[&image, files], path), files.changes())
            }
        };
        if found.is_empty() { Err(Refusal::NotFound(None)) } else { Ok((found, changes)) }
    }

    pub(crate) fn get_archive(
        &mut self,
        reference: &str,
        path: &str,
        limit: usize,
    ) -> Result<Bytes, Refusal> {
        let path = join("/", path);
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        let (found, _) = self.seen_from_outside(reference, &path)?;
        let named = found.iter().map(|(inner, entry)| (format!("{name}{inner}"), entry));
        let tar = tar_of(named).map_err(|error| Refusal::ServerError(500, error.to_string()))?;
        if tar.len() > limit { Err(Refusal::TooLarge(limit)) } else { Ok(tar) }
    }

    pub(crate) fn stat_path(&mut self, reference: &str, path: &str) -> Result<PathStat, Refusal> {
        let (found, changes) = self.seen_from_outside(reference, &join("/", path))?;
        let content = found.into_iter().next().and_then(|(_, entry)| entry.content);
        let size = content.map_or(4096, |content| content.len() as u64);
        Ok(PathStat { size, modified: changes.to_string() })
    }

    pub(crate) fn read_inside(&mut self, id: &str, path: &str) -> Option<Bytes> {
        let number = *self.by_id.get(id)?;
        let container = self.containers.get_mut(&number)?;
        let path = join("/", path);
        match place(&container.spec, &path) {
            Place::Root => container.root_entry(&path)?.content,
            Place::Tmpfs => container.tmpfs.get(&path)?.content.clone(),
            Place::Bind => None,
            Place::Volume(name, inner) => self.volumes.get(&name)?.files.get(&inner)?.content.clone(),
        }
    }

    pub(crate) fn write_inside(&mut self, id: &str, path: &str, content: Bytes) {
        let Some(number) = self.by_id.get(id) else { return };
        let Some(container) = self.containers.get_mut(number) else { return };
        let path = join("/", path);
        let entry = Entry { mode: 0o644, uid: 0, gid: 0, content: Some(content) };
        let (files, path) = match place(&container.spec, &path) {
            Place::Root => {
                container.unpack();
                (&mut container.files, path)
            }
            Place::Tmpfs => (&mut container.tmpfs, path),
            Place::Bind => return,
            Place::Volume(name, inner) => match self.volumes.get_mut(&name) {
                Some(volume) => (&mut volume.files, inner),
                None => return,
            },
        };
        // A program that writes over a directory fails; nobody here asks why.
        drop(files.insert(&path, entry));
    }
}

/// A file, or a directory with what is below it, from layers of which the later one counts; names from `path` on.
fn tree(layers: &[&Files], path: &str) -> Vec<(String, Entry)> {
    let mut found = std::collections::BTreeMap::new();
    for files in layers {
        if let Some(entry) = files.get(path) {
            found.insert(String::new(), entry.clone());
        }
        for (place, entry) in files.below(path) {
            let start = if path == "/" { 0 } else { path.len() };
            found.insert(place[start..].to_owned(), entry.clone());
        }
    }
    found.into_iter().collect()
}
