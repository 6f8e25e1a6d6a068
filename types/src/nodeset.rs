//! Nodesets: `worker-[0-99,200]` for many names, as Slurm's tools and people write them.
//!
//! ```text
//! nodeset = item {"," item}      item = prefix ["[" part {"," part} "]" suffix]      part = number ["-" number]
//! ```
//! The width of a range's first number is the least width of all its numbers: `n[08-10]` is n08, n09, n10.

use std::{cmp::Ordering, collections::BTreeSet, fmt::Write};

use crate::natural;

/// Most names one nodeset may stand for; ten times the largest cluster.
pub const MAX_NODESET: usize = 100_000;
/// Longest text read, in bytes: [`MAX_NODESET`] written as single numbers and then some.
const MAX_TEXT: usize = 1 << 20;
/// Longest name, in bytes: a domain name has at most 253. What keeps one long prefix and a range from filling memory.
const MAX_NAME: usize = 255;
/// Most digits of a number; longer ones do not occur and would not fit.
const MAX_DIGITS: usize = 9;

/// A text that is no nodeset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodesetError {
    /// The text or one of its items is empty.
    #[error("nodeset `{text}` has an empty item")]
    Empty {
        /// What was read, shortened and escaped.
        text: String,
    },
    /// Brackets that are not closed, nested, or more than one pair in an item.
    #[error("nodeset item `{item}` must have at most one pair of brackets")]
    Brackets {
        /// The item, shortened and escaped.
        item: String,
    },
    /// Between brackets is something else than numbers of up to nine digits and ascending ranges.
    #[error("`{part}` in nodeset item `{item}` is not a number or an ascending range such as 0-9")]
    Range {
        /// The item, shortened and escaped.
        item: String,
        /// The part, shortened and escaped.
        part: String,
    },
    /// A name in it is longer than any name of a node.
    #[error("nodeset item `{item}` has a name of more than {MAX_NAME} characters")]
    Long {
        /// The item, shortened and escaped.
        item: String,
    },
    /// It stands for more than [`MAX_NODESET`] names, or is longer than any such text.
    #[error("a nodeset stands for at most {MAX_NODESET} names")]
    TooMany,
}

fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_default).collect()
}

/// The names a nodeset stands for, each once, in natural order (`w2` before `w10`).
///
/// # Errors
/// [`NodesetError`]: the first rule of the grammar broken, or too many names.
pub fn expand(text: &str) -> Result<Vec<String>, NodesetError> {
    if text.len() > MAX_TEXT {
        return Err(NodesetError::TooMany);
    }
    let mut names = Vec::new();
    for item in items(text) {
        expand_item(text, item, &mut names)?;
    }
    names.sort_by(|a, b| natural_key(a).cmp(&natural_key(b)));
    names.dedup();
    Ok(names)
}

/// Splits at the commas outside brackets.
fn items(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.split(move |c| {
        inside = c == '[' || (inside && c != ']');
        c == ',' && !inside
    })
}

fn expand_item(text: &str, item: &str, names: &mut Vec<String>) -> Result<(), NodesetError> {
    let brackets = || NodesetError::Brackets { item: shown(item) };
    if item.is_empty() {
        return Err(NodesetError::Empty { text: shown(text) });
    }
    let Some((prefix, rest)) = item.split_once('[') else {
        if item.contains(']') {
            return Err(brackets());
        }
        return push(names, item, item.to_owned());
    };
    let (inner, suffix) = rest.split_once(']').ok_or_else(brackets)?;
    if [prefix, inner, suffix].iter().any(|part| part.contains(['[', ']'])) {
        return Err(brackets());
    }
    for part in inner.split(',') {
        let range = || NodesetError::Range { item: shown(item), part: shown(part) };
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (low, high) = (number(first).ok_or_else(range)?, number(last).ok_or_else(range)?);
        if low > high {
            return Err(range());
        }
        for n in low..=high {
            push(names, item, format!("{prefix}{n:0width$}{suffix}", width = first.len()))?;
        }
    }
    Ok(())
}

