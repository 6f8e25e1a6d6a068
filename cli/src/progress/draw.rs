//! Draws a block of lines again and again in its place. No library has this alone: those for bars own the state of what
//! they draw, and here that is told by events.
//!
//! Every frame is one write: up to the first line of the last frame, each line over the old one, the rest erased. A terminal
//! that knows synchronized output (<https://github.com/contour-terminal/vt-extensions>) shows it at once; others ignore the marks.

use std::{
    io::{self, Write},
    sync::atomic::{AtomicBool, Ordering},
};

use super::line::Line;

const BEGIN: &str = "\u{1b}[?2026h";
const END: &str = "\u{1b}[?2026l";
const HIDE: &str = "\u{1b}[?25l";
const SHOW: &str = "\u{1b}[?25h";
/// To the end of the line, to the end of the screen.
const ERASE_LINE: &str = "\u{1b}[K";
const ERASE_BELOW: &str = "\u{1b}[J";

/// Rows and columns of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// What was drawn last.
#[derive(Debug)]
pub(super) struct Block {
    colours: bool,
    /// The width of each line.
    widths: Vec<usize>,
}

impl Block {
    /// Nothing yet; with colours or without.
    pub(super) fn new(colours: bool) -> Self {
        Self { colours, widths: Vec::new() }
    }

    fn text(&self, line: &Line) -> String {
        if self.colours { line.styled() } else { line.plain() }
    }

    /// What a terminal of this size needs to show `above` for good and then `lines` in place of the last ones. A line keeps
    /// off the last column: there some terminals wrap, and erase what they should not.
    pub(super) fn frame(&mut self, above: &[Line], lines: Vec<Line>, size: Size) -> String {
        let mut text = format!("{BEGIN}{}", self.up(size));
        for line in above {
            text += &format!("{}{ERASE_LINE}\r\n", self.text(line));
        }
        self.widths.clear();
        for line in lines.into_iter().map(|line| line.cut(size.columns.saturating_sub(1))) {
            text += &format!("{}{ERASE_LINE}\r\n", self.text(&line));
            self.widths.push(line.width());
        }
        text + ERASE_BELOW + END
    }

    /// To the first row of what was drawn last. A terminal that became narrower has wrapped it into more rows.
    fn up(&self, size: Size) -> String {
        let rows: usize = self.widths.iter().map(|width| width.div_ceil(size.columns.max(1)).max(1)).sum();
        match rows {
            0 => "\r".into(),
            rows => format!("\r\u{1b}[{rows}A"),
        }
    }
}

/// The cursor of a terminal, hidden while something is drawn.
#[derive(Debug)]
pub(super) struct Cursor {
    hidden: AtomicBool,
}

impl Cursor {
    /// One that is seen.
    pub(super) const fn shown() -> Self {
        Self { hidden: AtomicBool::new(false) }
    }

    /// Hides it.
    ///
    /// # Errors
    /// The terminal is gone.
    pub(super) fn hide(&self, out: &mut impl Write) -> io::Result<()> {
        self.hidden.store(true, Ordering::Relaxed);
        out.write_all(HIDE.as_bytes())
    }

    /// Shows it, if it was hidden.
    pub(super) fn restore(&self, out: &mut impl Write) {
        if self.hidden.swap(false, Ordering::Relaxed) {
            // Without the terminal there is no cursor either.
            let _ = out.write_all(SHOW.as_bytes()).and_then(|()| out.flush());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { columns: 20, rows: 10 };

    fn lines<const N: usize>(lines: [&str; N]) -> Vec<Line> {
        lines.into_iter().map(|line| Line::default().text(line)).collect()
    }

    fn terminal(rows: u16, scrollback: usize) -> vt100::Parser {
        vt100::Parser::new(rows.try_into().unwrap(), 20.try_into().unwrap(), scrollback)
    }

    /// What a terminal shows after some writes.
    fn screen(terminal: &vt100::Parser) -> String {
        terminal.screen().contents()
    }

    #[test]
    fn a_frame_replaces_the_last_and_what_is_above_stays() {
        let mut terminal = terminal(10, 0);
        let mut block = Block::new(false);
        terminal.process(b"$ shoal create\r\n");
        terminal.process(block.frame(&[], lines(["one", "two of three", "three"]), SIZE).as_bytes());
        assert_eq!(screen(&terminal), "$ shoal create\none\ntwo of three\nthree");
        terminal.process(block.frame(&lines(["kept"]), lines(["uno", "dos"]), SIZE).as_bytes());
        assert_eq!(screen(&terminal), "$ shoal create\nkept\nuno\ndos");
        terminal.process(block.frame(&[], vec![], SIZE).as_bytes());
        terminal.process(b"done");
        assert_eq!(screen(&terminal), "$ shoal create\nkept\ndone");
    }

    #[test]
    fn it_scrolls_at_the_bottom() {
        let mut terminal = terminal(4, 10);
        let mut block = Block::new(false);
        terminal.process(b"a\r\nb\r\nc\r\n");
        for n in 0..3 {
            let text = format!("frame {n}");
            terminal.process(block.frame(&[], lines([&text, "x"]), SIZE).as_bytes());
            assert_eq!(screen(&terminal), format!("c\nframe {n}\nx"));
        }
    }

    #[test]
    fn no_line_is_as_wide_as_the_terminal_and_wrapped_ones_are_counted() {
        let mut block = Block::new(false);
        let frame = block.frame(&[], lines(["123456789012345678901234567890"]), SIZE);
        assert!(frame.contains("123456789012345678…\u{1b}[K"), "{frame:?}");
        // 19 columns wrap into two rows of 10, or three of 9.
        for (columns, up) in [(20, "\r\u{1b}[1A"), (10, "\r\u{1b}[2A"), (9, "\r\u{1b}[3A")] {
            assert_eq!(block.up(Size { columns, rows: 10 }), up);
        }
    }

    #[test]
    fn colours_are_left_out_where_nobody_wants_them() {
        let red = || vec![Line::default().with(anstyle::AnsiColor::Red.on_default(), "red")];
        assert!(Block::new(true).frame(&red(), vec![], SIZE).contains("\u{1b}[31mred"));
        let plain = Block::new(false).frame(&red(), red(), SIZE);
        assert!(!plain.contains("\u{1b}[31m") && plain.contains("red"));
    }

    #[test]
    fn the_cursor_comes_back_once() {
        let (cursor, mut out) = (Cursor::shown(), Vec::new());
        cursor.restore(&mut out);
        cursor.hide(&mut out).unwrap();
        cursor.restore(&mut out);
        cursor.restore(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), format!("{HIDE}{SHOW}"));
    }
}
