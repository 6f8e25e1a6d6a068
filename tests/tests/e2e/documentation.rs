//! The documentation is true: every command on every page runs, and prints what the page shows.
//!
//! A page has hosts `alpha`, `beta` and `gamma`, which are the lab's, and a home directory of its own. With
//! `SHOAL_UPDATE_DOCS=1` what a command prints replaces what the page shows of it.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{BufRead, BufReader},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Child,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use shoal_lab::until;
use shoal_tests::{ANY, Call, Command, Installation, Machine, Page, Stage, Step};

/// Names of the hosts on every page, in the lab's order.
const HOSTS: [&str; 3] = ["alpha", "beta", "gamma"];
/// On a page that says so, no host is registered when it begins.
const BARE: &str = "<!-- begins without hosts -->";
/// It ran before the tests did, with `--output`: what it made is put where the page would have it.
const BUILT: (&str, &str) = ("shoal build image", "shoal-node-bookworm.tar");
/// What that makes, as engines call it.
const IMAGE: &str = "shoal-node:bookworm";
/// How long what a page shows may take to come about.
const SETTLES: Duration = Duration::from_secs(30);
/// Set to replace what pages show.
const UPDATE: &str = "SHOAL_UPDATE_DOCS";

/// README's first session, as it was recorded.
pub(crate) fn the_first_session_is_as_recorded(stage: &Stage) -> anyhow::Result<()> {
    let root = root();
    let readme = Page::parse("README.md", &fs::read_to_string(root.join("README.md"))?)?;
    let record = "docs/first-session.md";
    let recorded = Page::parse(record, &fs::read_to_string(root.join(record))?)?;
    let lines = |page: &Page| page.commands().map(|command| command.line.clone()).collect::<Vec<_>>();
    ensure!(lines(&readme) == lines(&recorded), "README.md and {record} have different commands");
    run(stage, record)
}

/// Every page for a task.
pub(crate) fn every_command_of_every_page_runs(stage: &Stage) -> anyhow::Result<()> {
    let mut pages = Vec::new();
    for entry in fs::read_dir(root().join("docs"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".md") && name != "first-session.md" {
            pages.push(format!("docs/{name}"));
        }
    }
    pages.sort();
    ensure!(pages.len() >= 7, "only {pages:?}");
    let only = env::var("SHOAL_DOCS_PAGE").ok();
    for page in pages.iter().filter(|page| only.as_ref().is_none_or(|only| page.contains(only.as_str()))) {
        let began = Instant::now();
        run(stage, page).with_context(|| page.clone())?;
        println!("  {page}: {:.1} s", began.elapsed().as_secs_f32());
    }
    Ok(())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}

/// What a page's commands find.
struct Bed<'a> {
    stage: &'a Stage,
    shoal: Installation,
    home: tempfile::TempDir,
    /// A page's word -> the lab's.
    meant: BTreeMap<String, String>,
}

fn run(stage: &Stage, name: &str) -> anyhow::Result<()> {
    let path = root().join(name);
    let text = fs::read_to_string(&path).with_context(|| name.to_owned())?;
    let mut page = Page::parse(name, &text)?;
    if page.steps.is_empty() {
        return Ok(());
    }
    let bed = Bed::make(stage, !text.contains(BARE))?;
    let update = env::var_os(UPDATE).is_some();
    let mut replaced = Vec::new();
    for step in &page.steps {
        match step {
            Step::File { name, text } => fs::write(bed.home.path().join(name), text)?,
            Step::Command(command) => {
                let (printed, succeeded) = bed.settle(command).with_context(|| command.line.clone())?;
                let at = format!("{name}:{}: $ {}", command.at.start, command.line);
                if update && !command.shown.is_empty() {
                    replaced.push((command.at.clone(), again(command, &page, &printed)));
                } else if let Some(missing) = command.missing(&printed) {
                    anyhow::bail!("{at}\ndoes not print\n{missing}\nbut\n{printed}");
                }
                let fails = !succeeded;
                ensure!(fails == command.fails() || update, "{at}\nfails: {fails}\n{printed}");
            }
        }
    }
    if update {
        for (at, lines) in replaced.into_iter().rev() {
            page.lines.splice(at, lines);
        }
        fs::write(&path, page.lines.join("\n") + "\n")?;
    }
    bed.clear()
}

/// What a page shows of a command, anew: as many lines before and after each `...` as it had.
fn again(command: &Command, page: &Page, printed: &str) -> Vec<String> {
    let printed: Vec<String> = printed.trim_end().lines().map(|line| line.trim_end().to_owned()).collect();
    let mut lines = match command.shown.iter().position(|line| line == ANY) {
        None => printed,
        Some(before) => {
            let after = command.shown.len() - before - 1;
            let last = printed.len().saturating_sub(after).max(before);
            let head = printed.iter().take(before).cloned();
            let tail = printed.iter().skip(last).cloned();
            head.chain([ANY.to_owned()]).chain(tail).collect()
        }
    };
    let typed = page.lines[command.at.clone()].iter().filter(|line| line.starts_with("root@"));
    lines.splice(0..0, typed.cloned());
    if command.interrupted {
        lines.push("^C".to_owned());
    }
    lines
}

