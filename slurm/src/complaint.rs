//! What a daemon of Slurm said before it ended, and which line of the user's text it is about.
//!
//! ```text
//! slurmctld: error: _parse_next_key: Parsing error at unrecognized key: NoSuchKey     <- said, and the line with this word
//! slurmctld: fatal: Unable to process configuration file                             <- it gave up
//! slurmctld.service: Main process exited, code=exited, status=1/FAILURE              <- the end of one start
//! ```

use shoal_types::SlurmSpec;

use crate::conf::{Entry, UserText};

/// Slurm's mark of a line after which a daemon ends.
const FATAL: &str = "fatal: ";
/// Slurm's mark of what went wrong.
const ERROR: &str = "error: ";
/// systemd's mark of the end of a daemon, and what follows it.
const EXITED: &str = "Main process exited, ";
/// systemd's mark of one that ended as it should.
const STOPPED: &str = "Deactivated successfully";
/// Words of a start that went on.
const WENT_ON: &[&str] = &[STOPPED, "Running as primary controller", "slurmd started on"];
/// The status of timeout(1) where it had to end what it ran.
const TIMED_OUT: i64 = 124;
/// Words of a slurmd that has not reached its controller: that may still come.
const WAITING: &[&str] = &["fetch_config", "configuration source", "failed to load configs"];

/// Why a daemon ends whenever it is started, by its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// Its own words: the error that is about a line of the user's, then why it ended.
    pub said: Vec<String>,
    /// The line of the user's text they are about, and where that is.
    pub line: Option<String>,
    /// How many of its last starts in the log ended for this reason.
    times: usize,
    /// The log holds no other start.
    always: bool,
}

impl Complaint {
    /// Reads the journal of a daemon, oldest line first; `None`: it did not end, or for a reason that may pass.
    #[must_use]
    pub fn read(journal: &str, slurm: &SlurmSpec) -> Option<Self> {
        let lines: Vec<&str> = journal.lines().collect();
        let is_end = |line: &&str| line.contains(EXITED) || line.contains(STOPPED);
        let starts: Vec<&[&str]> = lines.split_inclusive(is_end).collect();
        let ended = || starts.iter().copied().filter(|start| start.last().is_some_and(is_end)).rev();
        let last = ended().next().filter(|last| !may_pass(last))?;
        let times = ended().take_while(|start| !may_pass(start) && is_alike(start, last)).count();
        let (said, line) = words(last, slurm)?;
        Some(Self { said, line, times, always: times == ended().count() })
    }

    /// How many of its starts ended for this reason: those in the log or, where that is full of them, those that systemd has counted.
    #[must_use]
    pub fn starts(&self, restarts: usize) -> usize {
        if self.always { self.times.max(restarts) } else { self.times }
    }

    /// The same with what the daemon said when it was run by hand, where that says why it ended; `None`: it went on until it was
    /// ended.
    #[must_use]
    pub fn with(self, status: i64, output: &str, slurm: &SlurmSpec) -> Option<Self> {
        let lines: Vec<&str> = output.lines().collect();
        match words(&lines, slurm) {
            _ if status == TIMED_OUT => None,
            Some((said, line)) => Some(Self { said, line, ..self }),
            None => Some(self),
        }
    }
}

/// Why systemd has given up a service that is none of Slurm's daemons, by its log: the last words of its own.
#[must_use]
pub fn given_up(log: &str) -> String {
    let systemds = |line: &&str| {
        line.contains(".service: ")
            || ["Start", "Stopp", "Failed to start "].iter().any(|w| line.starts_with(w))
    };
    match log.lines().map(str::trim).rfind(|line| !line.is_empty() && !systemds(line)) {
        Some(said) => format!("{said}; its unit has failed"),
        None => "its unit has failed, and its log says nothing".to_owned(),
    }
}

/// Whether a start went on, or waited for what may still come.
fn may_pass(start: &[&str]) -> bool {
    start.iter().any(|line| WAITING.iter().chain(WENT_ON).any(|word| line.contains(word)))
}

/// Whether two starts ended for one reason: with one status, and with one last line where the log has it of both.
fn is_alike(one: &[&str], other: &[&str]) -> bool {
    let after = |start: &[&str], mark: &str| {
        start.iter().rev().find_map(|line| Some(line.split_once(mark)?.1.trim().to_owned()))
    };
    let fatal = (after(one, FATAL), after(other, FATAL));
    after(one, EXITED) == after(other, EXITED)
        && (fatal.0 == fatal.1 || fatal.0.is_none() || fatal.1.is_none())
}

