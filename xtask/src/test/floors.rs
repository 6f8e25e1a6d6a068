//! The floors of every crate: which folder uses which, as the imports say.
//!
//! A folder directly below `src/` is a floor. An arrow goes from a folder to each other folder that its files name by
//! `crate::` or `super::`; test code does not count. Two folders that reach each other are a circle. Where a crate has an
//! order of floors (`ORDERED`), an arrow to a higher one is an error, too. A method needs no import: so in those crates a type
//! gets its methods in its own folder. An implementation of a trait is not seen.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::Context;

use crate::workspace::Workspace;

/// Crates whose floors have an order, the lowest first.
const ORDERED: &[(&str, &[&str])] =
    &[("coordinator", &["words", "fleet", "observe", "edit", "pass", "drive", "server"])];

/// Folder -> folder -> the first file with this arrow.
type Arrows = BTreeMap<String, BTreeMap<String, String>>;

/// The floors of one crate.
#[derive(Debug)]
pub(super) struct Floors {
    name: String,
    folders: BTreeSet<String>,
    arrows: Arrows,
    /// Type -> the folders that define one of this name.
    types: BTreeMap<String, BTreeSet<String>>,
    /// Type, folder that gives it methods, file.
    extended: Vec<(String, String, String)>,
}

/// Reads every crate that has folders.
///
/// # Errors
/// A file cannot be read.
pub(super) fn read(workspace: &Workspace) -> anyhow::Result<Vec<Floors>> {
    let mut crates: BTreeMap<String, Floors> = BTreeMap::new();
    for path in workspace.sources()? {
        let relative = path.strip_prefix(&workspace.root).unwrap_or(&path).display().to_string();
        let Some((name, file)) = relative.split_once("/src/") else { continue };
        let Some((folder, _)) = file.split_once('/') else { continue };
        let floors = crates.entry(name.to_owned()).or_insert_with(|| Floors {
            name: name.to_owned(),
            folders: BTreeSet::new(),
            arrows: Arrows::new(),
            types: BTreeMap::new(),
            extended: Vec::new(),
        });
        floors.folders.insert(folder.to_owned());
        if is_test(Path::new(file)) {
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        for line in text.lines() {
            if let Some(name) = defined(line) {
                floors.types.entry(name).or_default().insert(folder.to_owned());
            } else if let Some(name) = extended(line) {
                floors.extended.push((name, folder.to_owned(), relative.clone()));
            }
        }
        for used in used(&text, &module(file)) {
            if used != folder {
                let of = floors.arrows.entry(folder.to_owned()).or_default();
                of.entry(used).or_insert_with(|| relative.clone());
            }
        }
    }
    let mut crates: Vec<_> = crates.into_values().collect();
    for floors in &mut crates {
        // What is named at the root of a crate may be an item or a single file: neither is a floor.
        for of in floors.arrows.values_mut() {
            of.retain(|used, _| floors.folders.contains(used));
        }
        floors.arrows.retain(|_, of| !of.is_empty());
    }
    Ok(crates)
}

impl Floors {
    /// Arrows that must not be, each with the file that has it.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let order = ORDERED.iter().find(|(name, _)| *name == self.name).map_or(&[][..], |(_, order)| order);
        let floor = |folder: &str| order.iter().position(|f| *f == folder);
        for folder in self.folders.iter().filter(|f| !order.is_empty() && floor(f).is_none()) {
            faults.push(format!(
                "{}/src/{folder} has no place among the floors {}",
                self.name,
                order.join(" < ")
            ));
        }
        for (from, of) in &self.arrows {
            for (to, file) in of {
                if floor(from).zip(floor(to)).is_some_and(|(from, to)| to > from) {
                    faults.push(format!("{file}: {from} uses {to}, which is a floor above it"));
                } else if self.reaches(to, from) {
                    faults.push(format!("{file}: {from} uses {to}, which uses {from}"));
                }
            }
        }
        for (name, folder, file) in self.extended.iter().filter(|_| !order.is_empty()) {
            if let Some(homes) = self.types.get(name).filter(|homes| !homes.contains(folder)) {
                let homes = homes.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
                faults.push(format!("{file}: {name} gets methods in {folder}, and is of {homes}"));
            }
        }
        faults
    }

    /// Whether one folder uses another, by whatever way.
    fn reaches(&self, from: &str, to: &str) -> bool {
        let (mut open, mut seen) = (vec![from], BTreeSet::new());
        while let Some(folder) = open.pop() {
            if folder == to {
                return true;
            }
            if seen.insert(folder) {
                open.extend(self.arrows.get(folder).into_iter().flat_map(|of| of.keys()).map(String::as_str));
            }
        }
        false
    }

    /// A line for each folder that uses others.
    pub(super) fn drawing(&self) -> String {
        let lines = self.arrows.iter().map(|(from, of)| {
            let to = of.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            format!("  {from:<12} -> {to}\n")
        });
        format!("{}\n{}", self.name, lines.collect::<String>())
    }
}

fn is_test(file: &Path) -> bool {
    file.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs")
}