fn push(names: &mut Vec<String>, item: &str, name: String) -> Result<(), NodesetError> {
    if name.len() > MAX_NAME {
        return Err(NodesetError::Long { item: shown(item) });
    }
    if names.len() == MAX_NODESET {
        return Err(NodesetError::TooMany);
    }
    names.push(name);
    Ok(())
}

fn number(digits: &str) -> Option<u32> {
    let plain = (1..=MAX_DIGITS).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

/// The shortest nodeset for these names in natural order; each name once. Names that end in a number are put together.
#[must_use]
pub fn compress<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let keys: BTreeSet<_> = names.into_iter().map(natural_key).collect();
    let keys: Vec<_> = keys.into_iter().collect();
    let mut text = String::new();
    for group in keys.chunk_by(|a, b| a.prefix == b.prefix && a.number.is_some() && a.padded_like(b)) {
        if !text.is_empty() {
            text.push(',');
        }
        let numbers: Vec<u32> = group.iter().filter_map(|key| key.number).collect();
        let (prefix, width) = (group[0].prefix, group[0].digits);
        text.push_str(prefix);
        match numbers[..] {
            [] => {}
            [one] => push_number(&mut text, one, width),
            _ => {
                text.push('[');
                push_ranges(&mut text, &numbers, width);
                text.push(']');
            }
        }
    }
    text
}

/// Numbers in the order given as parts of a nodeset: `4-11,13`, each padded with zeros to `width`.
pub fn push_ranges(text: &mut String, numbers: &[u32], width: usize) {
    for (at, run) in numbers.chunk_by(|a, b| a.checked_add(1) == Some(*b)).enumerate() {
        if at > 0 {
            text.push(',');
        }
        push_number(text, run[0], width);
        if let [_, .., last] = run {
            text.push('-');
            push_number(text, *last, width);
        }
    }
}

fn push_number(text: &mut String, number: u32, width: usize) {
    // Writing to a String does not fail.
    let _ = write!(text, "{number:0width$}");
}

/// A name taken apart so that keys sort naturally: by prefix, then by the number at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NaturalKey<'a> {
    /// What stands before the number, or all of a name without one.
    pub prefix: &'a str,
    /// The number at the end.
    pub number: Option<u32>,
    /// How many digits it is written with.
    pub digits: usize,
}

/// Prefixes in [natural order](natural::cmp), then numbers by value.
impl Ord for NaturalKey<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let prefixes = || match self.prefix == other.prefix {
            true => Ordering::Equal,
            false => natural::cmp(self.prefix, other.prefix),
        };
        prefixes().then_with(|| self.number.cmp(&other.number)).then_with(|| self.digits.cmp(&other.digits))
    }
}

impl PartialOrd for NaturalKey<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl NaturalKey<'_> {
    /// Whether one range can hold both: same width, or neither is padded.
    fn padded_like(&self, other: &Self) -> bool {
        self.digits == other.digits || !(self.is_padded() || other.is_padded())
    }

    /// Whether it is written with more digits than it needs.
    #[must_use]
    pub fn is_padded(&self) -> bool {
        self.number.is_some_and(|n| self.digits > n.checked_ilog10().map_or(1, |log| log as usize + 1))
    }
}

