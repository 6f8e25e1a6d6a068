//! `shoal store`: the store as a file, and back.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, BufWriter, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use shoal_coordinator::{CoordinatorError, export_store, import_store, reach};

use crate::{
    args::Global,
    connect::{ServerError, told_options},
    error::CliError,
    exit::Exit,
    interrupt::Interrupt,
};

/// What stands for standard input or output.
const STREAM: &str = "-";

/// Arguments of `store`.
#[derive(Debug, Args)]
pub(crate) struct StoreCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Write the whole store to a file
    ///
    /// Secrets stay sealed: whoever imports the file needs the key of this store, too. Nothing may work with the store meanwhile.
    Export(Export),
    /// Fill an empty store from a file that `shoal store export` wrote
    ///
    /// The key must be the one of the exported store: copy it to the state directory, or name it with `SHOAL_KEY_FILE`. All is
    /// imported, or nothing. The installation stays the same one, so that its clusters go on; the store it came from must not be used
    /// any more.
    Import(Import),
}

#[derive(Debug, Args)]
struct Export {
    /// The file, which must not be there yet; `-` for standard output
    file: PathBuf,
}

#[derive(Debug, Args)]
struct Import {
    /// The file; `-` for standard input
    file: PathBuf,
}

impl StoreCommand {
    pub(super) async fn run(self, global: &Global, interrupt: &Interrupt) -> Result<Exit, CliError> {
        let socket = global.socket()?;
        if reach(&socket).await.map_err(CoordinatorError::from)?.is_some() {
            return Err(ServerError::Serves { socket }.into());
        }
        let work = async {
            match self.what {
                What::Export(Export { file }) => export(global, &file).await,
                What::Import(Import { file }) => import(global, &file).await,
            }
        };
        tokio::select! {
            done = work => done.map(|()| Exit::Ok),
            () = interrupt.asked() => Err(CliError::Interrupted),
        }
    }
}

/// A file that goes again unless it was finished.
struct Draft<'a>(Option<&'a Path>);

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if let Some(path) = self.0 {
            drop(fs::remove_file(path));
        }
    }
}

async fn export(global: &Global, path: &Path) -> Result<(), CliError> {
    let options = told_options(global)?;
    if path == Path::new(STREAM) {
        let mut out = BufWriter::new(io::stdout());
        export_store(options, &mut out).await?;
        return out.flush().map_err(CliError::Stdout);
    }
    let failed = |source| CliError::File { action: "write", path: path.to_owned(), source };
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    let mut draft = Draft(Some(path));
    let mut out = BufWriter::new(file);
    let done = export_store(options, &mut out).await?;
    let file = out.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    draft.0 = None;
    let (id, rows) = (done.installation, done.rows);
    global.screen().progress(&format!("exported installation {id}, {rows} rows, to {}", path.display()))
}

async fn import(global: &Global, path: &Path) -> Result<(), CliError> {
    let options = told_options(global)?;
    let place = options.place().map_err(CliError::from)?;
    let done = if path == Path::new(STREAM) {
        import_store(options, BufReader::new(io::stdin())).await?
    } else {
        let failed = |source| CliError::File { action: "read", path: path.to_owned(), source };
        import_store(options, BufReader::new(File::open(path).map_err(failed)?)).await?
    };
    let (id, rows) = (done.installation, done.rows);
    global.screen().progress(&format!("imported installation {id}, {rows} rows, into {place}"))
}
