//! A page of the documentation, as a script: its commands, and what it says they print.
//!
//! ````text
//! ```console
//! $ shoal get clusters            a command; `> ` goes on with it
//! NAME  PHASE                     what it prints, as far as it is shown; `...` stands for any lines
//! dev   ready
//! $ shoal enter dev
//! root@submitter:~# hostname      what is typed into it, on a terminal
//! $ shoal logs controller.dev -f
//! ^C                              it runs until it is interrupted
//! ```
//! ```yaml dev.yaml                a file that later commands read
//! ````
//! A command fails exactly if a line is shown that begins with `error:`.

use std::ops::Range;

use anyhow::{bail, ensure};

/// Fences that hold no commands.
const QUIET: [&str; 7] = ["text", "yaml", "json", "python", "proto", "ini", "dockerfile"];
/// How commands begin that change nothing.
const LOOKS: [&str; 3] = ["shoal status ", "shoal get ", "shoal doctor"];
/// What stands for any number of lines.
pub const ANY: &str = "...";

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Its lines as written.
    pub lines: Vec<String>,
    /// What is to be done, in order.
    pub steps: Vec<Step>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Write a file.
    File {
        /// Its name.
        name: String,
        /// What is in it.
        text: String,
    },
    /// Run a command.
    Command(Command),
}

/// A command as a page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// For a shell.
    pub line: String,
    /// Lines typed into it on a terminal.
    pub typed: Vec<String>,
    /// Lines it is shown to print.
    pub shown: Vec<String>,
    /// Where they are: positions in the page's lines.
    pub at: Range<usize>,
    /// It runs until it is interrupted.
    pub interrupted: bool,
}

impl Command {
    /// Whether it is shown to fail.
    #[must_use]
    pub fn fails(&self) -> bool {
        self.shown.iter().any(|line| line.starts_with("error:"))
    }

    /// Whether the command only reads a state that Slurm and nodes reach by themselves: a repeat may print the shown lines.
    /// A worker is `completing` for a moment after its job's last command has returned.
    #[must_use]
    pub fn looks(&self) -> bool {
        LOOKS.iter().any(|look| self.line.starts_with(look))
            || self.line.split_once(" -- ").is_some_and(|(_, run)| run.starts_with("sinfo"))
    }

    /// Whether its lines have an order of their own. What is done on several hosts at once is told as it happens.
    fn is_ordered(&self) -> bool {
        self.looks() || self.fails()
    }

    /// The first shown line that was not printed, compared without numbers and spacing; where they have an order, the first
    /// that does not come after the one before it.
    #[must_use]
    pub fn missing(&self, printed: &str) -> Option<&str> {
        let printed: Vec<String> = printed.lines().map(alike).collect();
        let mut rest = &printed[..];
        let mut shown = self.shown.iter().map(String::as_str).filter(|line| *line != ANY);
        shown.find(|line| {
            let found = rest.iter().position(|printed| *printed == alike(line));
            if let Some(at) = found.filter(|_| self.is_ordered()) {
                rest = &rest[at + 1..];
            }
            found.is_none()
        })
    }
}

/// A line without what differs from run to run: numbers, digests, months, spaces, marks of a bar.
fn alike(line: &str) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let digest = |word: &str| word.len() >= 8 && word.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let words = line.trim().split_inclusive(|c: char| !c.is_ascii_alphanumeric()).map(|word| {
        let bare = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        if digest(bare) || MONTHS.contains(&bare) { word.replace(bare, "0") } else { word.to_owned() }
    });
    let mut out = String::new();
    for c in words.collect::<String>().chars() {
        let c = match c {
            '0'..='9' => '0',
            c if c.is_whitespace() => ' ',
            '▏' | '▎' | '▍' | '▌' | '▋' | '▊' | '▉' | '█' | '·' => '·',
            c => c,
        };
        if !(matches!(c, '0' | ' ' | '·') && out.ends_with(c)) {
            out.push(c);
        }
    }
    out.replace("0.0", "0")
}

impl Page {
    /// Reads a page; messages call it `name`.
    ///
    /// # Errors
    /// The page has a block in an unknown language.
    pub fn parse(name: &str, text: &str) -> anyhow::Result<Self> {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let mut steps = Vec::new();
        let mut at = 0;
        while at < lines.len() {
            let Some(language) = lines[at].trim_start().strip_prefix("```") else {
                at += 1;
                continue;
            };
            let closes = |line: &String| line.trim_start().starts_with("```");
            let Some(end) = lines[at + 1..].iter().position(closes).map(|offset| at + 1 + offset) else {
                bail!("{name}:{}: the block does not end", at + 1);
            };
            let mut words = language.split_whitespace();
            match (words.next(), words.next()) {
                (Some("console"), None) => commands(name, &lines, at + 1..end, &mut steps)?,
                (Some(language), Some(file)) if QUIET.contains(&language) => {
                    let text = lines[at + 1..end].iter().flat_map(|line| [line, "\n"]).collect();
                    steps.push(Step::File { name: file.to_owned(), text });
                }
                (Some(language), None) if QUIET.contains(&language) => {}
                _ => bail!("{name}:{}: a block of `{language}` is neither console nor quiet", at + 1),
            }
            at = end + 1;
        }
        Ok(Self { lines, steps })
    }

