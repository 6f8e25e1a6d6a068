//! A user's text for slurm.conf, statement by statement, as Slurm's own reader takes it apart: one key a line, `#` to the end of the
//! line is a comment, a backslash at its end joins the next, and `Include FILE` stands for the text of that file.

/// A part of a text: a statement, or lines that are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    /// The number of its first line, from 1.
    pub(crate) line: usize,
    /// The lines as they were written.
    pub(crate) raw: Vec<&'a str>,
    /// What they say, unless they are blank, a comment, or no statement.
    pub(crate) statement: Option<Statement>,
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    /// As written; keys do not depend on case.
    pub(crate) key: String,
    /// Without comment, and without the quotes around the whole of it. Of a key that describes something (`NodeName`), with what
    /// follows on its line.
    pub(crate) value: String,
}

/// Where Slurm's files are in a node, and where an included one is looked for.
pub(crate) const FILES_DIR: &str = "/etc/slurm/";

/// The key of a line that brings in another file.
pub(crate) const INCLUDE: &str = "Include";

/// The pieces of `text`, in order; together their lines are all of it.
pub(crate) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut lines = (1..).zip(text.lines());
    while let Some((line, first)) = lines.next() {
        let (mut raw, mut said) = (vec![first], uncommented(first));
        while let Some(joined) = said.trim_end().strip_suffix('\\') {
            let next = lines.next().map(|(_, next)| next);
            raw.extend(next);
            said = format!("{joined}{}", next.map(uncommented).unwrap_or_default());
        }
        pieces.push(Piece { line, raw, statement: statement(&said) });
    }
    pieces
}

/// The line up to its comment; an escaped `#` begins none.
fn uncommented(line: &str) -> String {
    let mut text = String::new();
    for c in line.chars() {
        match c {
            '#' if text.ends_with('\\') => {
                text.pop();
                text.push(c);
            }
            '#' => break,
            c => text.push(c),
        }
    }
    text
}

fn statement(line: &str) -> Option<Statement> {
    let line = line.trim();
    if let Some((word, path)) = line.split_once(char::is_whitespace)
        && word.eq_ignore_ascii_case(INCLUDE)
    {
        return Some(Statement { key: INCLUDE.into(), value: path.trim().to_owned() });
    }
    let (key, value) = line.split_once('=')?;
    // `Key+=value` is an operator of Slurm's reader.
    let key = key.trim_end_matches(['+', '-', '*', '/']).trim();
    let plain = key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'));
    plain.then(|| Statement { key: key.to_owned(), value: unquoted(value.trim()).to_owned() })
}

fn unquoted(value: &str) -> &str {
    let inner = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).filter(|v| !v.contains('"'));
    inner.unwrap_or(value)
}

impl Statement {
    /// Whether its key is `key`.
    pub(crate) fn is(&self, key: &str) -> bool {
        self.key.eq_ignore_ascii_case(key)
    }

    /// The words of a list: `a,b`.
    pub(crate) fn items(&self) -> impl Iterator<Item = &str> {
        self.value.split(',').map(str::trim).filter(|item| !item.is_empty())
    }

    /// Whether a list names a plug-in: Slurm takes `cgroup` for `task/cgroup`, and `job_submit/lua` for `lua`.
    pub(crate) fn has_plugin(&self, plugin: &str) -> bool {
        let short = |name: &str| name.rsplit_once('/').map_or(name, |(_, short)| short).to_ascii_lowercase();
        self.items().any(|item| match item.contains('/') && plugin.contains('/') {
            true => item.eq_ignore_ascii_case(plugin),
            false => short(item) == short(plugin),
        })
    }

    /// What a line describes, and the pairs that follow: `worker-0` and (`Feature`, `big`).
    pub(crate) fn described(&self) -> (&str, impl Iterator<Item = (&str, &str)>) {
        let mut words = self.value.split_whitespace();
        let name = words.next().unwrap_or_default();
        (name, words.filter_map(|word| word.split_once('=')).map(|(key, value)| (key, unquoted(value))))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said(text: &str) -> Vec<(usize, String)> {
        let pieces = pieces(text).into_iter();
        pieces
            .filter_map(|piece| {
                piece.statement.map(|said| (piece.line, format!("{}|{}", said.key, said.value)))
            })
            .collect()
    }

    #[test]
    fn statements_are_read_as_slurm_reads_them() {
        for (text, expected) in [
            ("A=1", &[(1, "A|1")][..]),
            ("\n# A=1\n  a_b = x # c\n", &[(3, "a_b|x")]),
            ("A=\"b c\" # d", &[(1, "A|b c")]),
            ("A=x\\#1", &[(1, "A|x#1")]),
            ("A=1,\\\n B=2\nC=3", &[(1, "A|1, B=2"), (3, "C|3")]),
            ("A+=1", &[(1, "A|1")]),
            ("include  site.conf", &[(1, "Include|site.conf")]),
            ("includes=x", &[(1, "includes|x")]),
            ("nonsense\n=x\n1=2\nA=1\\", &[(4, "A|1")]),
        ] {
            let expected: Vec<_> = expected.iter().map(|(line, said)| (*line, (*said).to_owned())).collect();
            assert_eq!(said(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_plugin_is_named_with_its_kind_or_without() {
        let line = Statement { key: "TaskPlugin".into(), value: "affinity, task/CGROUP".into() };
        for plugin in ["task/affinity", "task/cgroup", "cgroup", "affinity"] {
            assert!(line.has_plugin(plugin), "{plugin}");
        }
        assert!(!line.has_plugin("other/cgroup") && !line.has_plugin("task/none"));
    }

    #[test]
    fn what_a_line_describes() {
        let line = Statement { key: "NodeName".into(), value: "worker-0 Feature=\"big\" Weight=10".into() };
        let (name, pairs) = line.described();
        assert_eq!(
            (name, pairs.collect::<Vec<_>>()),
            ("worker-0", vec![("Feature", "big"), ("Weight", "10")])
        );
    }

    proptest! {
        #[test]
        fn no_line_is_lost(text in "([A=#\\\\\" ]|\n){0,40}") {
            let lines: Vec<&str> = pieces(&text).into_iter().flat_map(|piece| piece.raw).collect();
            prop_assert_eq!(lines, text.lines().collect::<Vec<_>>());
        }
    }
}
