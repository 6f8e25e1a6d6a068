//! From here to a node. An exec's stdin closes alike on completion and on a crash, so the archive ends with a sentinel, and a stream
//! in words of its own. Only a whole transfer is moved into place.

use std::{
    ffi::OsStr,
    fmt::Write as _,
    hash::{BuildHasher, RandomState},
    io::{self, Write},
    os::unix::{ffi::OsStrExt, fs::FileTypeExt},
    path::Path,
};

use bytes::Bytes;
use shoal_api::{Answers, Client, ExecFrame, ExecOutput, FRAME_BYTES};
use shoal_types::RealmName;
use tokio::{io::AsyncRead, sync::mpsc};

use super::{CUT_OFF, Ended, MESSAGE_BYTES, NodePath, ended, pack, warn};
use crate::{
    command::{frames::Pump, inside},
    error::CliError,
    exit::Exit,
};

/// `$1` is the target, `$2` the name of a copy in a directory, as printf(1) reads it. Into a directory, or under the target's name. What
/// would replace another kind of thing anywhere in a directory is looked for before any of it is copied.
const UNPACK: &str = r#"
cd || exit 1
umask 077
fail() { printf '%s\n' "$1" >&2; exit 1; }
if [ -d "$1" ]; then
    cd -- "$1" || exit 1
    name=$(printf '%b.' "$2")
    name=${name%.}