    /// Its commands.
    pub fn commands(&self) -> impl Iterator<Item = &Command> {
        self.steps.iter().filter_map(|step| match step {
            Step::Command(command) => Some(command),
            Step::File { .. } => None,
        })
    }
}

fn commands(name: &str, lines: &[String], block: Range<usize>, steps: &mut Vec<Step>) -> anyhow::Result<()> {
    let mut at = block.start;
    while at < block.end {
        let Some(first) = lines[at].strip_prefix("$ ") else {
            bail!("{name}:{}: output before any command", at + 1);
        };
        let mut line = first.to_owned();
        at += 1;
        while let Some(more) = lines[at..block.end].first().and_then(|line| line.strip_prefix("> ")) {
            line += "\n";
            line += more;
            at += 1;
        }
        let end = lines[at..block.end].iter().position(|line| line.starts_with("$ "));
        let end = end.map_or(block.end, |offset| at + offset);
        let mut command =
            Command { line, typed: Vec::new(), shown: Vec::new(), at: at..end, interrupted: false };
        for line in &lines[at..end] {
            match line.split_once("# ") {
                Some((prompt, typed)) if prompt.starts_with("root@") => command.typed.push(typed.to_owned()),
                Some(_) | None if line == "^C" => command.interrupted = true,
                Some(_) | None => command.shown.push(line.clone()),
            }
        }
        ensure!(
            command.typed.is_empty() || !command.interrupted,
            "{name}:{}: typed into and interrupted",
            at + 1
        );
        steps.push(Step::Command(command));
        at = end;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# Page

```yaml dev.yaml
kind: Cluster
```

```console
$ cat dev.yaml |
> wc -l
       1
$ shoal enter dev
root@submitter:~# hostname
submitter
$ shoal logs -f
^C
$ false
error: it failed 3 times
```

```text
$ not a command
```
";

    #[test]
    fn what_a_page_does() {
        let page = Page::parse("page.md", TEXT).unwrap();
        assert_eq!(page.steps[0], Step::File { name: "dev.yaml".into(), text: "kind: Cluster\n".into() });
        let commands: Vec<_> = page.commands().collect();
        assert_eq!(commands.len(), 4);
        assert_eq!(commands[0].line, "cat dev.yaml |\nwc -l");
        assert_eq!((commands[0].missing("\t 22 \nmore"), commands[0].fails()), (None, false));
        assert_eq!(commands[0].missing("two"), Some("       1"));
        assert_eq!(
            (&commands[1].typed[..], &commands[1].shown[..]),
            (&["hostname".into()][..], &["submitter".into()][..])
        );
        assert!(commands[2].interrupted && !commands[1].interrupted);
        assert!(commands[3].fails());
        assert!(!commands.iter().any(|command| command.looks()));
        assert_eq!(commands[3].missing("error: it failed 12.5 times"), None);
        assert_eq!(
            alike("agent 0.1+9be4b43872fd (sha256:f00c5cdbaa8b)"),
            alike("agent 2.3+aaaaaaaaaaaa (sha256:00112233)")
        );
        assert_eq!(alike("Nov 21 16:31:49 controller"), alike("Dec  1 08:02:11 controller"));
        assert_eq!(page.lines[commands[3].at.clone()], ["error: it failed 3 times"]);
    }

    #[test]
    fn a_table_has_an_order_and_work_on_several_hosts_has_none() {
        let missing = |line: &str, printed: &str| {
            let page =
                Page::parse("page.md", &format!("```console\n$ {line}\none\n...\ntwo\n```\n")).unwrap();
            let missing = page.commands().find_map(|command| command.missing(printed)).map(str::to_owned);
            missing.unwrap_or_default()
        };
        assert_eq!(missing("shoal get nodes", "one\nmore\ntwo\n"), "");
        assert_eq!(missing("shoal get nodes", "two\none\n"), "two");
        assert_eq!(missing("shoal create cluster", "two\none\n"), "");
        assert_eq!(missing("shoal create cluster", "two\n"), "one");
    }

    #[test]
    fn only_what_changes_nothing_is_asked_again() {
        let looks = |line: &str| {
            let page = Page::parse("page.md", &format!("```console\n$ {line}\n```\n")).unwrap();
            page.commands().any(Command::looks)
        };
        for line in ["shoal status dev", "shoal get nodes dev -o wide", "shoal exec dev -- sinfo --format %n"]
        {
            assert!(looks(line), "{line}");
        }
        for line in ["shoal exec dev -- srun sinfo", "shoal create cluster dev", "cat shoal status"] {
            assert!(!looks(line), "{line}");
        }
    }

    #[test]
    fn no_command_hides_in_a_block_of_another_kind() {
        for bad in ["```\n$ shoal\n```", "```sh\nshoal\n```", "```console\nshoal\n```", "```console\n$ x\n"] {
            assert!(Page::parse("page.md", bad).is_err(), "{bad}");
        }
    }
}
