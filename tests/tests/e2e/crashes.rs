//! SIGKILL of `shoal` at every kind of effect, on a host and in the store: the next command takes over at once, and it
//! ends ready or gone.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use shoal_tests::{Action, Mode, Rule, Stage, When};
use shoal_types::EventKind;

use crate::bed::{Bed, Shared, killed};

static BED: Shared = Shared::of_hosts(2);

const WORKERS: usize = 2;
const CREATE: [&str; 5] = ["create", "cluster", "cut", "--workers", "2"];
const DELETE: [&str; 3] = ["delete", "cluster", "cut"];

/// A kind of request: what it is, its method, and what its path and the command of an exec hold. The first of them on its host.
type Kind = (&'static str, &'static str, &'static [&'static str]);

/// In the order in which a create comes by.
const OF_A_CREATE: &[Kind] = &[
    ("network create", "POST", &["/networks/create"]),
    ("volume create", "POST", &["/volumes/create"]),
    ("container create", "POST", &["/containers/create", ".cut."]),
    ("archive", "PUT", &["/containers/", "/archive"]),
    ("start", "POST", &["/containers/", "/start"]),
    ("agent session", "POST", &["/exec/", "/start runs /shoal agent connect"]),
    ("making a sinfo", "POST", &["/containers/", "/exec runs sinfo "]),
    ("sinfo", "POST", &["/exec/", "/start runs sinfo "]),
];
const OF_A_DELETE: &[Kind] = &[
    ("container remove", "DELETE", &["/containers/"]),
    ("network remove", "DELETE", &["/networks/"]),
    ("volume remove", "DELETE", &["/volumes/"]),
];
const OF_AN_AGENT: &[Kind] = &[
    ("agent image load", "POST", &["/images/load"]),
    ("agent volume", "POST", &["/volumes/create"]),
    ("agent create", "POST", &["/containers/create", "shoal-agent"]),
    ("agent start", "POST", &["/containers/", "/start"]),
    ("making an agent session", "POST", &["/containers/", "/exec runs /shoal agent connect"]),
    ("agent session", "POST", &["/exec/", "/start runs /shoal agent connect"]),
];

/// Runs a command that is killed at this request.
fn killed_at(bed: &Bed, words: &[&str], kind: &Kind, when: When, action: Action) -> anyhow::Result<()> {
    let &(what, method, parts) = kind;
    bed.arm(&Rule::new(method, parts, when, action));
    let started = Instant::now();
    let ended = bed.home.run(words)?;
    ensure!(killed(&ended), "not killed at {what}, {when:?}: {ended}");
    bed.mend();
    println!("  killed {when:?} {what} after {:.1} s", started.elapsed().as_secs_f32());
    Ok(())
}

/// One cluster, whose creation and deletion die at every kind of effect in turn: each process goes on where the one before
/// it was killed.
fn at_every_effect(stage: &Stage, when: When) -> anyhow::Result<()> {
    BED.lend(stage, |bed| {
        for kind in OF_A_CREATE {
            killed_at(bed, &CREATE, kind, when, Action::Kill)?;
            let phase = bed.home.phase("cut")?;
            ensure!(phase.as_deref() == Some("interrupted"), "{phase:?} after a kill at {}", kind.0);
        }
        let took = bed.finish()?;
        println!("  ready {:.1} s after the last", took.as_secs_f32());
        ensure!(bed.home.phase("cut")?.as_deref() == Some("ready"), "{:?}", bed.home.phase("cut")?);
        bed.job("cut", WORKERS)?;
        for kind in OF_A_DELETE {
            killed_at(bed, &DELETE, kind, when, Action::Kill)?;
            let phase = bed.home.phase("cut")?;
            ensure!(phase.as_deref() == Some("deleting"), "{phase:?} after a kill at {}", kind.0);
        }
        let took = bed.finish()?;
        println!("  gone {:.1} s after the last", took.as_secs_f32());
        bed.gone("cut")
    })
}

/// Killed when the engine has not seen the request.
pub(crate) fn killed_before_the_engine_sees_each_kind_of_effect(stage: &Stage) -> anyhow::Result<()> {
    at_every_effect(stage, When::Before)
}

/// Killed when the engine has done it and nobody has read that.
pub(crate) fn killed_after_each_kind_of_effect_before_its_answer(stage: &Stage) -> anyhow::Result<()> {
    at_every_effect(stage, When::After)
}

/// Deleted at once, while the dead process's last request is still on its way to the engine.
pub(crate) fn deleted_right_after_a_kill_nothing_is_left_of_what_came_late(
    stage: &Stage,
) -> anyhow::Result<()> {
    const LATE: Duration = Duration::from_millis(300);
    BED.lend(stage, |bed| {
        for (what, method, parts) in OF_A_CREATE.iter().filter(|kind| kind.0 != "archive").take(4) {
            let rule = Rule::new(method, parts, When::Before, Action::KillThenPass(LATE));
            let late: Vec<_> = bed.proxies.iter().map(|proxy| proxy.arm(rule.clone())).collect();
            let ended = bed.home.run(&CREATE)?;
            ensure!(killed(&ended), "not killed at {what}: {ended}");
            let started = Instant::now();
            bed.home.run(&DELETE)?.ok()?;
            println!("  {what}: deleted in {:.1} s", started.elapsed().as_secs_f32());
            // It has come by now, or comes before this returns.
            let landed = late.iter().filter_map(|landed| landed.recv_timeout(LATE).ok()).count();
            ensure!(landed > 0, "{what} never came");
            bed.mend();
            bed.gone("cut").with_context(|| format!("after a late {what}"))?;
        }
        Ok(())
    })
}

