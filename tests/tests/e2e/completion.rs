//! Words as shells offer them: real bash, zsh and fish, the names of a real cluster.

use anyhow::ensure;
use shoal_tests::{Call, Stage};

/// What bash calls when Tab is pressed after the last of the words, and what it was answered.
const BASH: &str = r#"
source <(shoal completion bash)
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_TYPE=9
_clap_complete_shoal shoal "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\n' "${COMPREPLY[@]}"
"#;
/// fish has a command that answers as Tab would.
const FISH: &str = "shoal completion fish | source; complete -C \"$argv\"";
/// zsh completes only on a terminal: one of its own, where Tab is pressed.
const ZSH: &str = r#"
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'autoload -U compinit; compinit -u -D; source <(shoal completion zsh); bindkey "^I" complete-word; PS1=; print READY''MARK'
zpty -r -m shell seen '*READYMARK*'
zpty -w -n shell "$*"$'\t'
zpty -r -m shell seen "*$EXPECTED*"
print -r -- "${seen##*$'\r'}"
"#;

/// Hosts, clusters and nodes are offered in all three, verbs and flags too; what does not fit is not.
pub(crate) fn shells_offer_the_names_there_are(stage: &Stage) -> anyhow::Result<()> {
    let home = stage.home()?;
    stage.dev()?;
    let shell = |program: &str, script: &str, words: &[&str]| {
        let arguments: &[&str] = if program == "fish" { &[] } else { &["-"] };
        home.beside(Call::new(program).words(["-c", script]).words(arguments).words(words))
    };
    for (words, offered) in [
        (["shoal", "ssh", "worker-1"], "worker-1.dev"),
        (["shoal", "exec", "d"], "dev"),
        (["shoal", "cp", "worker-1"], "worker-1.dev:"),
        (["shoal", "unregister", "host2"], "host2"),
        (["shoal", "unr", ""], ""),
    ] {
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        let offered = if offered.is_empty() { "unregister" } else { offered };
        let said = shell("bash", BASH, &words).end()?.ok()?;
        ensure!(said.lines().eq([offered]), "bash: {words:?}: {said}");
        let said = shell("fish", FISH, &words).end()?.ok()?;
        let first = said.lines().map(|line| line.split('\t').next().unwrap_or_default());
        ensure!(first.eq([offered]), "fish: {words:?}: {said}");
        let line = [&words[..words.len() - 1], &[offered]].concat().join(" ");
        let said = shell("zsh", ZSH, &words).env("EXPECTED", &line).end()?.ok()?;
        ensure!(said.trim_end().ends_with(&line), "zsh: {words:?}: {said}");
    }
    // Nobody has a store here: nothing is offered, nothing is said, nothing is made.
    let nowhere = tempfile::tempdir()?;
    let said = shell("bash", BASH, &["shoal", "exec", "d"]).env("SHOAL_STATE_DIR", nowhere.path()).end()?;
    ensure!(said.stderr.is_empty() && said.ok()?.trim().is_empty(), "something was offered");
    ensure!(nowhere.path().read_dir()?.next().is_none(), "completion made a store");
    Ok(())
}
