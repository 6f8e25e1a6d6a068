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
}
