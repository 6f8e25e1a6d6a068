//! From a node to here.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::FileTypeExt,
    path::Path,
};

use bytes::{Buf, Bytes};
use shoal_api::{Client, ExecOpen, ExecOutput};
use shoal_types::RealmName;
use tokio::sync::mpsc;

use super::{
    Ended, MESSAGE_BYTES, NodePath, Side, ended,
    pack::ROOT,
    place,
    said::Said,
    unpack::{self, Unpacked},
    warn,
};
use crate::{
    command::{inside, sink::Sink},
    error::CliError,
    exit::Exit,
};

/// `$1` is the directory, `$2` the name in it. A link at its end is followed if it leads somewhere. What has no length, as pipes and
/// files of /proc, is read into a file that has. The archive's root is `c`, and its last entry `end`. tar(1) takes names as they are.
const PACK: &str = r#"
cd || exit 63
export LC_ALL=C
dir=$1 name=$2
[ -e "$dir$name" ] || [ -L "$dir$name" ] || exit 61
if [ -L "$dir$name" ] && [ -e "$dir$name" ]; then
    real=$(readlink -f -- "$dir$name" && printf .) || exit 61
    real=${real%??}
    dir=${real%/*}/ name=${real##*/}
    [ -n "$name" ] || exit 61
fi
umask 077
work=$(mktemp -d) || exit 63
trap 'rm -rf -- "$work"' EXIT
trap 'exit 63' HUP INT TERM
: >"$work/end"
read=
[ -L "$dir$name" ] || case "$(stat -f -c %T -- "$dir$name")" in
proc | sysfs | cgroup*fs | debugfs | tracefs | securityfs | configfs) read=whole ;;
esac
[ -L "$dir$name" ] || [ -f "$dir$name" ] || [ -d "$dir$name" ] || read=whole
if [ -S "$dir$name" ]; then
    printf '%s\n' "$dir$name is a socket" >&2
    exit 63
elif [ -n "$read" ] && [ -d "$dir$name" ]; then
    mkdir "$work/s"
    cp -r --attributes-only --no-preserve=all -- "$dir$name" "$work/s/$name"
    cd -- "$dir" || exit 63
    find "./$name" -type f -exec sh -c '
        to=$1
        shift
        for file; do cat -- "$file" >"$to/$file" || rm -f -- "$to/$file"; done' sh "$work/s" {} +
    dir=$work/s/
elif [ -n "$read" ]; then
    mkdir "$work/s"
    cat -- "$dir$name" >"$work/s/$name" || exit 63
    dir=$work/s/
fi
tar --create --file=- --format=gnu --sparse --no-unquote --transform='s,^\./[^/]*,./c,rhS' \
    --directory="$dir" "./$name" --directory="$work" end
"#;
/// `$1` is the file.
const PRINT: &str = r#"
cd || exit 1
[ -e "$1" ] || exit 61
exec cat -- "$1"
"#;
/// The script's status when it did not come to tar(1), or was told to end.
const NOT_PACKED: i32 = 63;
/// tar(1)'s status when a file changed under it, as live logs do.
const CHANGED: i32 = 1;
/// tar(1)'s status when there is something that it could not read; its standard error says what.
const IN_PART: i32 = 2;
/// Pieces that wait to be unpacked, of at most 64 KiB each.
const QUEUE: usize = 4;
/// Most that tar may say: past it, what its archive has wrong is not known.
const MOST_SAID: usize = 1 << 20;

