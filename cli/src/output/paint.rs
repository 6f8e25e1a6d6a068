//! Colours and bars: states, and how much of an amount is used, promised or done, at a glance. Text for people always has
//! colours; [`super::Screen`] strips them unless it writes to a terminal of a person who wants them.

use std::fmt::Display;

use anstyle::{AnsiColor, Style};
use shoal_api::Phase;
use shoal_types::{AgentState, EventLevel, HostState, NodeState};
use unicode_width::UnicodeWidthChar;

const GOOD: Style = AnsiColor::Green.on_default();
const UNDER_WAY: Style = AnsiColor::Yellow.on_default();
const BAD: Style = AnsiColor::Red.on_default();

/// Shares, in percent, from which a bar is painted as nearly full and as full.
const NEARLY_FULL_PERCENT: usize = 75;
const FULL_PERCENT: usize = 95;
/// A full column of a bar, and an empty one.
const FULL: char = '█';
const EMPTY: char = '·';
/// The last column of a bar, in eighths.
const EIGHTHS: [char; 8] = [EMPTY, '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/// The text in a style.
pub(crate) fn styled(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// What a word of a state looks like.
pub(crate) trait Looks: Copy {
    /// The word.
    fn word(self) -> &'static str;

    /// Its style; `None`: as the rest of the text.
    fn looks(self) -> Option<Style>;

    /// The word in its style.
    fn painted(self) -> String {
        let word = self.word();
        self.looks().map_or_else(|| word.to_owned(), |style| styled(style, word))
    }
}

impl Looks for HostState {
    fn word(self) -> &'static str {
        self.as_str()
    }

    fn looks(self) -> Option<Style> {
        Some(match self {
            Self::Ready => GOOD,
            Self::EngineDown => UNDER_WAY,
            Self::Unreachable => BAD,
        })
    }
}

impl Looks for AgentState {
    fn word(self) -> &'static str {
        self.as_str()
    }

    fn looks(self) -> Option<Style> {
        Some(match self {
            Self::Ready => GOOD,
            Self::Absent => UNDER_WAY,
        })
    }
}

impl Looks for NodeState {
    fn word(self) -> &'static str {
        self.as_str()
    }

    fn looks(self) -> Option<Style> {
        Some(match self {
            Self::Ready => GOOD,
            Self::Planned | Self::Created | Self::Starting | Self::Stopped => UNDER_WAY,
            Self::Failed | Self::Failing => BAD,
        })
    }
}

impl Looks for Phase {
    fn word(self) -> &'static str {
        self.as_str()
    }

    fn looks(self) -> Option<Style> {
        Some(match self {
            Self::Ready => GOOD,
            Self::Creating | Self::Deleting | Self::Interrupted => UNDER_WAY,
            Self::Failed => BAD,
        })
    }
}

impl Looks for EventLevel {
    fn word(self) -> &'static str {
        self.as_str()
    }

    fn looks(self) -> Option<Style> {
        match self {
            Self::Info => None,
            Self::Warn => Some(UNDER_WAY),
            Self::Error => Some(BAD),
        }
    }
}

/// The style of the value that is shown as this word, if one of them is.
fn of_one<T: Looks>(all: &[T], word: &str) -> Option<Style> {
    all.iter().find(|value| value.word() == word)?.looks()
}

/// What a cell with a state looks like, whichever kind of state it is.
fn of_state(word: &str) -> Option<Style> {
    of_one(&HostState::ALL, word)
        .or_else(|| of_one(&AgentState::ALL, word))
        .or_else(|| of_one(&NodeState::ALL, word))
        .or_else(|| of_one(Phase::ALL, word))
        .or_else(|| of_one(&EventLevel::ALL, word))
}

/// `part` of `whole` as a bar of `columns`. A part beyond the whole is a full bar; a part of nothing an empty one.
pub(crate) fn bar(part: u64, whole: u64, columns: usize) -> String {
    let all = columns as u128 * 8;
    let eighths = (u128::from(part) * all).checked_div(u128::from(whole)).unwrap_or(0).min(all);
    // Something is never shown as nothing.
    let eighths = if eighths == 0 && part > 0 && whole > 0 { 1 } else { eighths };
    let eighths = usize::try_from(eighths).unwrap_or(usize::MAX);
    let (full, rest) = (eighths / 8, eighths % 8);
    let cell = |column: usize| match column {
        column if column < full => FULL,
        column if column == full => EIGHTHS[rest],
        _ => EMPTY,
    };
    (0..columns).map(cell).collect()
}

/// Whether a bar can hold this character.
fn is_part(c: char) -> bool {
    c == FULL || EIGHTHS.contains(&c)
}

/// Whether this is a full column, or nearly.
fn is_full(c: char) -> bool {
    matches!(c, FULL | '▋' | '▊' | '▉')
}

/// The style of a bar: the fuller, the worse.
fn of_bar(cell: &str) -> Option<Style> {
    let bar: Vec<char> = cell.chars().take_while(|c| is_part(*c)).collect();
    let full = bar.iter().filter(|c| is_full(**c)).count() * 100;
    Some(match full.checked_div(bar.len())? {
        share if share >= FULL_PERCENT => BAD,
        share if share >= NEARLY_FULL_PERCENT => UNDER_WAY,
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
                "STATE" | "PHASE" | "AGENT" | "LEVEL" => of_state(cell.trim_end()),
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

    #[test]
    fn as_full_as_it_is() {
        assert_eq!(bar(0, 10, 5), "·····");
        assert_eq!(bar(1, 1_000_000, 5), "▏····");
        assert_eq!(bar(5, 10, 5), "██▌··");
        assert_eq!(bar(10, 10, 5), "█████");
        assert_eq!(bar(u64::MAX, 1, 5), "█████");
        assert_eq!(bar(u64::MAX, u64::MAX, 2), "██");
        assert_eq!(bar(3, 0, 3), "···");
    }
}
