//! An error and its causes as one line of text, for logs, statuses and terminals.

use std::error::Error;

/// The error's text and those of its sources, outermost first, joined by `: `. A source that is empty, or that the text
/// before it already says in the same words, is left out: some errors show their cause themselves.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let words = source.to_string();
        if !says(&text, &words) {
            text = format!("{text}: {words}");
        }
        next = source.source();
    }
    text
}

/// Whether `words` stand in the text by themselves: not as a piece of a longer word or number.
fn says(text: &str, words: &str) -> bool {
    let is_apart = |at: usize| {
        let joins = |outer: Option<char>, inner: Option<char>| {
            outer.is_some_and(char::is_alphanumeric) && inner.is_some_and(char::is_alphanumeric)
        };
        let (before, after) = (&text[..at], &text[at + words.len()..]);
        !joins(before.chars().next_back(), words.chars().next())
            && !joins(after.chars().next(), words.chars().next_back())
    };
    words.is_empty() || text.match_indices(words).any(|(at, _)| is_apart(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Link {
        text: &'static str,
        #[source]
        source: Option<Box<Link>>,
    }

    fn of(texts: &[&'static str]) -> String {
        let link = texts.iter().rev().fold(None, |source, &text| Some(Box::new(Link { text, source })));
        chain(&*link.unwrap())
    }

    #[test]
    fn causes_follow_on_one_line() {
        assert_eq!(of(&["cannot start"]), "cannot start");
        assert_eq!(of(&["cannot start", "no image", "not found"]), "cannot start: no image: not found");
    }

    #[test]
    fn a_cause_is_told_once() {
        assert_eq!(of(&["cannot start: no image", "no image"]), "cannot start: no image");
        assert_eq!(of(&["no image (not found) on host1", "not found"]), "no image (not found) on host1");
        assert_eq!(of(&["refused", "", "refused", "no route"]), "refused: no route");
    }

    #[test]
    fn a_piece_of_a_word_says_nothing() {
        assert_eq!(of(&["cannot start", "no"]), "cannot start: no");
        assert_eq!(of(&["took 120 s", "20 s"]), "took 120 s: 20 s");
        assert_eq!(of(&["not here, no", "no"]), "not here, no");
    }
}
