//! Files of the documentation that are made from the code: each is as the code has it, or a test fails.
//!
//! `cargo xtask docs` writes them anew.

use std::{collections::BTreeMap, env, fs, path::PathBuf};

/// Asserts that a directory of the documentation holds exactly these files (name -> text) of those with this ending.
pub(crate) fn assert_published(directory: &str, ending: &str, files: &BTreeMap<String, String>) {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs").join(directory);
    let there = || -> Vec<String> {
        let entries = fs::read_dir(&directory).into_iter().flatten();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(ending)).collect()
    };
    if env::var_os("SHOAL_UPDATE_DOCS").is_some_and(|value| value == "1") {
        fs::create_dir_all(&directory).unwrap();
        for name in there().iter().filter(|name| !files.contains_key(*name)) {
            fs::remove_file(directory.join(name)).unwrap();
        }
        for (name, text) in files {
            fs::write(directory.join(name), text).unwrap();
        }
    }
    for (name, text) in files {
        let published = fs::read_to_string(directory.join(name)).unwrap_or_default();
        assert!(published == *text, "docs: {name} is not as the code has it; run `cargo xtask docs`");
    }
    for name in there() {
        assert!(files.contains_key(&name), "docs: {name} is made of nothing; run `cargo xtask docs`");
    }
}
