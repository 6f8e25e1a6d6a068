//! From a node to here.

use std::{
    io::{self, Read},
    path::Path,
};

use bytes::{Buf, Bytes};
use shoal_api::{Client, ExecOpen, ExecOutput};
use shoal_types::RealmName;
use tokio::sync::mpsc;

use super::{Ended, NodePath, Side, ended, place, unpack};
use crate::{
    command::{inside, sink::Sink},
    error::CliError,
    escape,
};

/// `$1` is the directory, `$2` the name in it.
const PACK: &str = r#"
[ -e "$1$2" ] || [ -L "$1$2" ] || exit 61
exec tar --create --file=- --directory="$1" --format=posix -- "./$2"
"#;
/// `$1` is the file.
const PRINT: &str = r#"
[ -e "$1" ] || exit 61
exec cat -- "$1"
"#;
/// tar(1)'s status when a file changed under it, as live logs do; its standard error names the file.
const CHANGED: i32 = 1;
/// Pieces that wait to be unpacked, of at most 64 KiB each.
const QUEUE: usize = 4;

/// Copies a file or directory to `to`: into it if it is a directory, else under this name.
pub(super) async fn to_path(
    client: &Client,
    realm: &RealmName,
    from: &NodePath,
    (directory, name): (String, String),
    to: &Path,
) -> Result<(), CliError> {
    let failed = |source| CliError::File { action: "write", path: to.into(), source };
    let (beside, wanted) = place::target(to, &name).map_err(failed)?;
    // Made here, seen by nobody else, and gone with whatever is in it if anything fails.
    let fresh = tempfile::Builder::new().prefix(".shoal-cp-").tempdir_in(&beside).map_err(failed)?;
    let (sender, pieces) = mpsc::channel(QUEUE);
    let (into, packed) = (fresh.path().to_owned(), name.clone());
    let unpacked = tokio::task::spawn_blocking(move || unpack::unpack(Pieces::new(pieces), &into, &packed));
    let open = from.open(realm, &["sh", "-c", PACK, "shoal-cp", &directory, &name]);
    let side = (client, realm, from);
    let result = receive(side, open, async |piece| Ok(sender.send(piece).await.is_ok())).await;
    drop(sender);
    let unpacked = unpacked.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    let mut result = result?;
    if result.status == CHANGED {
        eprint!("{}", escape::block(&String::from_utf8_lossy(&result.said)));
        result.status = 0;
    }
    // What tar there says explains what is missing here.
    ended(from, "tar", &result)?;
    unpacked.and_then(|()| place::place(&fresh.path().join(&name), &wanted)).map_err(failed)
}

/// Copies a file's bytes to standard output.
pub(super) async fn to_stdout(client: &Client, realm: &RealmName, from: &NodePath) -> Result<(), CliError> {
    let mut stdout = Sink::stdout()?;
    let open = from.open(realm, &["sh", "-c", PRINT, "shoal-cp", &from.path]);
    let write = async |piece| stdout.write(piece).await.map(|()| true);
    let result = receive((client, realm, from), open, write).await?;
    stdout.finish().await?;
    ended(from, "cat", &result)
}

/// Hands a command's output to `take` until the command ends, or `take` returns false.
async fn receive(
    (client, ..): Side<'_>,
    open: ExecOpen,
    mut take: impl AsyncFnMut(Bytes) -> Result<bool, CliError>,
) -> Result<Ended, CliError> {
    let (_, mut answers) = inside::begin(client, open).await?;
    let (mut said, mut wanted) = (Vec::new(), true);
    while let Some(output) = answers.next().await? {
        match output {
            ExecOutput::Stdout(bytes) if wanted => wanted = take(bytes).await?,
            ExecOutput::Stdout(_) => {}
            ExecOutput::Stderr(bytes) => Ended::keep(&mut said, &bytes),
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