/// Copies a file or directory to `to`: into it if it is a directory, else under this name. A pipe or device here is written to.
pub(super) async fn to_path(
    client: &Client,
    realm: &RealmName,
    from: &NodePath,
    (directory, name): (String, String),
    to: &Path,
) -> Result<Exit, CliError> {
    let failed = |source| CliError::File { action: "write", path: to.into(), source };
    if let Ok(found) = fs::metadata(to) {
        let kind = found.file_type();
        if kind.is_socket() {
            return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "it is a socket")));
        }
        if kind.is_fifo() || kind.is_char_device() || kind.is_block_device() {
            let path = to.to_owned();
            let open = move || File::options().write(true).open(path);
            let opened = tokio::task::spawn_blocking(open).await;
            let file = opened.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(failed)?;
            let copied = stream(client, realm, from, Sink::start(file)).await;
            return copied
                .map_err(|error| if let CliError::Stdout(source) = error { failed(source) } else { error });
        }
    }
    let (beside, wanted) = place::target(to, &name).map_err(failed)?;
    // Made here, seen by nobody else, and gone with whatever is in it if anything fails.
    let fresh = tempfile::Builder::new().prefix(".shoal-cp-").tempdir_in(&beside).map_err(failed)?;
    let (sender, pieces) = mpsc::channel(QUEUE);
    let into = fresh.path().to_owned();
    let unpacked = tokio::task::spawn_blocking(move || unpack::unpack(Pieces::new(pieces), &into));
    let open = from.open(realm, &["sh", "-c", PACK, "shoal-cp", &directory, &name]);
    let side = (client, realm, from);
    let result = receive(side, open, MOST_SAID, async |piece| Ok(sender.send(piece).await.is_ok())).await;
    drop(sender);
    let unpacked = unpacked.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    let result = result?;
    let root = fresh.path().join(ROOT);
    match (result.status, &unpacked) {
        (0 | CHANGED | IN_PART, Ok(Unpacked { whole: true, .. }))
            if root.symlink_metadata().is_ok() && result.said.len() < MOST_SAID => {}
        // What tar there says explains what is missing here.
        (0 | CHANGED, _) => {
            let cut = || Err(io::Error::new(io::ErrorKind::InvalidData, "the node sent half of it"));
            return unpacked.and_then(|_| cut()).map_err(failed);
        }
        (NOT_PACKED, _) => ended(from, "the copy", &result)?,
        (_, _) => ended(from, "tar", &result)?,
    }
    let mut unpacked = unpacked.map_err(failed)?;
    let said = Said::read(&String::from_utf8_lossy(&result.said));
    said.apply(&root).and_then(|()| place::place(&root, &wanted)).map_err(failed)?;
    unpacked.left_out.extend(said.left_out);
    Ok(warn(&unpacked.left_out, &said.changed))
}

/// Copies a file's bytes to standard output.
pub(super) async fn to_stdout(client: &Client, realm: &RealmName, from: &NodePath) -> Result<Exit, CliError> {
    stream(client, realm, from, Sink::stdout()?).await
}

async fn stream(client: &Client, realm: &RealmName, from: &NodePath, mut to: Sink) -> Result<Exit, CliError> {
    let open = from.open(realm, &["sh", "-c", PRINT, "shoal-cp", &from.path]);
    let write = async |piece| to.write(piece).await.map(|()| true);
    let result = receive((client, realm, from), open, MESSAGE_BYTES, write).await?;
    to.finish().await?;
    ended(from, "cat", &result)?;
    Ok(Exit::Ok)
}

/// Hands a command's output to `take` until the command ends, or `take` returns false.
async fn receive(
    (client, ..): Side<'_>,
    open: ExecOpen,
    most_said: usize,
    mut take: impl AsyncFnMut(Bytes) -> Result<bool, CliError>,
) -> Result<Ended, CliError> {
    let (_, mut answers) = inside::begin(client, open).await?;
    let (mut said, mut wanted) = (Vec::new(), true);
    while let Some(output) = answers.next().await? {
        match output {
            ExecOutput::Stdout(bytes) if wanted => wanted = take(bytes).await?,
            ExecOutput::Stdout(_) => {}
            ExecOutput::Stderr(bytes) => Ended::keep(&mut said, &bytes, most_said),
            ExecOutput::ExitStatus(status) => return Ok(Ended { status, said }),
        }
    }
    Err(CliError::Answer { missing: "the end of the copy" })
}

/// Pieces as they come, for a reader that waits.
struct Pieces {
    queue: mpsc::Receiver<Bytes>,
    piece: Bytes,
}