/// Why a start ended, and the line of the user's that it is about.
fn words(start: &[&str], slurm: &SlurmSpec) -> Option<(Vec<String>, Option<String>)> {
    let after = |mark: &str| {
        let each =
            start.iter().filter_map(|line| line.split_once(mark)).map(|(_, said)| said.trim().to_owned());
        each.collect::<Vec<_>>()
    };
    let mut errors = after(ERROR);
    // One that does not say so itself is known by its last error, or the status it ended with.
    let ended = || after(EXITED).pop().map(|how| format!("it ended with {how}"));
    let reason = after(FATAL).pop().or_else(ended).or_else(|| errors.pop())?;
    let text = UserText::of(slurm);
    let about = |said: &str| text.entries().find(|entry| is_about(said, entry));
    let blamed = errors.iter().chain([&reason]).find_map(|said| Some((said.clone(), about(said)?)));
    let (first, line) = match blamed {
        Some((said, entry)) => (Some(said), Some(entry.shown())),
        None => (errors.pop(), None),
    };
    let mut said: Vec<_> = first.into_iter().chain([reason]).collect();
    said.dedup();
    Some((said, line))
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
    let partition = statement.is("PartitionName") && has_word(said, &format!("partition {value}"));
    has_word(said, &statement.key) || partition || (telling && has_word(said, value))
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

    const END: &str = "slurmctld.service: Main process exited, code=exited, status=1/FAILURE\n";

    #[test]
    fn slurms_own_line_comes_first_with_the_users() {
        // Slurm writes each line to its output and to syslog.
        let start = "slurmctld: error: _parse_next_key: Parsing error at unrecognized key: NoSuchKey\n\
                     slurmctld: fatal: Unable to process configuration file \n\
                     error: _parse_next_key: Parsing error at unrecognized key: NoSuchKey\n\
                     fatal: Unable to process configuration file\n";
        let log = format!("{start}{END}Started slurmctld.service\n").repeat(3);
        assert_eq!(
            read(&log, "SlurmdTimeout=30\nnosuchkey = 1 # mine\n"),
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
        let (text, _) = read(&format!("{log}{END}"), "MaxJobCount=10\nSelectType=select/nosuch").unwrap();
        assert!(
            text.starts_with("Couldn't find") && text.contains("(slurm.main, line 2: SelectType="),
            "{text}"
        );
        let log = format!("slurmctld: fatal: FirstJobId cannot be zero\n{END}");
        let (text, _) = read(&log, "A=1\nFirstJobId=0").unwrap();
        assert_eq!(text, "FirstJobId cannot be zero (slurm.main, line 2: FirstJobId=0)");
    }

    #[test]
    fn what_nobody_wrote_has_no_line() {
        let log = format!("slurmctld: error: disk is full 10\nslurmctld: fatal: cannot write\n{END}");
        assert_eq!(read(&log, "A=10\nB=full"), Some(("disk is full 10; cannot write".to_owned(), 1)));
        assert_eq!(read("slurmctld: error: it is not fatal\n", ""), None);
    }

    #[test]
    fn a_daemon_that_ends_without_a_word_is_known_by_its_status() {
        assert_eq!(
            read(&format!("slurmctld: error: odd\n{END}").repeat(2), ""),
            Some(("odd; it ended with code=exited, status=1/FAILURE".to_owned(), 2))
        );
    }

    #[test]
    fn a_daemon_run_by_hand_says_more_than_the_journal() {
        let slurm = spec("MaxJobCount=1\nPartitionName=x Nodes=nowhere");
        let complaint = Complaint::read(&format!("slurmctld: error: harmless\n{END}"), &slurm).unwrap();
        let output = "slurmctld: error: harmless\nslurmctld: error: lookup failure for node\n\
                      slurmctld: fatal: Invalid node names in partition x\n";
        assert_eq!(
            complaint.clone().with(1, output, &slurm).unwrap().to_string(),
            "Invalid node names in partition x (slurm.main, line 2: PartitionName=x Nodes=nowhere)"
        );
        assert_eq!(complaint.clone().with(1, "no reason\n", &slurm), Some(complaint.clone()));
        assert_eq!(complaint.clone().with(124, output, &slurm), None, "it went on until it was ended");
        let output = "slurmd: error: cannot find task plugin for task/nosuch\nslurmd: error: slurmd initialization failed\n";
        assert_eq!(
            complaint.with(1, output, &spec("TaskPlugin=task/nosuch")).unwrap().to_string(),
            "cannot find task plugin for task/nosuch (slurm.main, line 1: TaskPlugin=task/nosuch); slurmd initialization failed"
        );
    }

    #[test]
    fn only_the_last_starts_that_ended_alike_are_counted() {
        let bad = format!("slurmctld: fatal: bad\n{END}");
        let other = format!("slurmctld: fatal: other\n{END}");
        let killed = "slurmctld.service: Main process exited, code=killed, status=9/KILL\n";
        let waited = format!("error: failed to load configs\n{END}");
        let ran = format!("slurmctld: Running as primary controller\n{END}");
        let stopped = "slurmctld.service: Deactivated successfully.\n";
        for before in [&other, killed, &waited, &ran, stopped] {
            let log = format!("{}{}", before.repeat(4), bad.repeat(2));
            assert_eq!(read(&log, "").map(|(_, times)| times), Some(2), "{before}");
            let complaint = Complaint::read(&log, &spec("")).unwrap();
            assert_eq!(complaint.starts(9), 2, "{before}");
            let log = format!("{bad}{before}");
            assert!(read(&log, "").is_none_or(|(_, times)| times == 1), "{before}");
        }
        // One that said nothing that journald saw is no other.
        assert_eq!(read(&format!("{bad}{END}{bad}"), "").map(|(_, times)| times), Some(3));
        assert_eq!(Complaint::read(&bad, &spec("")).unwrap().starts(9), 9, "the log is full of one");
    }

    #[test]
    fn a_unit_that_was_given_up_has_its_own_words() {
        let log = "Starting MUNGE authentication service...\nmunged: Error: Keyfile is insecure\n\
                   munge.service: Control process exited, code=exited, status=1/FAILURE\n\
                   munge.service: Failed with result 'exit-code'.\nFailed to start MUNGE authentication service.\n";
        assert_eq!(given_up(log), "munged: Error: Keyfile is insecure; its unit has failed");
        assert_eq!(given_up("Starting MUNGE\n"), "its unit has failed, and its log says nothing");
    }

    #[test]
    fn a_slurmd_that_waits_for_its_controller_has_not_given_up() {
        let log =
            "error: _establish_configuration: failed to load configs\nerror: slurmd initialization failed\n";
        assert_eq!(read(&format!("{log}{END}"), ""), None);
    }
}
