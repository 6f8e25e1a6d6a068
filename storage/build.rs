//! Embeds the migrations: writes a Rust file with a list for each database, `(version, description, SQL)` in order.
//!
//! `sqlx::migrate!` does the same. It needs the crate of sqlx's macros, which links both database drivers and everything below
//! them, so that all of it, SQLite's C included, would be compiled a second time for the compiler's own use.

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// Directory below `migrations/` -> name of its list.
const LISTS: [(&str, &str); 2] = [("sqlite", "SQLITE"), ("postgres", "POSTGRES")];

/// Version, description, file.
type Migration = (i64, String, PathBuf);

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=../migrations");
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../migrations");
    let mut written = String::new();
    for (directory, name) in LISTS {
        writeln!(written, "const {name}: &[(i64, &str, &str)] = &[")?;
        for (version, description, file) in list(&root.join(directory))? {
            writeln!(
                written,
                "    ({version}, {description:?}, include_str!({:?})),",
                file.display().to_string()
            )?;
        }
        writeln!(written, "];")?;
    }
    Ok(fs::write(PathBuf::from(env::var("OUT_DIR")?).join("migrations.rs"), written)?)
}

/// The files `NUMBER_some_words.sql` of a directory by number, with their words.
fn list(directory: &Path) -> Result<Vec<Migration>, Box<dyn Error>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let file = fs::canonicalize(entry?.path())?;
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let parts = name.strip_suffix(".sql").and_then(|stem| stem.split_once('_'));
        let (number, words) = parts.ok_or_else(|| format!("{name} is not called NUMBER_some_words.sql"))?;
        let version = number.parse().map_err(|_| format!("{name} does not begin with a number"))?;
        found.push((version, words.replace('_', " "), file));
    }
    found.sort();
    Ok(found)
}
