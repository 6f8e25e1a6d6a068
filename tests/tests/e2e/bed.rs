//! An installation whose hosts are reached through proxies, so that they fail as a test says.
//!
//! A bed takes a registration a host to make, so tests of a file may share one ([`Shared`]): each finds the hosts as the bed was
//! made on them, and the last one checks that nothing of the installation stays.

use std::{
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow, ensure};
use shoal_lab::Lab;
use shoal_tests::{Ended, Installation, Machine, Proxy, Rule, Stage, Traces};

/// Far below the 90 s of a lease: what is interrupted is taken over at once.
pub(crate) const AT_ONCE: Duration = Duration::from_secs(45);

/// An installation of its own on some hosts of the lab.
pub(crate) struct Bed {
    pub(crate) home: Installation,
    pub(crate) machines: Vec<Machine>,
    pub(crate) proxies: Vec<Proxy>,
    bare: Traces,
    before: Traces,
}

impl Bed {
    /// On the first `hosts` hosts of the lab; both kinds of engine are among them from two on.
    pub(crate) fn new(stage: &Stage, hosts: usize) -> anyhow::Result<Self> {
        // It has the node image loaded.
        stage.home()?;
        let machines = stage.machines()?.get(..hosts).context("a lab of fewer hosts")?.to_vec();
        let home = Installation::new(stage.means(), None)?;
        let bare = Traces::of(&machines)?;
        let mut proxies = Vec::new();
        for machine in &machines {
            let proxy = Proxy::new(&machine.host().socket)?;
            home.register_through(&proxy, machine)?;
            proxies.push(proxy);
        }
        let before = Traces::of(&machines)?;
        Ok(Self { home, machines, proxies, bare, before })
    }

    /// The same rule on every host.
    pub(crate) fn arm(&self, rule: &Rule) {
        for proxy in &self.proxies {
            drop(proxy.arm(rule.clone()));
        }
    }

    /// Every host is as it should be.
    pub(crate) fn mend(&self) {
        self.proxies.iter().for_each(Proxy::mend);
    }

    /// Makes a call, cuts the power of host `at` as soon as the rule acts there, and gives it back when the call has ended; how
    /// that ended, and after how many seconds.
    pub(crate) fn cut_power(
        &self,
        lab: &Lab,
        at: usize,
        rule: Rule,
        words: &[&str],
    ) -> anyhow::Result<(Ended, f32)> {
        let host = self.machines[at].host().name;
        let acted = self.proxies[at].arm(rule);
        let ended = thread::scope(|scope| {
            let calling = scope.spawn(|| timed(&self.home, words));
            acted.recv_timeout(Duration::from_secs(60)).context("nothing was to be done there")?;
            lab.cut_power(host)?;
            calling.join().map_err(|_| anyhow!("a panic"))?
        })?;
        lab.restart(host)?;
        self.mend();
        Ok(ended)
    }

    /// The cheapest command that changes something: a create that fits nowhere. What was interrupted is finished first,
    /// and at once; how long that took.
    pub(crate) fn finish(&self) -> anyhow::Result<Duration> {
        let started = Instant::now();
        // Its log says why what was interrupted could not be finished.
        let words = ["create", "cluster", "nowhere", "--constraint", "nowhere=true", "-v"];
        let ended = self.home.run(&words)?;
        ensure!(started.elapsed() < AT_ONCE, "finishing took {:?}: {ended}", started.elapsed());
        ended.with(4)?;
        Ok(started.elapsed())
    }

    /// A job runs on that many nodes of the cluster.
    pub(crate) fn job(&self, cluster: &str, nodes: usize) -> anyhow::Result<()> {
        let count = nodes.to_string();
        let said = self.home.run(&["exec", cluster, "--", "srun", "-N", &count, "hostname"])?.ok()?;
        ensure!(said.lines().count() == nodes, "{said}");
        Ok(())
    }

    /// Neither the store nor the hosts know the cluster.
    pub(crate) fn gone(&self, cluster: &str) -> anyhow::Result<()> {
        self.home.run(&["get", "cluster", cluster])?.with(3)?;
        self.is_as_made()
    }

    /// On the hosts is what was there when it was made, and nothing else.
    fn is_as_made(&self) -> anyhow::Result<()> {
        let now = Traces::of(&self.machines)?;
        let before = &self.before;
        ensure!(now == *before, "left: {:?}, missing: {:?}", now.since(before), before.since(&now));
        Ok(())
    }

    /// Forgets the hosts; nothing of the installation is left on them.
    pub(crate) fn leave(self) -> anyhow::Result<()> {
        self.mend();
        for machine in &self.machines {
            self.home.run(&["unregister", &machine.name()])?.ok()?;
        }
        let now = Traces::of(&self.machines)?;
        ensure!(now == self.bare, "left: {:?}, missing: {:?}", now.since(&self.bare), self.bare.since(&now));
        Ok(())
    }
}

/// A bed that tests have one after the other.
pub(crate) struct Shared {
    hosts: usize,
    kept: Mutex<Option<Bed>>,
}

impl Shared {
    /// One on that many hosts, made when the first test wants it.
    pub(crate) const fn of_hosts(hosts: usize) -> Self {
        Self { hosts, kept: Mutex::new(None) }
    }

    /// Runs a test on it. A bed on which a test fails is nobody's any more: the next one gets another.
    pub(crate) fn lend(
        &self,
        stage: &Stage,
        test: impl FnOnce(&Bed) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let bed = self.take(stage)?;
        test(&bed)?;
        bed.mend();
        bed.is_as_made()?;
        self.put(bed);
        Ok(())
    }

    /// Runs the last test on it, and leaves.
    pub(crate) fn lend_last(
        &self,
        stage: &Stage,
        test: impl FnOnce(&Bed) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let bed = self.take(stage)?;
        test(&bed)?;
        bed.leave()
    }

    fn take(&self, stage: &Stage) -> anyhow::Result<Bed> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take();
        kept.map_or_else(|| Bed::new(stage, self.hosts), Ok)
    }

    fn put(&self, bed: Bed) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(bed);
    }
}

/// Makes a call; how long it took, in seconds.
pub(crate) fn timed(home: &Installation, words: &[&str]) -> anyhow::Result<(Ended, f32)> {
    let started = Instant::now();
    let ended = home.run(words)?;
    Ok((ended, started.elapsed().as_secs_f32()))
}

/// SIGKILL ended the command: timeout(1) reports that as a signal or as its status.
pub(crate) fn killed(ended: &Ended) -> bool {
    matches!(ended.code, None | Some(137))
}
