//! From here to a node. An exec's stdin closes alike on completion and on a crash, so the archive ends with a sentinel. Only a
//! transfer with its sentinel is moved into place.

use std::{
    hash::{BuildHasher, RandomState},
    io::{self, Write},
    path::Path,
};

use bytes::Bytes;
use shoal_api::{Answers, Client, ExecFrame, ExecOutput, FRAME_BYTES};
use shoal_types::RealmName;
use tokio::{io::stdin, sync::mpsc};

use super::{CUT, Ended, NodePath, ended};
use crate::{
    command::{frames::Pump, inside},
    error::CliError,
};

/// The last entry of what is sent.
const SENTINEL: &str = ".shoal-cp-end";

/// `$1` is the target, `$2` the name in the archive, `$3` the sentinel. Into a directory, or under the target's name.
const UNPACK: &str = r#"
umask 077
fail() { printf '%s\n' "$1" >&2; exit 1; }
if [ -d "$1" ]; then
    cd -- "$1" || exit 1
    name=$2
else
    case "$1" in */) fail "$1 is no directory" ;; esac
    cd -- "${1%/*}/" || exit 1
    name=${1##*/}
fi
fresh=$(mktemp -d ./.shoal-cp-XXXXXXXXXX) || exit 1
trap 'rm -rf -- "$fresh"' EXIT
trap 'exit 1' HUP INT TERM
tar --extract --file=- --directory="$fresh" --preserve-permissions --no-same-owner || exit 1
[ -e "$fresh/$3" ] || exit 62
if [ ! -e "$name" ] && [ ! -L "$name" ]; then
    mv -T -- "$fresh/$2" "./$name"
elif [ -d "$fresh/$2" ] && [ ! -L "$fresh/$2" ]; then
    [ -d "$name" ] && [ ! -L "$name" ] || fail "$name is no directory"
    cp -a --no-target-directory --remove-destination -- "$fresh/$2" "./$name"
else
    [ ! -d "$name" ] || [ -L "$name" ] || fail "$name is a directory"
    mv -f -T -- "$fresh/$2" "./$name"
fi
"#;

/// `$1` is the file, `$2` the words that end it.
const WRITE: &str = r#"
[ ! -d "$1" ] || { printf '%s\n' "$1 is a directory" >&2; exit 1; }
cd -- "${1%/*}/" || exit 1
name=${1##*/}
fresh=$(mktemp ./.shoal-cp-XXXXXXXXXX) || exit 1
trap 'rm -f -- "$fresh"' EXIT
trap 'exit 1' HUP INT TERM
cat >"$fresh" || exit 1
[ "$(tail -c "${#2}" -- "$fresh" | tr -d '\0')" = "$2" ] || exit 62
truncate -s "-${#2}" -- "$fresh" || exit 1
if [ -e "$name" ]; then chmod --reference="$name" -- "$fresh"; else chmod 0644 -- "$fresh"; fi
mv -f -T -- "$fresh" "./$name"
"#;

/// Copies a file or directory.
pub(super) async fn from_path(
    client: &Client,
    realm: &RealmName,
    from: &Path,
    to: &NodePath,
) -> Result<(), CliError> {
    let failed = |source| CliError::File { action: "read", path: from.into(), source };
    let from = from.to_owned();
    let real = std::fs::symlink_metadata(&from).and_then(|_| from.canonicalize()).map_err(failed)?;
    // `.` and `..` have no name of their own.
    let name = from.file_name().or_else(|| real.file_name()).and_then(|name| name.to_str());
    let name = name.ok_or_else(|| {
        CliError::usage(
            format!("{} has no name for the copy in the node", from.display()),
            "give the path of a file or directory, in UTF-8".to_owned(),
        )
    })?;
    let open = to.open(realm, &["sh", "-c", UNPACK, "shoal-cp", &to.path, name, SENTINEL]);
    let (sender, answers) = inside::begin(client, open).await?;
    let (path, packed) = (from.clone(), name.to_owned());
    let packing = tokio::task::spawn_blocking(move || pack(&path, &packed, Frames::new(sender)));
    let result = receive(answers).await;
    let packed = packing.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    match packed {
        // It has stopped reading, and says why.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        packed => packed.map_err(failed)?,
    }
    finish(to, "tar", result?)
}

/// Copies standard input to a file.
pub(super) async fn from_stdin(client: &Client, realm: &RealmName, to: &NodePath) -> Result<(), CliError> {
    use tokio::io::AsyncReadExt;
    let end = end_words();
    let open = to.open(realm, &["sh", "-c", WRITE, "shoal-cp", &to.path, &end]);
    let (sender, answers) = inside::begin(client, open).await?;
    // The words come only after a real end of the input: one that fails sends none.
    let pump = Pump::feed(sender, stdin().chain(io::Cursor::new(end.into_bytes())), ExecFrame::Stdin);
    let result = pump.during(receive(answers), CliError::Stdin).await?;
    finish(to, "cat", result)
}

/// Words that nobody's file ends in.
fn end_words() -> String {
    // Seeded by the kernel; not a secret, only unlike anything else.
    let random = |n: u8| RandomState::new().hash_one(n);
    format!("shoal-cp-end-{:016x}{:016x}", random(0), random(1))
}

fn finish(to: &NodePath, program: &'static str, result: Ended) -> Result<(), CliError> {
    match result.status {
        CUT => Err(CliError::Answer { missing: "what was sent: it was cut" }),
        _ => ended(to, program, &result),
    }
}

/// What the command says, until its end.
async fn receive(mut answers: Answers<ExecOutput>) -> Result<Ended, CliError> {
    let mut said = Vec::new();
    while let Some(output) = answers.next().await? {
        match output {
            ExecOutput::Stdout(bytes) | ExecOutput::Stderr(bytes) => {
                Ended::keep(&mut said, &bytes);
            }
            ExecOutput::ExitStatus(status) => return Ok(Ended { status, said }),
        }
    }
    Err(CliError::Answer { missing: "the end of the copy" })
}

/// Writes the archive of a path, called `name` in it; symbolic links are copied as such, but for the path itself.
fn pack(path: &Path, name: &str, to: impl Write) -> io::Result<()> {
    let mut archive = tar::Builder::new(to);
    archive.follow_symlinks(false);
    match std::fs::metadata(path)?.is_dir() {
        true => archive.append_dir_all(name, path)?,
        false => archive.append_file(name, &mut std::fs::File::open(path)?)?,
    }
    let mut last = tar::Header::new_gnu();
    last.set_size(0);
    last.set_mode(0o600);
    archive.append_data(&mut last, SENTINEL, io::empty())?;
    archive.into_inner()?.flush()
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
        pack(path, path.file_name().unwrap().to_str().unwrap(), &mut archive).unwrap();
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
        let unpack =
            |to: &str, bytes: &[u8]| script(UNPACK, &[path(to).to_str().unwrap(), "src", SENTINEL], bytes);
        // Cut before the sentinel: at the end of an entry, where tar sees nothing wrong, and in the middle.
        for cut in [0, 512, archive.len() - 1536 - 512, archive.len() - 1536] {
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
    fn a_stream_is_placed_only_with_its_end() {
        let home = tempfile::tempdir().unwrap();
        let to = home.path().join("a file");
        let write = |bytes: &[u8]| script(WRITE, &[to.to_str().unwrap(), "END"], bytes);
        for cut in [&b""[..], b"half", b"half EN"] {
            assert_eq!(write(cut).0, CUT);
            assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
        }
        assert_eq!(write(b"whole\0\nEND"), (0, String::new()));
        assert_eq!(fs::read(&to).unwrap(), b"whole\0\n");
        assert_eq!(write(b"END"), (0, String::new()));
        assert_eq!(fs::read(&to).unwrap(), b"");
        assert_eq!(script(WRITE, &[home.path().to_str().unwrap(), "END"], b"xEND").0, 1);
        assert!(end_words().len() > 30 && end_words() != end_words());
    }
}
