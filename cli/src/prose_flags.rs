//! Flags that the prose names exist: README, CONTRIBUTING and the pages of docs/, held against the arguments of `shoal`.
//!
//! ```text
//! `shoal create --wait 5m`, $ shoal create ...   a command: its flags belong to that subcommand
//! `--wait 5m`, `-q`, --wait                      a flag alone: some subcommand of shoal has it, or OTHER_FLAGS names it
//! `cargo xtask test --tier unit`                 another program: OTHER_PROGRAMS names it, and its flags are its own
//! ```

use std::{collections::BTreeSet, fs, path::Path};

use clap::{Command, CommandFactory};

use crate::args::Cli;

/// Programs beside `shoal` whose command lines the pages show.
const OTHER_PROGRAMS: [&str; 9] =
    ["ansible", "cargo", "docker", "journalctl", "shoal-lab", "ssh", "ssh-keygen", "systemctl", "usermod"];
/// Flags of `cargo xtask soak` that the prose names without their command.
const OTHER_FLAGS: [&str; 2] = ["--keep", "--seed"];
/// Words of a shell before a command's own first word.
const BEFORE: [&str; 5] = ["env", "sudo", "time", "xargs", ">"];

/// The flags that the arguments of a program define.
struct Defined {
    root: Command,
    /// Flags of any subcommand.
    all: BTreeSet<String>,
}

impl Defined {
    fn new(mut root: Command) -> Self {
        root.build();
        let mut all = BTreeSet::new();
        collect(&root, &mut all);
        Self { root, all }
    }

    /// Flags of a command line of `shoal`, its words after the program's name, that its subcommand does not have.
    fn unknown_of<'a>(&self, words: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
        let mut command = &self.root;
        let mut unknown = Vec::new();
        for word in words.take_while(|word| *word != "--") {
            match (flag(word), command.find_subcommand(word)) {
                (Some(flag), _) if !flags(command).any(|has| has == flag) => unknown.push(flag),
                (None, Some(below)) => command = below,
                (Some(_) | None, _) => {}
            }
        }
        unknown
    }
}

fn flags(command: &Command) -> impl Iterator<Item = String> {
    command.get_arguments().flat_map(|argument| {
        let long =
            argument.get_long_and_visible_aliases().into_iter().flatten().map(|long| format!("--{long}"));
        let short =
            argument.get_short_and_visible_aliases().into_iter().flatten().map(|short| format!("-{short}"));
        long.chain(short)
    })
}

fn collect(command: &Command, all: &mut BTreeSet<String>) {
    all.extend(flags(command));
    command.get_subcommands().for_each(|below| collect(below, all));
}

/// A word's flag: `--wait` of `--wait=5m,`, `-i` of `-it`. A dash alone, and a number below zero, are no flags.
fn flag(word: &str) -> Option<&str> {
    let word = word.trim_start_matches(['(', '[', '"', '\'']);
    let name = word.strip_prefix("--").or_else(|| word.strip_prefix('-'))?;
    let dashes = word.len() - name.len();
    let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(name.len());
    match (dashes, name.as_bytes().first()) {
        (2, Some(b'a'..=b'z')) => Some(&word[..dashes + end]),
        // Short flags may stand together; the first is enough.
        (1, Some(b'a'..=b'z' | b'A'..=b'Z')) => Some(&word[..2]),
        _ => None,
    }
}

/// Flags of one line of a shell that `shoal` does not have; other programs' flags are their own.
fn faults_of_shell(defined: &Defined, line: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for command in line.split(['|', ';']).flat_map(|part| part.split("&&")) {
        let mut words = command.split_whitespace().skip_while(|word| {
            BEFORE.contains(word) || word.split_once('=').is_some_and(|(name, _)| !name.starts_with('-'))
        });
        if words.next() == Some("shoal") {
            faults.extend(defined.unknown_of(words).into_iter().map(str::to_owned));
        }
    }
    faults
}

