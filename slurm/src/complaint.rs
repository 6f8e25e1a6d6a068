//! What a daemon of Slurm said before it gave up, and which line of the user's text it is about.
//!
//! ```text
//! slurmctld: error: _parse_next_key: Parsing error at unrecognized key: NoSuchKey     <- said, and the line with this word
//! slurmctld: fatal: Unable to process configuration file                             <- it gave up
//! ```

use shoal_types::SlurmSpec;

use crate::conf::{Entry, UserText};

/// Slurm's mark of a line after which a daemon ends.
const FATAL: &str = "fatal: ";
/// Slurm's mark of what went wrong.
const ERROR: &str = "error: ";
/// Words of a slurmd that has not reached its controller: that may still come.
const WAITING: &[&str] = &["fetch_config", "configuration source", "failed to load configs"];

/// Why a daemon gave up, by its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// Its own words: the errors that are about a line of the user's, then why it ended.
    pub said: Vec<String>,
    /// The line of the user's text they are about, and where that is.
    pub line: Option<String>,
    /// How often the log has it give up for this reason.
    pub times: usize,
}

impl Complaint {
    /// Reads the log of a daemon, oldest line first; `None`: it did not give up, or for a reason that may pass.
    #[must_use]
    pub fn read(log: &str, slurm: &SlurmSpec) -> Option<Self> {
        let lines: Vec<&str> = log.lines().collect();
        let fatal = |line: &str| line.split_once(FATAL).map(|(_, reason)| reason.trim().to_owned());
        let last = lines.iter().rposition(|line| line.contains(FATAL))?;
        let reason = fatal(lines[last])?;
        let times = lines.iter().filter(|line| fatal(line).as_ref() == Some(&reason)).count();
        let begin =
            lines[..last].iter().rposition(|line| line.contains(FATAL)).map_or(0, |before| before + 1);
        let run = &lines[begin..last];
        if run.iter().chain([&lines[last]]).any(|line| WAITING.iter().any(|word| line.contains(word))) {
            return None;
        }
        let error = |line: &&str| line.split_once(ERROR).map(|(_, said)| said.trim().to_owned());
        let errors: Vec<String> = run.iter().filter_map(error).collect();
        let text = UserText::of(slurm);
        let about = |said: &str| text.entries().find(|entry| is_about(said, entry));
        let blamed = errors.iter().chain([&reason]).find_map(|said| Some((said.clone(), about(said)?)));
        let (first, line) = match blamed {
            Some((said, entry)) => (Some(said), Some(entry.shown())),
            None => (errors.into_iter().next(), None),
        };
        let mut said: Vec<_> = first.into_iter().chain([reason]).collect();
        said.dedup();
        Some(Self { said, line, times })
    }
}

impl std::fmt::Display for Complaint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.line, self.said.split_first()) {
            (Some(line), Some((first, rest))) => {
                write!(f, "{first} ({line})")?;
                rest.iter().try_for_each(|more| write!(f, "; {more}"))
            }
            (_, _) => f.write_str(&self.said.join("; ")),
        }
    }
}

/// Whether what Slurm said has the key of a line, or the whole of its value, as a word. A value that many lines could have is
/// no sign of one.
fn is_about(said: &str, entry: &Entry<'_>) -> bool {
    let Some(statement) = &entry.statement else { return false };
    let value = statement.value.split_whitespace().next().unwrap_or_default();
    let telling = value.len() > 4 && !value.bytes().all(|b| b.is_ascii_digit());
    has_word(said, &statement.key) || (telling && has_word(said, value))
}

/// Whether `word` stands in `text` with no letter or digit beside it; case does not matter.
fn has_word(text: &str, word: &str) -> bool {
    let (text, word) = (text.to_ascii_lowercase(), word.to_ascii_lowercase());
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(&word).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + word.len()..]);
        !before.ends_with(part) && !after.starts_with(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(main: &str) -> SlurmSpec {
        SlurmSpec { main: [("main".to_owned(), main.to_owned())].into(), ..SlurmSpec::default() }
    }

    fn read(log: &str, main: &str) -> Option<(String, usize)> {
        Complaint::read(log, &spec(main)).map(|complaint| (complaint.to_string(), complaint.times))
    }

    #[test]
    fn slurms_own_line_comes_first_with_the_users() {
        let start = "slurmctld: error: _parse_next_key: Parsing error at unrecognized key: NoSuchKey\n\
                     slurmctld: fatal: Unable to process configuration file \n\
                     slurmctld.service: Failed with result 'exit-code'.\n";
        assert_eq!(
            read(&start.repeat(3), "SlurmdTimeout=30\nnosuchkey = 1 # mine\n"),
            Some((
                "_parse_next_key: Parsing error at unrecognized key: NoSuchKey (slurm.main, line 2: \
                 nosuchkey = 1 # mine); Unable to process configuration file"
                    .to_owned(),
                3
            ))
        );
    }

    #[test]
    fn a_value_names_its_line() {
        let log = "slurmctld: error: Couldn't find the specified plugin name for select/nosuch looking at all files\n\
                   slurmctld: error: cannot create select context for select/nosuch\n\
                   slurmctld: fatal: failed to initialize node selection plugin\n";
        let (text, _) = read(log, "MaxJobCount=10\nSelectType=select/nosuch").unwrap();
        assert!(
            text.starts_with("Couldn't find") && text.contains("(slurm.main, line 2: SelectType="),
            "{text}"
        );
        let (text, _) = read("slurmctld: fatal: FirstJobId cannot be zero", "A=1\nFirstJobId=0").unwrap();
        assert_eq!(text, "FirstJobId cannot be zero (slurm.main, line 2: FirstJobId=0)");
    }

    #[test]
    fn what_nobody_wrote_has_no_line() {
        let log = "slurmctld: error: disk is full 10\nslurmctld: fatal: cannot write\n";
        assert_eq!(read(log, "A=10\nB=full"), Some(("disk is full 10; cannot write".to_owned(), 1)));
        assert_eq!(read("slurmctld: error: it is not fatal\n", ""), None);
    }

    #[test]
    fn a_slurmd_that_waits_for_its_controller_has_not_given_up() {
        let log = "slurmd: error: fetch_config: DNS SRV lookup failed\n\
                   slurmd: fatal: Could not establish a configuration source\n";
        assert_eq!(read(log, ""), None);
    }
}
