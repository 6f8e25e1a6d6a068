//! Text from outside shown on a terminal: control characters are spelt out, so that nothing a file, a host or a user says
//! can move the cursor, recolour the screen or forge a line of output.

/// The text on one line: every control character escaped.
pub(crate) fn line(text: &str) -> String {
    text.chars().map(|c| if is_unsafe(c) { c.escape_default().to_string() } else { c.to_string() }).collect()
}

/// The text with its line ends and tabs, every other control character escaped.
pub(crate) fn block(text: &str) -> String {
    text.split_inclusive(['\n', '\t'])
        .map(|part| match part.strip_suffix(['\n', '\t']) {
            Some(start) => line(start) + &part[start.len()..],
            None => line(part),
        })
        .collect()
}

/// A stream of text, line by line: what comes in pieces of any size goes out in escaped lines, tabs as they are.
#[derive(Debug, Default)]
pub(crate) struct Lines(Vec<u8>);

/// A line longer than this goes out in parts.
const LONGEST_LINE: usize = 64 << 10;

impl Lines {
    /// The lines that are complete now.
    pub(crate) fn add(&mut self, piece: &[u8]) -> String {
        self.0.extend_from_slice(piece);
        let complete = match self.0.iter().rposition(|b| *b == b'\n') {
            Some(at) => at + 1,
            None if self.0.len() > LONGEST_LINE => self.0.len(),
            None => 0,
        };
        let rest = self.0.split_off(complete);
        block(&String::from_utf8_lossy(&std::mem::replace(&mut self.0, rest)))
    }

    /// What is left of a last line without an end.
    pub(crate) fn end(&mut self) -> String {
        block(&String::from_utf8_lossy(&std::mem::take(&mut self.0)))
    }
}

/// Control characters of both sets, line separators, and the marks that reorder text from right to left.
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal() {
        assert_eq!(line("a\u{1b}[31mb\nc\u{9b}d\u{202e}"), "a\\u{1b}[31mb\\nc\\u{9b}d\\u{202e}");
        assert_eq!(block("a\u{1b}\n\tb\r\n"), "a\\u{1b}\n\tb\\r\n");
        assert_eq!(line("grün"), "grün");
    }

    #[test]
    fn a_stream_is_the_same_however_it_is_cut() {
        let text = "one\ttwo\n\u{1b}[31mgrün\nthree\r\nlast".as_bytes();
        for cut in 0..=text.len() {
            let mut lines = Lines::default();
            let shown = [lines.add(&text[..cut]), lines.add(&text[cut..]), lines.end()].concat();
            assert_eq!(shown, "one\ttwo\n\\u{1b}[31mgrün\nthree\\r\nlast", "cut at {cut}");
        }
        let mut lines = Lines::default();
        assert_eq!(lines.add(&vec![b'x'; LONGEST_LINE + 1]).len(), LONGEST_LINE + 1);
    }
}