/// Flags of a span of code within prose that do not exist.
fn faults_of_span(defined: &Defined, span: &str) -> Vec<String> {
    let mut words = span.split_whitespace();
    let first = words.clone().find(|word| !word.contains('=') || word.starts_with('-')).unwrap_or_default();
    if first == "shoal" {
        return faults_of_shell(defined, span);
    }
    if OTHER_PROGRAMS.contains(&first) {
        return Vec::new();
    }
    words.by_ref().filter_map(flag).filter(|flag| !known(defined, flag)).map(str::to_owned).collect()
}

fn known(defined: &Defined, flag: &str) -> bool {
    defined.all.contains(flag) || OTHER_FLAGS.contains(&flag)
}

/// Everything in a page that names a flag which does not exist: line and flag.
fn faults(defined: &Defined, page: &str) -> Vec<(usize, String)> {
    let mut faults = Vec::new();
    let mut within_block = false;
    for (number, line) in (1..).zip(page.lines()) {
        let found = if line.trim_start().starts_with("```") {
            within_block = !within_block;
            Vec::new()
        } else if within_block {
            // Output is not looked at, nor are files.
            let command = line.strip_prefix("$ ").or_else(|| line.strip_prefix("> ")).unwrap_or(line);
            faults_of_shell(defined, command)
        } else {
            let pieces = line.split('`').enumerate();
            let faults = pieces.map(|(at, piece)| match at % 2 {
                1 => faults_of_span(defined, piece),
                _ => piece
                    .split_whitespace()
                    .filter_map(flag)
                    .filter(|f| f.len() > 2 && !known(defined, f))
                    .map(str::to_owned)
                    .collect(),
            });
            faults.flatten().collect()
        };
        faults.extend(found.into_iter().map(|flag| (number, flag)));
    }
    faults
}

#[test]
fn every_flag_of_the_prose_exists() {
    let defined = Defined::new(Cli::command());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut pages = vec![root.join("README.md"), root.join("CONTRIBUTING.md"), root.join("ARCHITECTURE.md")];
    let docs = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    pages.extend(docs.filter(|path| path.extension().is_some_and(|ending| ending == "md")));
    assert!(pages.len() > 8, "{pages:?}");
    for path in pages {
        let unknown = faults(&defined, &fs::read_to_string(&path).unwrap());
        assert!(unknown.is_empty(), "{}: no such flags (line, flag): {unknown:?}", path.display());
    }
}

#[test]
fn a_misspelt_flag_is_found_wherever_it_stands() {
    let defined = Defined::new(Cli::command());
    for (page, flag) in [
        ("`--overcommit-cpu` changes the factor", "--overcommit-cpu"),
        ("without a span: --overcomit cpu=4", "--overcomit"),
        ("`shoal sweep --dry-run --really`", "--really"),
        // The flag of another subcommand.
        ("`shoal delete cluster dev --workers 2`", "--workers"),
        ("a misspelt program: `shaol create --wiat 5m`", "--wiat"),
        ("`-Z`", "-Z"),
        ("```console\n$ shoal create cluster dev --worker 4\n```", "--worker"),
        ("```console\n$ A=b shoal get nodes --wide\n```", "--wide"),
        ("```console\n$ shoal get clusters -o name | xargs shoal delete cluster --quite\n```", "--quite"),
        ("```text\n$ shoal register host1 --dokcer=tcp://a:1\n```", "--dokcer"),
    ] {
        let found = faults(&defined, page);
        assert!(found.iter().any(|(_, unknown)| unknown == flag), "{page}: {found:?}");
    }
}

#[test]
fn right_flags_and_other_programs_pass() {
    let defined = Defined::new(Cli::command());
    for page in [
        "`--wait 5m`, `-q`, `-o json`, `-`, `-1`, `--seed`: `shoal COMMAND --help`",
        "`shoal exec -it dev -- bash --login`, `shoal --realm lab get nodes --quiet`",
        "`cargo xtask test --tier e2e`, `docker build -t a`, `SHOAL_LAB=x cargo test -p shoal-tests --test e2e`",
        "```console\n$ shoal exec dev -- sinfo --format '%n'\n  --no-such in what is printed\n```",
        "a table |---|---|, a dash -- and an arrow -->",
    ] {
        assert_eq!(faults(&defined, page), [], "{page}");
    }
}