else
    case "$1" in */) fail "$1 is no directory" ;; esac
    cd -- "${1%/*}/" || exit 1
    name=${1##*/}
fi
[ ! -e "$name" ] || [ -f "$name" ] || [ -d "$name" ] || fail "$1 is a pipe, a socket or a device"
fresh=$(mktemp -d ./.shoal-cp-XXXXXXXXXX) || exit 1
trap 'rm -rf -- "$fresh"' EXIT
trap 'exit 1' HUP INT TERM
tar --extract --file=- --directory="$fresh" --preserve-permissions --no-same-owner || exit 1
[ -e "$fresh/end" ] || exit 62
(cd -- "$fresh" && xargs -0 -r -n 2 truncate -s <cut && xargs -0 -r rm -f -- <gone) || exit 1
find "$fresh/c" -type f -perm /6000 -exec chmod ug-s {} + || exit 1
if [ ! -e "$name" ] && [ ! -L "$name" ]; then
    mv -T -- "$fresh/c" "./$name"
elif [ -d "$fresh/c" ] && [ ! -L "$fresh/c" ]; then
    find "$fresh/c" -exec sh -c '
        from=$1 to=$2
        shift 2
        for path; do
            there=$to${path#"$from"}
            [ -e "$there" ] || [ -L "$there" ] || continue
            what=
            if [ -d "$path" ] && [ ! -L "$path" ]; then
                [ -d "$there" ] && [ ! -L "$there" ] || what="is no directory"
            elif [ -d "$there" ] && [ ! -L "$there" ]; then
                what="is a directory"
            fi
            [ -z "$what" ] || { printf "%s\n" "$there $what" >&2; exit 1; }
        done' sh "$fresh/c" "./$name" {} + || exit 1
    cp -a --no-target-directory --remove-destination -- "$fresh/c" "./$name"
else
    [ ! -d "$name" ] || [ -L "$name" ] || fail "$name is a directory"
    mv -f -T -- "$fresh/c" "./$name"
fi
"#;

/// `$1` is the file, `$2` the words that end the stream, `$3` the name of a copy in a directory, as printf(1) reads it; it may be empty.
const WRITE: &str = r#"
cd || exit 1
fail() { printf '%s\n' "$1" >&2; exit 1; }
to=$1
if [ -d "$to" ]; then
    [ -n "$3" ] || fail "$1 is a directory"
    name=$(printf '%b.' "$3")
    to=$1/${name%.}
    [ ! -d "$to" ] || fail "$to is a directory"
fi
cd -- "${to%/*}/" || exit 1
name=${to##*/}
[ ! -e "$name" ] || [ -f "$name" ] || fail "$1 is a pipe, a socket or a device"
fresh=$(mktemp ./.shoal-cp-XXXXXXXXXX) || exit 1
trap 'rm -f -- "$fresh"' EXIT
trap 'exit 1' HUP INT TERM
cat >"$fresh" || exit 1
[ "$(tail -c "${#2}" -- "$fresh" | tr -d '\0')" = "$2" ] || exit 62
truncate -s "-${#2}" -- "$fresh" || exit 1
if [ -e "$name" ]; then chmod --reference="$name" -- "$fresh"; else chmod 0644 -- "$fresh"; fi
mv -f -T -- "$fresh" "./$name"
"#;

/// Copies a file or directory; a pipe or a device is read to its end.
pub(super) async fn from_path(
    client: &Client,
    realm: &RealmName,
    from: &Path,
    to: &NodePath,
) -> Result<Exit, CliError> {
    let failed = |source| CliError::File { action: "read", path: from.into(), source };
    let is_link = |_| std::fs::symlink_metadata(from);
    let kind = std::fs::metadata(from).or_else(is_link).map_err(failed)?.file_type();
    // `.` and `..` have no name of their own.
    let name = match from.file_name() {
        Some(name) => printf(name),
        None => printf(from.canonicalize().map_err(failed)?.file_name().unwrap_or_default()),
    };
    if name.is_empty() {
        return Err(CliError::usage(
            format!(
                "{} has no name for the copy in the node",
                crate::escape::line(&from.display().to_string())
            ),
            "give the path of a file or directory".to_owned(),
        ));
    }
    if kind.is_socket() {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "it is a socket")));
    }
    if kind.is_fifo() || kind.is_char_device() || kind.is_block_device() {
        let source = tokio::fs::File::open(from).await.map_err(failed)?;
        return from_stream(client, realm, source, &name, to, failed).await;
    }
    // What cannot be read at all is no copy with something left out.
    let readable = match (kind.is_dir(), kind.is_symlink()) {
        (true, _) => std::fs::read_dir(from).map(drop),
        (false, true) => Ok(()),
        (false, false) => std::fs::File::open(from).map(drop),
    };
    readable.map_err(failed)?;
    let open = to.open(realm, &["sh", "-c", UNPACK, "shoal-cp", &to.path, &name]);
    let (sender, answers) = inside::begin(client, open).await?;
    let path = from.to_owned();
    let packing = tokio::task::spawn_blocking(move || pack::pack(&path, Frames::new(sender)));
    let result = receive(answers).await;
    let packed = packing.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    let left = match packed {
        // It has stopped reading, and says why.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => pack::Left::default(),
        packed => packed.map_err(failed)?,
    };
    finish(to, "tar", result?)?;
    Ok(warn(&left.out, &left.changed))
}

/// Copies standard input to a file.
pub(super) async fn from_stdin(client: &Client, realm: &RealmName, to: &NodePath) -> Result<Exit, CliError> {
    from_stream(client, realm, tokio::io::stdin(), "", to, CliError::Stdin).await
}

/// Copies what is read until its end to a file.
async fn from_stream(
    client: &Client,
    realm: &RealmName,
    source: impl AsyncRead + Send + Unpin + 'static,
    name: &str,
    to: &NodePath,
    failed: impl FnOnce(io::Error) -> CliError,
) -> Result<Exit, CliError> {
    use tokio::io::AsyncReadExt;
    let end = end_words();
    let open = to.open(realm, &["sh", "-c", WRITE, "shoal-cp", &to.path, &end, name]);
    let (sender, answers) = inside::begin(client, open).await?;
    // The words come only after a real end of the input: one that fails sends none.
    let pump = Pump::feed(sender, source.chain(io::Cursor::new(end.into_bytes())), ExecFrame::Stdin);
    let result = pump.during(receive(answers), failed).await?;
    finish(to, "cat", result)?;
    Ok(Exit::Ok)
}

/// A name as `printf %b` reads it: any bytes, of which only plain ones are written as they are.
fn printf(name: &OsStr) -> String {
    name.as_bytes().iter().fold(String::new(), |mut text, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' => text.push(char::from(*byte)),
            // Writing to a String does not fail.
            byte => drop(write!(text, "\\0{byte:03o}")),
        }
        text
    })
}

/// Words that nobody's file ends in.
fn end_words() -> String {
    // Seeded by the kernel; not a secret, only unlike anything else.
    let random = |n: u8| RandomState::new().hash_one(n);
    format!("shoal-cp-end-{:016x}{:016x}", random(0), random(1))
}

