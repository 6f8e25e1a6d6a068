//! The manual: a page for every command that is shown, from the arguments it takes.

use std::collections::BTreeMap;

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use crate::{args::Cli, generated::assert_published};

/// File name -> page, for a built command and its subcommands.
fn pages(command: &Command, so_far: &mut BTreeMap<String, String>) {
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let mut page = Vec::new();
    // No date: the page changes when the command does.
    let man = Man::new(command.clone()).title(&name).date("").source("shoal").manual("Shoal");
    man.render(&mut page).unwrap();
    so_far.insert(format!("{name}.1"), String::from_utf8(page).unwrap());
    for below in command.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help") {
        pages(below, so_far);
    }
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let mut command = Cli::command();
    command.build();
    let mut files = BTreeMap::new();
    pages(&command, &mut files);
    assert!(files.contains_key("shoal-create-cluster.1") && !files.contains_key("shoal-proxy.1"));
    for (name, page) in &files {
        assert!(page.contains(".SH SYNOPSIS"), "{name}");
    }
    assert_published("man", ".1", &files);
}