impl Pieces {
    fn new(queue: mpsc::Receiver<Bytes>) -> Self {
        Self { queue, piece: Bytes::new() }
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.queue.blocking_recv() {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let n = self.piece.len().min(buffer.len());
        self.piece.copy_to_slice(&mut buffer[..n]);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::{fs::symlink, net::UnixListener},
        process::{Command, Output},
    };

    use super::*;

    /// Packs as a node does.
    fn packed(directory: &Path, name: &str) -> Output {
        let directory = format!("{}/", directory.display());
        Command::new("sh").args(["-c", PACK, "shoal-cp", &directory, name]).output().unwrap()
    }

    /// Packs as a node does and unpacks as it is done here.
    fn copied(directory: &Path, name: &str) -> (Unpacked, Said, tempfile::TempDir) {
        let output = packed(directory, name);
        let said = Said::read(&String::from_utf8(output.stderr).unwrap());
        let fresh = tempfile::tempdir().unwrap();
        let unpacked = unpack::unpack(output.stdout.as_slice(), fresh.path()).unwrap();
        assert!(unpacked.whole, "{said:?}");
        (unpacked, said, fresh)
    }

    #[test]
    fn what_a_node_has_comes_or_is_named() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        fs::create_dir_all(at("a tree/sub")).unwrap();
        fs::write(at("a tree/sub/file"), "x").unwrap();
        fs::hard_link(at("a tree/sub/file"), at("a tree/same")).unwrap();
        symlink("loop", at("a tree/loop")).unwrap();
        symlink("a tree", at("link")).unwrap();
        nix::unistd::mkfifo(&at("a tree/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let _listens = UnixListener::bind(at("a tree/sock")).unwrap();
        File::create(at("a tree/holes")).unwrap().set_len(1 << 40).unwrap();
        for name in ["a tree", "link"] {
            let (unpacked, said, fresh) = copied(home.path(), name);
            assert!(unpacked.left_out.is_empty(), "{unpacked:?}");
            assert_eq!(said.left_out, ["./a tree/sock: socket ignored"]);
            let root = fresh.path().join(ROOT);
            assert_eq!(fs::read_to_string(root.join("same")).unwrap(), "x");
            assert_eq!(fs::read_link(root.join("loop")).unwrap(), Path::new("loop"));
            assert!(fs::metadata(root.join("pipe")).unwrap().file_type().is_fifo());
            assert_eq!(fs::metadata(root.join("holes")).unwrap().len(), 1 << 40);
        }
        let (_, _, fresh) = copied(&at("a tree"), "loop");
        assert!(fresh.path().join(ROOT).is_symlink(), "one that leads nowhere is copied itself");
    }

    #[test]
    fn what_is_not_packed_says_why() {
        let home = tempfile::tempdir().unwrap();
        let _listens = UnixListener::bind(home.path().join("sock")).unwrap();
        for (directory, name, says) in [
            (home.path(), "sock", "sock is a socket\n"),
            (Path::new("/proc/self"), "mem", "/proc/self/mem: "),
        ] {
            let output = packed(directory, name);
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(NOT_PACKED), "{said}");
            assert!(said.contains(says), "{said}");
        }
    }

    #[test]
    fn a_name_is_taken_as_it_is() {
        let home = tempfile::tempdir().unwrap();
        for name in [r"a\nb", r"c:\\d\101", "two\nlines", "-C", "*"] {
            fs::create_dir(home.path().join(name)).unwrap();
            fs::write(home.path().join(name).join(name), name).unwrap();
            let (unpacked, said, fresh) = copied(home.path(), name);
            assert_eq!((unpacked.left_out, said), (vec![], Said::default()));
            assert_eq!(fs::read_to_string(fresh.path().join(ROOT).join(name)).unwrap(), name);
        }
    }

    #[test]
    fn what_has_no_length_is_read_to_its_end() {
        let (_, _, fresh) = copied(Path::new("/proc"), "cpuinfo");
        assert!(!fs::read(fresh.path().join(ROOT)).unwrap().is_empty());
        let (_, _, fresh) = copied(Path::new("/proc/sys"), "fs");
        let open = fs::read_to_string(fresh.path().join(ROOT).join("file-max")).unwrap();
        assert_eq!(open, fs::read_to_string("/proc/sys/fs/file-max").unwrap());
        // A pipe, too.
        let home = tempfile::tempdir().unwrap();
        let pipe = home.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let writer = std::thread::spawn(move || fs::write(pipe, "through").unwrap());
        let (_, _, fresh) = copied(home.path(), "pipe");
        assert_eq!(fs::read_to_string(fresh.path().join(ROOT)).unwrap(), "through");
        writer.join().unwrap();
    }
}
