//! What a specification says to Slurm and the hosts: it is refused before anything is made, or the create ends as soon as Slurm has
//! refused it.

use shoal_tests::sim::{Wish, World, problems};
use tonic::Code;

/// A daemon that ends at every start is believed within 5 s of its first end, its own line first, with the user's.
#[test]
fn a_daemon_that_refuses_its_configuration_ends_the_create() -> anyhow::Result<()> {
    for (node, daemon) in [("controller", "slurmctld"), ("worker-0", "slurmd")] {
        let world = World::registered(1, 1)?;
        let words = format!(
            "{daemon}: error: Parsing error at unrecognized key: NoSuchKey\n{daemon}: fatal: bad configuration\n"
        );
        world.mesh("h1", |mesh| mesh.refuses.insert(node.to_owned(), words));
        let began = world.now();
        let wish = Wish { main: "MaxJobCount=10\nNoSuchKey=1\n".into(), ..Wish::new("dev", 1) };
        let (created, rows) = world.command("a", async |_, c| c.create(&wish).await)?;
        let error = created.unwrap_err().to_string();
        let told = format!(
            "{daemon} does not start: Parsing error at unrecognized key: NoSuchKey (slurm.main, line 2: \
             NoSuchKey=1); bad configuration"
        );
        assert!(error.contains(&told), "{error}");
        assert_eq!(rows.clusters.len(), 0);
        // The controller boots for 1.5 s before its daemon ends for the first time.
        let took = world.now().since(began);
        assert!(took.as_secs() < 7, "{node}: {took:?}");
    }
    Ok(())
}

/// Five ends of a daemon that talks much are not in the end of its log; systemd counts them.
#[test]
fn a_daemon_that_says_much_is_found_to_refuse() -> anyhow::Result<()> {
    let world = World::registered(1, 1)?;
    let words = format!("{}slurmctld: fatal: bad\n", "slurmctld: debug: more\n".repeat(150));
    world.mesh("h1", |mesh| mesh.refuses.insert("controller".into(), words));
    let began = world.now();
    let (created, _) = world.command("a", async |_, c| c.create(&Wish::new("dev", 1)).await)?;
    let error = created.unwrap_err().to_string();
    assert!(error.contains("slurmctld does not start: bad"), "{error}");
    assert!(world.now().since(began).as_secs() < 7);
    Ok(())
}

/// The log holds ends of an hour ago, too: a daemon that goes on when it is run by hand is waited for.
#[test]
fn a_daemon_that_goes_on_by_hand_does_not_refuse() -> anyhow::Result<()> {
    let world = World::registered(1, 1)?;
    world.mesh("h1", |mesh| {
        mesh.works_by_hand = true;
        mesh.refuses.insert("controller".into(), "slurmctld: fatal: bad\n".into());
    });
    let (created, _) = world.command("a", async |_, c| c.create(&Wish::new("dev", 1)).await)?;
    let error = created.unwrap_err().to_string();
    assert!(!error.contains("does not start"), "{error}");
    Ok(())
}

/// A unit that no daemon of Slurm's comes up without is not started again: the create ends once systemd has given it up.
#[test]
fn a_unit_that_was_given_up_ends_the_create() -> anyhow::Result<()> {
    for (unit, stage) in [("munge.service", "munge"), ("ssh.service", "sshd")] {
        let world = World::registered(1, 1)?;
        world.mesh("h1", |mesh| mesh.stopped.insert("controller".into(), vec![unit.into()]));
        let began = world.now();
        let (created, _) = world.command("a", async |_, c| c.create(&Wish::new("dev", 1)).await)?;
        let error = created.unwrap_err().to_string();
        assert!(error.contains(&format!("{stage} does not start: its unit has failed")), "{error}");
        assert!(world.now().since(began).as_secs() < 10, "{stage}");
    }
    Ok(())
}

/// `h2` is the older engine, with cgroup v1: a plug-in that needs more is on the others, or refused with every host's reason.
#[test]
fn control_groups_are_decided_by_the_hosts() -> anyhow::Result<()> {
    let cgroups =
        |workers| Wish { main: "\nProctrackType=proctrack/cgroup".into(), ..Wish::new("dev", workers) };
    let world = World::registered(1, 2)?;
    let (created, rows) = world.command("a", async |_, c| c.create(&cgroups(4)).await)?;
    let cluster = created?;
    assert!(cluster.nodes.iter().all(|node| node.host == "h1"), "{:?}", cluster.nodes);
    assert_eq!(problems(&world, &rows), vec![]);

    let world = World::registered(1, 2)?;
    world.engine("h1").power_off();
    let (created, _) = world.command("a", async |_, c| c.create(&cgroups(4)).await)?;
    let error = created.unwrap_err().to_string();
    assert!(
        error.contains("1 is excluded (slurm.main, line 2: ProctrackType=proctrack/cgroup: cgroup v1"),
        "{error}"
    );

    let world = World::only(1, shoal_docker_fake::Release::V20_10)?;
    let (created, rows) = world.command("a", async |_, c| c.create(&cgroups(1)).await)?;
    let error = created.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    let told =
        "slurm.main, line 2: ProctrackType=proctrack/cgroup can be on none of the hosts: h1: cgroup v1";
    assert!(error.message().contains(told), "{error}");
    assert_eq!(rows.clusters.len(), 0);
    Ok(())
}

/// What the client would have refused is refused by the coordinator, too.
#[test]
fn what_is_shoals_is_refused_at_admission() -> anyhow::Result<()> {
    let world = World::registered(1, 1)?;
    for (main, word) in [
        ("SlurmctldHost=other", "slurm.main, line 1: `SlurmctldHost` is Shoal's"),
        ("AccountingStorageType=accounting_storage/slurmdbd", "there is no database"),
        ("JobSubmitPlugins=lua", "job_submit.lua, which is not given"),
        ("NodeName=worker-0 Feature=big", "slurm: {features: [big]}"),
    ] {
        let wish = Wish { main: main.into(), ..Wish::new("dev", 1) };
        let (created, rows) = world.command("a", async |_, c| c.create(&wish).await)?;
        let error = created.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{main}");
        assert!(error.message().contains(word), "{error}");
        assert_eq!(rows.clusters.len(), 0);
    }
    Ok(())
}

/// A port and a directory of the user's own: what waits for them and what they are on follows.
#[test]
fn ports_and_paths_of_the_users_are_followed() -> anyhow::Result<()> {
    let world = World::registered(1, 1)?;
    world.mesh("h1", |mesh| mesh.slurmctld_port = Some(7000));
    let main = "SlurmctldPort=7000\nStateSaveLocation=/data/state\n".to_owned();
    let wish = Wish { main, ..Wish::new("dev", 1) };
    let (created, rows) = world.command("a", async |_, c| c.create(&wish).await)?;
    created?;
    assert_eq!(problems(&world, &rows), vec![]);
    Ok(())
}
