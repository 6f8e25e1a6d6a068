//! A line of a terminal: pieces of text in styles, cut where the terminal ends.

use anstyle::Style;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::{escape, output::styled};

/// What stands where text was cut.
const CUT: char = '…';

/// Pieces, left to right; their text is safe for a terminal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Line(Vec<(Style, String)>);

impl Line {
    /// With a piece more.
    pub(super) fn with(mut self, style: Style, text: impl AsRef<str>) -> Self {
        self.0.push((style, escape::line(text.as_ref())));
        self
    }

    /// With plain text more.
    pub(super) fn text(self, text: impl AsRef<str>) -> Self {
        self.with(Style::new(), text)
    }

    /// With blanks up to a column, two at least.
    pub(super) fn to(self, column: usize) -> Self {
        let blanks = column.saturating_sub(self.width()).max(2);
        self.text(" ".repeat(blanks))
    }

    /// Columns it takes.
    pub(super) fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| text.width()).sum()
    }

    /// The same in at most so many columns.
    pub(super) fn cut(self, columns: usize) -> Self {
        if self.width() <= columns {
            return self;
        }
        let mut room = columns.saturating_sub(1);
        let mut pieces = Vec::new();
        for (style, text) in self.0 {
            let mut end = 0;
            for (at, c) in text.char_indices() {
                let width = c.width().unwrap_or(0);
                if width > room {
                    room = 0;
                    break;
                }
                room -= width;
                end = at + c.len_utf8();
            }
            pieces.push((style, text[..end].to_owned()));
            if room == 0 {
                break;
            }
        }
        if columns > 0 {
            pieces.push((Style::new(), CUT.into()));
        }
        Self(pieces)
    }

    /// As a terminal takes it.
    pub(super) fn styled(&self) -> String {
        let piece = |(style, text): &(Style, String)| match *style == Style::new() {
            true => text.clone(),
            false => styled(*style, text),
        };
        self.0.iter().map(piece).collect()
    }

    /// Without styles.
    pub(super) fn plain(&self) -> String {
        self.0.iter().map(|(_, text)| text.as_str()).collect()
    }
}

/// Text in at most so many columns.
pub(super) fn shortened(text: &str, columns: usize) -> String {
    Line::default().text(text).cut(columns).plain()
}

#[cfg(test)]
mod tests {
    use anstyle::AnsiColor;

    use super::*;

    #[test]
    fn cut_by_columns_not_by_bytes() {
        let line =
            || Line::default().text("grün").with(AnsiColor::Red.on_default(), "漢字").text(" \u{1b}[1m");
        assert_eq!(line().width(), 18);
        assert_eq!(line().cut(18).plain(), "grün漢字 \\u{1b}[1m");
        assert_eq!(line().cut(7).plain(), "grün漢…");
        assert_eq!(line().cut(6).plain(), "grün…");
        assert_eq!(line().cut(1).plain(), "…");
        assert_eq!(line().cut(0).plain(), "");
        assert_eq!(line().cut(8).styled(), "grün\u{1b}[31m漢\u{1b}[0m…");
    }
}