/// The path of a file's module: `a/b/mod.rs` is `a::b`, `a/b.rs` too.
fn module(file: &str) -> Vec<String> {
    let mut parts: Vec<String> = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

/// What a file's code names at the root of its crate.
fn used(text: &str, module: &[String]) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let code: String =
        code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        if !continues_a_word(&code, at) {
            found.extend(first_names(&code[at + "crate::".len()..]));
        }
    }
    for (at, _) in code.match_indices("super::") {
        if continues_a_word(&code, at) || code[..at].ends_with("super::") {
            continue;
        }
        let mut rest = &code[at..];
        let mut up = 0;
        while let Some(after) = rest.strip_prefix("super::") {
            (rest, up) = (after, up + 1);
        }
        match module.len().checked_sub(up) {
            Some(0) => found.extend(first_names(rest)),
            Some(_) => drop(found.insert(module[0].clone())),
            None => {}
        }
    }
    found
}

/// The type that a line defines.
fn defined(line: &str) -> Option<String> {
    let words =
        line.trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ").trim_start_matches("pub ");
    let rest = words.strip_prefix("struct ").or_else(|| words.strip_prefix("enum "))?;
    Some(first_names(rest).swap_remove(0))
}

/// The type that a line begins to give methods of its own.
fn extended(line: &str) -> Option<String> {
    let rest = line.strip_prefix("impl").filter(|rest| !rest.contains(" for "))?;
    let rest = match rest.strip_prefix('<') {
        Some(generic) => generic.split_once("> ")?.1,
        None => rest.strip_prefix(' ')?,
    };
    Some(first_names(rest).swap_remove(0))
}

fn continues_a_word(code: &str, at: usize) -> bool {
    code[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_')
}

/// The names a path may begin with: `a::b` is `a`; `{a::{b}, c}` is `a` and `c`.
fn first_names(rest: &str) -> Vec<String> {
    let word = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let Some(group) = rest.strip_prefix('{') else { return vec![word(rest)] };
    let (mut depth, mut names, mut fresh) = (0, Vec::new(), true);
    for (at, c) in group.char_indices() {
        match c {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            c if depth == 0 && fresh && !c.is_whitespace() => {
                names.push(word(&group[at..]));
                fresh = false;
            }
            _ => {}
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floors(name: &str, arrows: &[(&str, &str)]) -> Floors {
        let mut floors = Floors {
            name: name.into(),
            folders: BTreeSet::new(),
            arrows: Arrows::new(),
            types: BTreeMap::new(),
            extended: Vec::new(),
        };
        for (from, to) in arrows {
            floors.folders.extend([(*from).to_owned(), (*to).to_owned()]);
            floors.arrows.entry((*from).into()).or_default().insert((*to).into(), format!("{from}/x.rs"));
        }
        floors
    }

    #[test]
    fn names_are_read_from_imports_and_paths() {
        let text = "//! crate::comment\nuse crate::{\n    a::{b, c},\n    D,\n    e::f,\n};\nuse super::g::H;\nuse super::super::i::J;\n\
                    fn x() { crate::k::l(); mycrate::m(); }\n#[cfg(test)]\nmod tests { use crate::n; }\n";
        let module = module("here/deep.rs");
        let names: Vec<_> = used(text, &module).into_iter().collect();
        assert_eq!(names, ["D", "a", "e", "here", "i", "k"]);
    }

    #[test]
    fn a_circle_and_an_arrow_up_are_faults() {
        assert!(floors("any", &[("a", "b"), ("b", "c"), ("a", "c")]).faults().is_empty());
        assert_eq!(floors("any", &[("a", "b"), ("b", "c"), ("c", "a")]).faults().len(), 3);
        let down = floors("coordinator", &[("server", "drive"), ("drive", "words")]);
        assert!(down.faults().is_empty(), "{:?}", down.faults());
        let up = floors("coordinator", &[("fleet", "pass")]).faults();
        assert_eq!(up, ["fleet/x.rs: fleet uses pass, which is a floor above it"]);
        assert_eq!(floors("coordinator", &[("attic", "words")]).faults().len(), 1);
    }

    #[test]
    fn a_type_gets_its_methods_in_its_own_folder() {
        let mut floors = floors("coordinator", &[("drive", "pass")]);
        assert_eq!(defined("pub(crate) struct Work {").as_deref(), Some("Work"));
        assert_eq!(extended("impl<T: Send> Work<T> {").as_deref(), Some("Work"));
        assert_eq!(extended("impl fmt::Display for Work {"), None);
        floors.types.entry("Work".into()).or_default().insert("pass".into());
        floors.extended.push(("Work".into(), "pass".into(), "pass/x.rs".into()));
        assert!(floors.faults().is_empty());
        floors.extended.push(("Work".into(), "drive".into(), "drive/x.rs".into()));
        assert_eq!(floors.faults(), ["drive/x.rs: Work gets methods in drive, and is of pass"]);
    }

    #[test]
    fn the_floors_of_this_workspace_are_drawn() {
        let crates = read(&Workspace::find().unwrap()).unwrap();
        let coordinator = crates.iter().find(|floors| floors.name == "coordinator").unwrap();
        assert!(coordinator.drawing().contains("server"), "{}", coordinator.drawing());
        assert!(coordinator.arrows["server"].contains_key("drive"));
    }
}
