//! Colours: what state a thing is in, and how full something is, at a glance. They are always in the text for people and
//! are left out where it is written, unless that is a terminal of a person who wants them.

use std::fmt::Display;

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthChar;

use super::bar;

const GOOD: Style = AnsiColor::Green.on_default();
const UNDER_WAY: Style = AnsiColor::Yellow.on_default();
const BAD: Style = AnsiColor::Red.on_default();

/// From this share on something is nearly full, and from that on it is full, in percent.
const NEARLY_FULL: usize = 75;
const FULL: usize = 95;

/// The text in a style.
pub(crate) fn styled(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// What the word of a state or phase, or of a level of an event, looks like.
pub(crate) fn of_word(word: &str) -> Option<Style> {
    match word {
        "ready" => Some(GOOD),
        "planned" | "created" | "creating" | "starting" | "deleting" | "interrupted" | "stopped"
        | "absent" | "engine-down" | "warn" | "warning:" => Some(UNDER_WAY),
        "failed" | "unreachable" | "error" | "error:" => Some(BAD),
        _ => None,
    }
}

/// What a bar looks like: the fuller, the worse.
fn of_bar(cell: &str) -> Option<Style> {
    let bar: Vec<char> = cell.chars().take_while(|c| bar::is_part(*c)).collect();
    let full = bar.iter().filter(|c| bar::is_full(**c)).count() * 100;
    Some(match full.checked_div(bar.len())? {
        share if share >= FULL => BAD,
        share if share >= NEARLY_FULL => UNDER_WAY,
        _ => GOOD,
    })
}

/// A table whose first line is its header, with bars and the words under `STATE`, `PHASE`, `AGENT` and `LEVEL` coloured.
/// Its columns are aligned left and begin where their heads do.
pub(super) fn table(text: &str, header: &[&str]) -> String {
    let Some(first) = text.lines().next() else { return String::new() };
    let mut from = 0;
    let starts: Vec<usize> = header
        .iter()
        .map(|head| {
            let start = first[from..].find(head).map_or(from, |at| from + at);
            from = start + head.len();
            start
        })
        .collect();
    let row = |line: &str| {
        let cells = starts.iter().enumerate().map(|(i, start)| {
            let cell = columns(line, *start, starts.get(i + 1).copied());
            let style = match header[i] {
                "STATE" | "PHASE" | "AGENT" | "LEVEL" => of_word(cell.trim_end()),
                _ => of_bar(cell),
            };
            match style {
                Some(style) => painted(style, cell),
                None => cell.to_owned(),
            }
        });
        cells.collect::<String>()
    };
    let rows = text.lines().skip(1).map(|line| format!("\n{}", row(line)));
    format!("{first}{}", rows.collect::<String>())
}

/// The first word of a cell in a style.
fn painted(style: Style, cell: &str) -> String {
    let end = cell.find(' ').unwrap_or(cell.len());
    styled(style, &cell[..end]) + &cell[end..]
}

/// What stands in the columns of a terminal from one to before another.
fn columns(line: &str, from: usize, to: Option<usize>) -> &str {
    let at = |column: usize| {
        let mut width = 0;
        line.char_indices()
            .find(|(_, c)| {
                let here = width >= column;
                width += c.width().unwrap_or(0);
                here
            })
            .map_or(line.len(), |(at, _)| at)
    };
    &line[at(from)..to.map_or(line.len(), at)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_and_bars() {
        let text = "NAME  STATE   CPUS\na     ready   ██··  1/2\nbü漢  failed  ████ 2/2\nc";
        assert_eq!(
            table(text, &["NAME", "STATE", "CPUS"]),
            "NAME  STATE   CPUS\na     \u{1b}[32mready\u{1b}[0m   \u{1b}[32m██··\u{1b}[0m  1/2\n\
             bü漢  \u{1b}[31mfailed\u{1b}[0m  \u{1b}[31m████\u{1b}[0m 2/2\nc"
        );
    }
}