/// Takes a name apart; a run of more than nine digits counts as text.
#[must_use]
pub fn natural_key(name: &str) -> NaturalKey<'_> {
    let prefix = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = &name[prefix.len()..];
    match number(digits) {
        Some(n) => NaturalKey { prefix, number: Some(n), digits: digits.len() },
        None => NaturalKey { prefix: name, number: None, digits: 0 },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn expands() {
        for (text, names) in [
            ("a", "a"),
            ("worker-[0-2]", "worker-0 worker-1 worker-2"),
            ("w[2,0-1],c", "c w0 w1 w2"),
            ("n[08-10]", "n08 n09 n10"),
            ("worker-[0-1].dev,worker-0.dev", "worker-0.dev worker-1.dev"),
            ("w10,w9", "w9 w10"),
        ] {
            assert_eq!(expand(text).unwrap().join(" "), names, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_none() {
        let empty = |text| matches!(expand(text), Err(NodesetError::Empty { .. }));
        assert!(empty("") && empty("a,") && empty(",a") && empty("a,,b"));
        for text in ["a[", "a]", "a[0", "a[0]]", "a[[0]]", "a[0]b[1]", "a[0]["] {
            assert!(matches!(expand(text), Err(NodesetError::Brackets { .. })), "{text}");
        }
        for text in ["a[]", "a[x]", "a[2-1]", "a[1-]", "a[-1]", "a[0,]", "a[ 1]", "a[1-2-3]", "a[1234567890]"]
        {
            assert!(matches!(expand(text), Err(NodesetError::Range { .. })), "{text}");
        }
        for text in ["a[0-999999999]", "a[0-99999],b", &"x".repeat(MAX_TEXT + 1)] {
            assert_eq!(expand(text), Err(NodesetError::TooMany));
        }
        assert_eq!(expand("a[0-99999]").unwrap().len(), MAX_NODESET);
        // Each name fits the text's limit; all together would be 90 GB.
        for text in [&format!("{}[0-99999]", "x".repeat(900_000)), &"x".repeat(MAX_NAME + 1)] {
            assert!(matches!(expand(text), Err(NodesetError::Long { .. })));
        }
    }

    #[test]
    fn compresses() {
        for (names, text) in [
            (&[][..], ""),
            (&["controller"], "controller"),
            (&["w1", "w0", "w2", "w5", "w1"], "w[0-2,5]"),
            (&["w9", "w10", "w11"], "w[9-11]"),
            (&["w08", "w09", "w10"], "w[08-10]"),
            (&["w8", "w08"], "w8,w08"),
            (&["b1", "a1", "a"], "a,a1,b1"),
            (&["worker-5", "controller", "worker-0", "worker-4", "worker-3"], "controller,worker-[0,3-5]"),
            (&["worker-10", "worker-2"], "worker-[2,10]"),
            (&["r10-n1", "r2-n1", "r2-n2"], "r2-n[1-2],r10-n1"),
            (&["n01", "n02"], "n[01-02]"),
            (
                &["n18446744073709551615", "n18446744073709551614"],
                "n18446744073709551614,n18446744073709551615",
            ),
            (&["n99999999999999999999"], "n99999999999999999999"),
        ] {
            assert_eq!(compress(names.iter().copied()), text, "{names:?}");
        }
    }

    proptest! {
        #[test]
        fn expand_undoes_compress(names in prop::collection::btree_set("[ab-]{0,2}[0-9]{0,11}", 0..40)) {
            let mut names: Vec<_> = names.into_iter().filter(|n| !n.is_empty()).collect();
            names.sort_by_cached_key(|n| natural_key(n).prefix.to_owned());
            let text = compress(names.iter().map(String::as_str));
            if !names.is_empty() {
                let mut back = expand(&text).unwrap();
                back.sort();
                names.sort();
                prop_assert_eq!(back, names, "{}", text);
            }
        }

        #[test]
        fn any_text_is_read_or_refused_in_few_words(text in "\\PC{0,300}") {
            if let Err(error) = expand(&text) {
                prop_assert!(error.to_string().len() < 2000);
            }
        }

        #[test]
        fn never_panics_and_is_bounded(text in "[a0-9\\[\\],-]{0,40}") {
            if let Ok(names) = expand(&text) {
                prop_assert!(!names.is_empty() && names.len() <= MAX_NODESET);
                prop_assert_eq!(expand(&compress(names.iter().map(String::as_str))).unwrap(), names);
            }
        }
    }
}