fn finish(to: &NodePath, program: &'static str, result: Ended) -> Result<(), CliError> {
    match result.status {
        CUT_OFF => Err(CliError::Answer { missing: "what was sent: it was cut" }),
        _ => ended(to, program, &result),
    }
}

/// What the command says, until its end.
async fn receive(mut answers: Answers<ExecOutput>) -> Result<Ended, CliError> {
    let mut said = Vec::new();
    while let Some(output) = answers.next().await? {
        match output {
            ExecOutput::Stdout(bytes) | ExecOutput::Stderr(bytes) => {
                Ended::keep(&mut said, &bytes, MESSAGE_BYTES);
            }
            ExecOutput::ExitStatus(status) => return Ok(Ended { status, said }),
        }
    }
    Err(CliError::Answer { missing: "the end of the copy" })
}

/// What is written, as frames of the request stream; its end, and a failure, are the stream's end.
struct Frames {
    sender: mpsc::Sender<ExecFrame>,
    buffer: Vec<u8>,
}

impl Frames {
    fn new(sender: mpsc::Sender<ExecFrame>) -> Self {
        Self { sender, buffer: Vec::with_capacity(FRAME_BYTES) }
    }
}

impl Write for Frames {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = FRAME_BYTES.saturating_sub(self.buffer.len()).min(bytes.len());
        self.buffer.extend_from_slice(&bytes[..room]);
        if self.buffer.len() >= FRAME_BYTES {
            self.flush()?;
        }
        Ok(room)
    }

    fn flush(&mut self) -> io::Result<()> {
        let data = Bytes::from(std::mem::replace(&mut self.buffer, Vec::with_capacity(FRAME_BYTES)));
        self.sender.blocking_send(ExecFrame::Stdin(data)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use super::*;

    /// Runs a script as a node does; its status and what it said.
    fn script(text: &str, arguments: &[&str], input: &[u8]) -> (i32, String) {
        use std::process::Stdio;
        let mut sh = Command::new("sh");
        sh.args(["-c", text, "shoal-cp"]).args(arguments);
        sh.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = sh.spawn().unwrap();
        drop(child.stdin.take().unwrap().write_all(input));
        let output = child.wait_with_output().unwrap();
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn packed(path: &Path) -> Vec<u8> {
        let mut archive = Vec::new();
        pack::pack(path, &mut archive).unwrap();
        archive
    }

    #[test]
    fn a_whole_archive_is_placed_and_half_of_one_is_not() {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        let text = |name: &str| fs::read_to_string(path(name)).unwrap();
        fs::create_dir_all(path("src/sub dir")).unwrap();
        fs::write(path("src/sub dir/a"), "1").unwrap();
        fs::create_dir(path("node")).unwrap();
        let archive = packed(&path("src"));
        let unpack = |to: &str, bytes: &[u8]| {
            script(UNPACK, &[path(to).to_str().unwrap(), &printf("src".as_ref())], bytes)
        };
        // Cut before the sentinel: at the end of an entry, where tar sees nothing wrong, and in the middle.
        for cut in [0, 512, archive.len() - 1536 - 512, archive.len() - 1536, archive.len() - 2048] {
            let (status, said) = unpack("node", &archive[..cut]);
            assert_ne!(status, 0, "cut at {cut}: {said}");
            assert_eq!(fs::read_dir(path("node")).unwrap().count(), 0, "cut at {cut}");
        }
        assert_eq!(unpack("node", &archive), (0, String::new()));
        assert_eq!(text("node/src/sub dir/a"), "1");
        assert_eq!(unpack("node/other name", &archive), (0, String::new()));
        assert_eq!(text("node/other name/sub dir/a"), "1");
        // Merged with what is there.
        fs::write(path("node/src/sub dir/b"), "2").unwrap();
        fs::write(path("node/src/sub dir/a"), "0").unwrap();
        assert_eq!(unpack("node", &archive), (0, String::new()));
        assert_eq!((text("node/src/sub dir/a"), text("node/src/sub dir/b")), ("1".into(), "2".into()));
        // All or nothing of it: a file where a directory comes, a link to a directory, and a directory where a file comes.
        fs::remove_file(path("node/src/sub dir/b")).unwrap();
        fs::create_dir(path("src/z")).unwrap();
        for name in ["src/a", "src/y", "src/sub dir/b"] {
            fs::write(path(name), "new").unwrap();
        }
        let more = packed(&path("src"));
        for (at, is, says) in [
            ("node/src/z", "file", "z is no directory"),
            ("node/src/z", "link", "z is no directory"),
            ("node/src/y", "directory", "y is a directory"),
        ] {
            match is {
                "file" => fs::write(path(at), "stays").unwrap(),
                "link" => std::os::unix::fs::symlink("/", path(at)).unwrap(),
                _ => fs::create_dir(path(at)).unwrap(),
            }
            let (status, said) = unpack("node", &more);
            assert!(status == 1 && said.contains(says), "{status} {said}");
            assert_eq!(fs::read_dir(path("node/src")).unwrap().count(), 2, "{says}");
            assert_eq!(fs::read_dir(path("node/src/sub dir")).unwrap().count(), 1, "{says}");
            fs::remove_file(path(at)).or_else(|_| fs::remove_dir(path(at))).unwrap();
        }
        // Never instead of a file.
        fs::write(path("node/file"), "stays").unwrap();
        assert_eq!(unpack("node/file", &archive).0, 1);
        assert_eq!(unpack("node/nowhere/", &archive).0, 1);
        assert_eq!(text("node/file"), "stays");
        let left = fs::read_dir(path("node")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut left: Vec<String> = left.collect();
        left.sort();
        assert_eq!(left, ["file", "other name", "src"]);
    }

    #[test]
    fn what_shrank_is_cut_and_what_failed_is_removed() {
        let home = tempfile::tempdir().unwrap();
        let mut archive = tar::Builder::new(Vec::new());
        for (name, mode, content) in [
            ("c/grown\nold", 0o644, &b"abc\0\0"[..]),
            ("c/bad", 0o644, b"ha\0\0"),
            ("c/run", 0o6755, b"x"),
            (pack::CUT, 0o600, b"3\0c/grown\nold\0"),
            (pack::GONE, 0o600, b"c/bad\0"),
            (pack::END, 0o600, b""),
        ] {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(mode);
            archive.append_data(&mut header, name, content).unwrap();
        }
        let to = home.path().join("to");
        let archive = archive.into_inner().unwrap();
        assert_eq!(script(UNPACK, &[to.to_str().unwrap(), "x"], &archive), (0, String::new()));
        assert_eq!(fs::read(to.join("grown\nold")).unwrap(), b"abc");
        assert!(!to.join("bad").exists());
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(to.join("run")).unwrap().permissions().mode() & 0o7777, 0o755);
        assert_eq!(script(UNPACK, &["/dev/null", "x"], &archive).0, 1, "a device is replaced by nothing");
    }

    #[test]
    fn a_stream_is_placed_only_with_its_end() {
        let home = tempfile::tempdir().unwrap();
        let to = home.path().join("a file");
        let write = |bytes: &[u8]| script(WRITE, &[to.to_str().unwrap(), "END", ""], bytes);
        for cut in [&b""[..], b"half", b"half EN"] {
            assert_eq!(write(cut).0, CUT_OFF);
            assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
        }
        assert_eq!(write(b"whole\0\nEND"), (0, String::new()));
        assert_eq!(fs::read(&to).unwrap(), b"whole\0\n");
        assert_eq!(write(b"END"), (0, String::new()));
        assert_eq!(fs::read(&to).unwrap(), b"");
        assert_eq!(script(WRITE, &[home.path().to_str().unwrap(), "END", ""], b"xEND").0, 1);
        // A stream that has a name goes into a directory under it, whatever bytes that has.
        let odd = OsStr::from_bytes(b"-n \\t\xff\n%b");
        let into = |to: &Path| script(WRITE, &[to.to_str().unwrap(), "END", &printf(odd)], b"yEND");
        assert_eq!(into(home.path()), (0, String::new()));
        assert_eq!(fs::read(home.path().join(odd)).unwrap(), b"y");
        assert_eq!(into(Path::new("/dev/null")).0, 1);
        assert!(end_words().len() > 30 && end_words() != end_words());
    }
}