impl<'a> Bed<'a> {
    fn make(stage: &'a Stage, registered: bool) -> anyhow::Result<Self> {
        // It has the node image loaded.
        stage.home()?;
        let home = tempfile::tempdir()?;
        fs::create_dir(home.path().join(".docker"))?;
        symlink(&stage.means().image, home.path().join(BUILT.1))?;
        let mut meant = BTreeMap::new();
        for (name, machine) in HOSTS.iter().zip(stage.machines()?) {
            symlink(&machine.host().tls_dir, home.path().join(".docker").join(name))?;
            meant.insert(format!("tcp://{name}:2376"), machine.host().endpoint.clone());
        }
        let shoal = Installation::new(stage.means(), None)?;
        let state = home.path().join(".local/state");
        fs::create_dir_all(&state)?;
        symlink(shoal.state_dir(), state.join("shoal"))?;
        let bed = Self { stage, shoal, home, meant };
        if registered {
            for (name, rack) in HOSTS.iter().zip(["a", "b", "b"]) {
                let line = format!(
                    "shoal register {name} --docker tcp://{name}:2376 --tls-dir ~/.docker/{name} --label rack={rack}"
                );
                bed.shell(&bed.in_lab(&line)).end()?.ok()?;
            }
        }
        Ok(bed)
    }

    /// Nothing of the page stays on the hosts.
    fn clear(self) -> anyhow::Result<()> {
        self.shoal.run(&["delete", "cluster", "--all"])?.ok()?;
        for host in self.shoal.json(&["get", "hosts"])?.as_array().into_iter().flatten() {
            let name = host["name"].as_str().context("a host without a name")?;
            self.shoal.run(&["unregister", name])?.ok()?;
        }
        // A page may have taken it from a host.
        let has = |machine: &Machine| Ok(machine.docker(&["image", "inspect", IMAGE])?.code == Some(0));
        let all = self.stage.machines()?.iter().map(has).collect::<anyhow::Result<Vec<bool>>>()?;
        match all.contains(&false) {
            true => self.stage.home()?.load(&self.stage.means().image),
            false => Ok(()),
        }
    }

    fn in_lab(&self, text: &str) -> String {
        self.meant.iter().fold(text.to_owned(), |text, (page, lab)| text.replace(page, lab))
    }

    fn on_page(&self, text: &str) -> String {
        let home = self.home.path().display().to_string();
        let state = self.shoal.state_dir().display().to_string();
        let text = self.meant.iter().fold(text.to_owned(), |text, (page, lab)| text.replace(lab, page));
        // What a shell tells a terminal beside its lines: bracketed paste.
        let text = text.replace("\u{1b}[?2004h", "").replace("\u{1b}[?2004l", "");
        text.replace(&home, "~").replace(&state, "~/.local/state/shoal").replace('\r', "")
    }

    fn shell(&self, line: &str) -> Call {
        self.settled(Call::new("bash").words(["-c", &format!("cd && {{ {line}\n}} 2>&1")]))
    }

    fn settled(&self, call: Call) -> Call {
        // Ansible refuses to run in another encoding.
        let call = call.env("LC_ALL", "C.UTF-8");
        self.shoal.beside(call).env("HOME", self.home.path()).env("TZ", "UTC").env("PS1", "")
    }

    /// Runs a command, and one that only looks as often as it takes to find what its page shows.
    fn settle(&self, command: &Command) -> anyhow::Result<(String, bool)> {
        if !command.looks() {
            return self.run(command);
        }
        let look = || match self.run(command) {
            Ok(got) if command.missing(&got.0).is_none() && got.1 != command.fails() => Ok(got),
            // What it was last is for who compares.
            last => Err(last),
        };
        until(SETTLES, look).or_else(|last| last)
    }

    /// What a command prints, on both outputs, and whether it succeeds.
    fn run(&self, command: &Command) -> anyhow::Result<(String, bool)> {
        if command.line == BUILT.0 {
            return Ok((format!("{}\n", command.shown.join("\n")), true));
        }
        let line = self.in_lab(&command.line);
        if command.interrupted {
            return self.interrupt(&line);
        }
        let ended = if command.typed.is_empty() {
            self.shell(&line).end()?
        } else {
            let typed: String = command.typed.iter().flat_map(|line| [line, "\n"]).collect();
            let on_terminal = format!(
                "cd && exec script --quiet --return --command {} /dev/null",
                shlex::try_quote(&line)?
            );
            self.settled(Call::new("bash").words(["-c", &on_terminal])).input(typed).end()?
        };
        Ok((self.on_page(&ended.stdout), ended.code == Some(0)))
    }

    /// Runs a command until it has printed a line, then presses Ctrl-C.
    fn interrupt(&self, line: &str) -> anyhow::Result<(String, bool)> {
        let call = self.settled(Call::new("bash").words(["-c", &format!("cd && exec {line} 2>&1")]));
        let mut child = Running(call.begin()?);
        let mut first = String::new();
        BufReader::new(child.0.stdout.take().context("no output")?).read_line(&mut first)?;
        killpg(Pid::from_raw(i32::try_from(child.0.id())?), Signal::SIGINT)?;
        let code = child.0.wait()?.code();
        Ok((self.on_page(&first), matches!(code, Some(0 | 130))))
    }
}

/// A process with a group of its own, which ends with this.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if let (Ok(None), Ok(group)) = (self.0.try_wait(), i32::try_from(self.0.id())) {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
            let _ = self.0.wait();
        }
    }
}