/// Killed as soon as the store says that something happened.
pub(crate) fn killed_after_each_kind_of_event(stage: &Stage) -> anyhow::Result<()> {
    BED.lend(stage, |bed| {
        let at = |words: &[&str], kind: EventKind| -> anyhow::Result<Option<String>> {
            let log = bed.home.log()?;
            let mut child = bed.home.begin(words)?;
            let seen = log.wait(Duration::from_secs(60), |event| event.event.kind == kind);
            kill(Pid::from_raw(child.id().try_into()?), Signal::SIGKILL)?;
            let ended = child.wait()?;
            let event = seen.with_context(|| format!("{kind}, {ended}"))?;
            ensure!(ended.code().is_none(), "not killed at {kind}: {ended}");
            println!("  killed after {kind}: {}", event.event.message);
            bed.home.phase("cut")
        };
        for kind in [
            EventKind::Admitted,
            EventKind::Network,
            EventKind::NodeCreated,
            EventKind::NodeStarted,
            EventKind::NodeReady,
        ] {
            let phase = at(&CREATE, kind)?.with_context(|| format!("gone after {kind}"))?;
            // The last of its steps may have been taken already.
            let settled = kind == EventKind::NodeReady && phase == "ready";
            ensure!(phase == "interrupted" || settled, "{phase} after {kind}");
        }
        bed.finish()?;
        ensure!(bed.home.phase("cut")?.as_deref() == Some("ready"), "{:?}", bed.home.phase("cut")?);
        bed.job("cut", WORKERS)?;
        for kind in [EventKind::Deleting, EventKind::NodeRemoved] {
            let phase = at(&DELETE, kind)?;
            ensure!(phase.as_deref() == Some("deleting"), "{phase:?} after {kind}");
        }
        bed.finish()?;
        bed.gone("cut")
    })
}

/// The first Ctrl-C rolls back, which takes as long as a host that hangs lets it; the second ends at once, and the next
/// command cleans up.
pub(crate) fn a_second_interrupt_ends_at_once(stage: &Stage) -> anyhow::Result<()> {
    BED.lend(stage, |bed| {
        let hangs = bed.proxies[1].arm(Rule::new(
            "PUT",
            &["/containers/", "/archive"],
            When::Before,
            Action::Become(Mode::Hang),
        ));
        let log = bed.home.log()?;
        let mut command = bed.home.command(&CREATE);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let pid = Pid::from_raw(child.id().try_into()?);
        let first = hangs.recv_timeout(Duration::from_secs(60)).map_err(anyhow::Error::from);
        let first = first.and_then(|_| {
            kill(pid, Signal::SIGINT)?;
            // It says so before it asks any host.
            log.wait(Duration::from_secs(45), |event| event.event.kind == EventKind::RollingBack)
        });
        let started = Instant::now();
        kill(pid, Signal::SIGINT)?;
        let ended = child.wait_with_output()?;
        let (status, said) = (ended.status, String::from_utf8_lossy(&ended.stderr));
        let took = started.elapsed();
        first.with_context(|| format!("no roll-back began, {status}"))?;
        ensure!(status.code() == Some(130) && took < Duration::from_secs(2), "{status} after {took:?}");
        ensure!(said.ends_with("or `shoal resume`, finishes what was under way\n"), "{said}");
        ensure!(bed.home.phase("cut")?.as_deref() == Some("deleting"), "{:?}", bed.home.phase("cut")?);
        bed.mend();
        bed.finish()?;
        bed.gone("cut")
    })
}

/// Agents are gone from the hosts, and whoever brings them dies at every kind of effect that takes.
pub(crate) fn killed_while_bringing_an_agent(stage: &Stage) -> anyhow::Result<()> {
    BED.lend_last(stage, |bed| {
        let words = ["create", "cluster", "nowhere", "--constraint", "nowhere=true"];
        let of_this = format!("shoal.installation={}", bed.home.log()?.installation());
        for when in [When::Before, When::After] {
            for machine in &bed.machines {
                for agent in machine.labelled("container", &of_this)? {
                    let image =
                        machine.docker(&["inspect", "--format", "{{.Config.Image}}", &agent])?.ok()?;
                    machine.docker(&["rm", "--force", &agent])?.ok()?;
                    // Other installations' agents of the same build go on without the name.
                    machine.docker(&["rmi", "--force", image.trim()])?.ok()?;
                }
                for volume in machine.labelled("volume", &of_this)? {
                    machine.docker(&["volume", "rm", &volume])?.ok()?;
                }
            }
            for kind in OF_AN_AGENT {
                killed_at(bed, &words, kind, when, Action::Kill)?;
            }
            bed.finish()?;
            for machine in &bed.machines {
                let agents = machine.labelled("container", &of_this)?;
                ensure!(agents.len() == 1, "agents on {}: {agents:?}", machine.name());
            }
        }
        Ok(())
    })
}
