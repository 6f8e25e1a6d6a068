//! What the facts of one host mean, each with what to do. Pure.

use std::{cmp::Ordering, fmt, net::IpAddr, time::Duration};

use shoal_api::{Check, Finding, Verdict};
use shoal_storage::Host;
use shoal_types::{Bytes, CgroupWay, HostName, Pools, PrivilegedNodes, Timestamp};

use crate::{
    drive::doctor::{Certificate, Evidence, Image, Skew, names},
    observe::capacity::{BRIDGE_PORTS, fits_inotify, fits_neighbours, fits_pids},
    words::agent::Bridge,
};

/// A certificate that runs out sooner is told.
const SOON: Duration = Duration::from_secs(30 * 86_400);
/// munge(7): a credential lives 300 s; from then on Slurm's nodes refuse each other.
const MUNGE_LIFE_MS: i64 = 300_000;
/// Clocks that somebody keeps are closer than this.
const KEPT_MS: i64 = 5_000;
/// Fewer nodes than this on a host is less than people expect of one.
const EXPECTED_NODES: u32 = 64;
/// A node's image has 180 MB unpacked, and every node writes a few MB of its own.
const LITTLE_DISK: Bytes = Bytes::mib(5 * 1024);
const NO_DISK: Bytes = Bytes::mib(1024);
/// Engines that are known not to work as they should: version, why.
const KNOWN_BAD: &[(&str, &str)] =
    &[("28.0.0", "it needs the kernel module ip_set for any network, which 28.0.1 does without")];
/// The oldest engine that is spoken with.
const OLDEST: (u32, u32) = (20, 10);

/// All findings of a host but those that need the others; `skews` are all hosts' clocks.
pub(super) fn judge(evidence: &Evidence, skews: &[(HostName, Skew)], pools: &Pools) -> Vec<Finding> {
    let Evidence { host, nodes, certificates, health, images, now, agent, names } = evidence;
    let mut findings = vec![engine(&host.engine.version)];
    match certificates {
        Ok(dates) => findings.extend(tls(dates, *now)),
        Err(error) => findings.push(Finding::warn(
            Check::Tls,
            format!("the certificates could not be looked at: {error}"),
            "see that the engine accepts connections, and run this again",
        )),
    }
    findings.push(cgroup(host, *nodes));
    if let Some(facts) = &host.facts {
        findings.push(fits(
            Check::Inotify,
            &format!("{} inotify instances", facts.inotify_instances),
            fits_inotify(facts.inotify_instances),
            *nodes,
            "sysctl -w fs.inotify.max_user_instances=8192",
        ));
        findings.push(fits(
            Check::Neighbours,
            &format!("{} neighbours", facts.neighbour_limit),
            fits_neighbours(facts.neighbour_limit),
            *nodes,
            "sysctl -w net.ipv4.neigh.default.gc_thresh3=16384",
        ));
        findings.push(filter(&facts.filter_fault));
    }
    match health {
        Err(error) => findings.push(Finding::fail(
            Check::Agent,
            format!("the agent does not tell how the host is: {error}"),
            "`docker logs` of the container shoal-agent-* there says why",
        )),
        Ok((health, own)) => {
            findings.push(fits(
                Check::Pids,
                &format!("{} processes", health.pid_limit),
                fits_pids(health.pid_limit),
                *nodes,
                "sysctl -w kernel.pid_max=4194304 kernel.threads-max=1000000",
            ));
            findings.push(bridge_ports(health.bridge.as_ref()));
            findings.push(disk(health.disk_free, health.disk_total));
            findings.push(clock(&host.name, *own, skews));
            findings.push(dns(&health.name_listeners));
            findings.push(Finding::pass(Check::Agent, format!("agent {agent}, of this build")));
        }
    }
    findings.extend(images.iter().map(|wanted| image(&host.name, wanted)));
    findings.extend(names.as_ref().map(|answered| names::judge(answered, pools)));
    findings
}

fn engine(version: &str) -> Finding {
    let mut parts = version.split(['.', '-', '+', '~']).map(|part| part.parse::<u32>().ok());
    let (major, minor) = (parts.next().flatten(), parts.next().flatten());
    let bare = version.split(['-', '+', '~']).next().unwrap_or_default();
    match (major, minor) {
        (Some(major), Some(minor)) if (major, minor) < OLDEST => Finding::fail(
            Check::Engine,
            format!("engine {version} is too old"),
            "upgrade Docker to 20.10 or newer; 28 or newer needs the least privilege",
        ),
        (Some(_), Some(_)) => match KNOWN_BAD.iter().find(|(bad, _)| *bad == bare) {
            Some((_, why)) => Finding::warn(
                Check::Engine,
                format!("engine {version} is known to have trouble: {why}"),
                "upgrade Docker to the next release",
            ),
            None => Finding::pass(Check::Engine, format!("engine {version}")),
        },
        _ => Finding::warn(
            Check::Engine,
            format!("engine `{version}` has no version that could be compared"),
            "use a release of Docker Engine, 20.10 or newer",
        ),
    }
}

/// Days of a certificate that are more than anybody plans for: some are made to last as long as a date can be written.
const FAR: u64 = 10 * 365;

fn tls(dates: &[(Certificate, Timestamp)], now: Timestamp) -> Vec<Finding> {
    let finding = |(whose, until): &(Certificate, Timestamp)| {
        let (what, fix) = match whose {
            Certificate::Ca => (
                "the CA certificate",
                "issue a new CA and certificates, then `shoal set host NAME --tls-dir DIR`",
            ),
            Certificate::Client => {
                ("our client certificate", "issue a new one, then `shoal set host NAME --tls-dir DIR`")
            }
            Certificate::Server => {
                ("the engine's certificate", "issue a new one on the host and restart its engine")
            }
        };
        let left = until.0.saturating_sub(now.0) / 86_400_000;
        match until.0 {
            at if at <= now.0 => Finding::fail(Check::Tls, format!("{what} has expired"), fix),
            at if at - now.0 < u64::try_from(SOON.as_millis()).unwrap_or(u64::MAX) => Finding::warn(
                Check::Tls,
                format!("{what} expires in {left} {}", if left == 1 { "day" } else { "days" }),
                fix,
            ),
            _ => Finding::pass(Check::Tls, format!("{what} is good for {left} days")),
        }
    };
    match dates.iter().map(finding).filter(|f| f.verdict != Verdict::Pass).collect::<Vec<_>>() {
        troubles if !troubles.is_empty() => troubles,
        _ if dates.is_empty() => {
            vec![Finding::pass(Check::Tls, "no TLS: the engine is reached by a local socket")]
        }
        _ => {
            let first = dates.iter().map(|(_, until)| until.0).min().unwrap_or_default();
            let left = first.saturating_sub(now.0) / 86_400_000;
            let text = match left {
                FAR.. => "certificates do not expire soon".to_owned(),
                left => format!("certificates are good for {left} days"),
            };
            vec![Finding::pass(Check::Tls, text)]
        }
    }
}

/// How nodes come to a cgroup tree, and what that makes of root in them; `nodes` are there already.
fn cgroup(host: &Host, nodes: u32) -> Finding {
    let (version, name) = (host.engine.cgroup_version, &host.name);
    match (host.engine.cgroup_way(), host.settings.privileged_nodes, nodes) {
        (CgroupWay::Writable, _, _) => {
            Finding::pass(Check::Cgroup, format!("cgroup v{version}, writable without a capability"))
        }
        (way @ CgroupWay::SysAdmin, PrivilegedNodes::Allow, _) => Finding::warn(
            Check::Cgroup,
            format!(
                "cgroup v{version}: nodes run with SYS_ADMIN, without seccomp and AppArmor: {} with it",
                way.reach(name.as_str()).unwrap_or_default()
            ),
            format!(
                "Docker 28 or newer on a machine with cgroup v2 needs none of that; \
                 `shoal set host {name} --privileged-nodes deny` keeps nodes off this host"
            ),
        ),
        (CgroupWay::SysAdmin, PrivilegedNodes::Deny, 0) => Finding::pass(
            Check::Cgroup,
            format!("cgroup v{version}: root in a node would be root on {name}, which takes no nodes"),
        ),
        (CgroupWay::SysAdmin, PrivilegedNodes::Deny, _) => Finding::warn(
            Check::Cgroup,
            format!(
                "cgroup v{version}: {name} denies privileged nodes, and has {nodes}: root in them is root on it"
            ),
            "delete their clusters; `shoal get nodes` shows which these are",
        ),
    }
}

fn fits(check: Check, what: &str, fits: u32, nodes: u32, fix: &str) -> Finding {
    let message = format!("{what}: fits {fits} nodes");
    match fits {
        fits if fits <= nodes && fits < EXPECTED_NODES => {
            Finding::fail(check, format!("{message}, {nodes} are there"), fix)
        }
        fits if fits < EXPECTED_NODES => Finding::warn(check, message, fix),
        _ => Finding::pass(check, message),
    }
}

fn bridge_ports(bridge: Option<&Bridge>) -> Finding {
    let message = match bridge {
        None => format!("no bridge; {BRIDGE_PORTS} ports on each"),
        Some(Bridge { name, ports }) => format!("{ports} of {BRIDGE_PORTS} ports of bridge {name} in use"),
    };
    let fix = "place further nodes of this cluster on other hosts";
    match bridge.map_or(0, |bridge| bridge.ports) {
        ports if ports >= BRIDGE_PORTS => Finding::fail(Check::BridgePorts, message, fix),
        ports if ports > BRIDGE_PORTS / 10 * 9 => Finding::warn(Check::BridgePorts, message, fix),
        _ => Finding::pass(Check::BridgePorts, message),
    }
}

fn disk(free: Bytes, total: Bytes) -> Finding {
    let message = format!("{free} of {total} free where the engine keeps its data");
    let fix = "`docker system df` says what takes it; `docker image prune` removes what no container uses";
    match free {
        free if free < NO_DISK => Finding::fail(Check::Disk, message, fix),
        free if free < LITTLE_DISK => Finding::warn(Check::Disk, message, fix),
        _ => Finding::pass(Check::Disk, message),
    }
}

/// A span of clocks, in the unit people compare clocks in.
struct Span(i64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.abs() {
            ms @ 0..10_000 => write!(f, "{ms} ms"),
            ms => write!(f, "{} s", ms / 1000),
        }
    }
}

/// The worst of the differences to the coordinator and to the other hosts, less what the measuring may be wrong.
fn clock(name: &HostName, own: Skew, skews: &[(HostName, Skew)]) -> Finding {
    let here = (own.ahead_ms, own.error_ms, "this machine".to_owned());
    let others = skews
        .iter()
        .filter(|(other, _)| other != name)
        .map(|(other, skew)| (own.ahead_ms - skew.ahead_ms, own.error_ms + skew.error_ms, other.to_string()));
    let sure = |(ahead, error, _): &(i64, i64, String)| (ahead.abs() - error).max(0);
    let worst = std::iter::once(here.clone())
        .chain(others)
        .fold(here, |worst, next| if sure(&next) > sure(&worst) { next } else { worst });
    let (ahead, _, other) = &worst;
    let way = match ahead.cmp(&0) {
        Ordering::Less => "behind",
        Ordering::Equal | Ordering::Greater => "ahead of",
    };
    let message = format!("the clock is {} {way} that of {other}", Span(*ahead));
    let fix = "keep time on every host: `timedatectl set-ntp true`, or chrony";
    match sure(&worst) {
        sure if sure >= MUNGE_LIFE_MS => {
            Finding::fail(Check::Clock, format!("{message}; munge credentials live 300 s"), fix)
        }
        sure if sure > KEPT_MS => {
            Finding::warn(Check::Clock, format!("{message}; munge credentials live 300 s"), fix)
        }
        _ => Finding::pass(
            Check::Clock,
            format!("the clock is right, as far as {}", Span(own.error_ms.max(ahead.abs()))),
        ),
    }
}

fn dns(listeners: &[IpAddr]) -> Finding {
    match listeners.iter().find(|address| address.is_unspecified()) {
        None => Finding::pass(Check::Dns, "port 53 is free on the addresses of bridges"),
        Some(address) => Finding::fail(
            Check::Dns,
            format!(
                "something listens on port 53 of every address ({address}), so that names of nodes cannot be served"
            ),
            "bind that name server to addresses of its own, such as dnsmasq with bind-interfaces",
        ),
    }
}

fn image(host: &HostName, image: &Image) -> Finding {
    let Image { reference, of_cluster, present } = image;
    match (present, of_cluster) {
        (Ok(true), _) => Finding::pass(Check::Image, format!("image {reference}")),
        (Ok(false), Some(id)) => Finding::fail(
            Check::Image,
            format!("image {reference} of a cluster here is gone ({id}): its nodes cannot be made again"),
            format!("load the same image again: `shoal load image FILE --host {host}`"),
        ),
        (Ok(false), None) => Finding::warn(
            Check::Image,
            format!("image {reference} is not there"),
            format!("`shoal load image FILE --host {host}`, or `shoal build image` and load it"),
        ),
        (Err(error), _) => Finding::warn(
            Check::Image,
            format!("image {reference} could not be looked up: {error}"),
            "run this again",
        ),
    }
}

/// Whether the host drops tunnel packets of strangers.
fn filter(fault: &str) -> Finding {
    match fault {
        "" => Finding::pass(Check::Udp, "tunnel packets of strangers are dropped"),
        fault => Finding::warn(
            Check::Udp,
            format!("whoever reaches the port of tunnels can send into clusters: {fault}"),
            "load the kernel module nf_tables, or let nothing but hosts reach UDP port 4799",
        ),
    }
}

/// Whether the host could open the port of tunnels; `None`: it was not tried, for want of an address.
pub(super) fn udp(port: Option<&Result<(), String>>) -> Finding {
    match port {
        Some(Ok(())) => Finding::pass(Check::Udp, "the port of tunnels can be opened"),
        Some(Err(error)) => Finding::fail(
            Check::Udp,
            format!("the port of tunnels cannot be opened: {error}"),
            "`ss -ulnp` on the host says which program has the port; end it, or load the kernel module vxlan",
        ),
        None => Finding::fail(
            Check::Udp,
            "no address to send tunnel packets from",
            "name one with `shoal set host NAME --underlay ADDRESS`",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400_000;

    fn verdicts(findings: &[Finding]) -> Vec<Verdict> {
        findings.iter().map(|f| f.verdict).collect()
    }

    #[test]
    fn engines() {
        for (version, verdict) in [
            ("20.10.24+dfsg1", Verdict::Pass),
            ("28.5.2", Verdict::Pass),
            ("28.0.0", Verdict::Warn),
            ("28.0.1", Verdict::Pass),
            ("19.03.15", Verdict::Fail),
            ("20.9.1", Verdict::Fail),
            ("dev", Verdict::Warn),
            ("", Verdict::Warn),
        ] {
            let found = engine(version);
            assert_eq!(found.verdict, verdict, "{version}");
            assert_eq!(found.fix.is_none(), verdict == Verdict::Pass, "{version}");
        }
    }

    #[test]
    fn nodes_that_are_root_on_their_host() {
        let mut host = Host::registered(
            shoal_types::HostId::new(1, [1; 10]),
            "h1".parse().unwrap(),
            shoal_storage::HostSettings {
                endpoint: "unix:///x".into(),
                credential: None,
                underlay: None,
                mtu: None,
                labels: shoal_types::Labels::default(),
                capacity: shoal_types::Capacity::default(),
                overcommit: shoal_types::Overcommit::default(),
                reserve: shoal_types::Resources::default(),
                privileged_nodes: PrivilegedNodes::Deny,
                scheduling: shoal_types::Scheduling::Schedulable,
            },
            shoal_types::EngineFacts::sample(),
            Timestamp(1),
        );
        assert_eq!(cgroup(&host, 3).verdict, Verdict::Pass);
        host.engine.cgroup_version = 1;
        assert_eq!((cgroup(&host, 0).verdict, cgroup(&host, 3).verdict), (Verdict::Pass, Verdict::Warn));
        host.settings.privileged_nodes = PrivilegedNodes::Allow;
        let warned = cgroup(&host, 0);
        assert_eq!(warned.verdict, Verdict::Warn);
        assert!(warned.message.contains("root in a node is root on h1, and on every host"), "{warned:?}");
        assert!(warned.fix.unwrap().contains("`shoal set host h1 --privileged-nodes deny`"));
    }

    #[test]
    fn certificates() {
        let now = Timestamp(100 * DAY);
        let of = |days: &[u64]| {
            let whose = [Certificate::Ca, Certificate::Client, Certificate::Server];
            let dates: Vec<_> = whose.into_iter().zip(days.iter().map(|d| Timestamp(d * DAY))).collect();
            tls(&dates, now)
        };
        assert_eq!(of(&[200, 300, 400])[0].message, "certificates are good for 100 days");
        assert_eq!(of(&[755_822, 9_999_999, 755_822])[0].message, "certificates do not expire soon");
        assert_eq!(of(&[3_749, 9_999, 9_999])[0].message, "certificates are good for 3649 days");
        assert_eq!(verdicts(&of(&[])), [Verdict::Pass]);
        assert_eq!(verdicts(&of(&[200, 129, 400])), [Verdict::Warn]);
        assert_eq!(verdicts(&of(&[200, 130, 400])), [Verdict::Pass]);
        let bad = of(&[100, 300, 101]);
        assert_eq!(verdicts(&bad), [Verdict::Fail, Verdict::Warn]);
        assert_eq!(bad[1].message, "the engine's certificate expires in 1 day");
    }

    #[test]
    fn limits_are_told_as_nodes() {
        let of = |fit, nodes| fits(Check::Inotify, "128 inotify instances", fit, nodes, "raise it").verdict;
        assert_eq!(fits(Check::Pids, "x", 14, 3, "fix").message, "x: fits 14 nodes");
        assert_eq!(
            (of(14, 3), of(14, 14), of(64, 3), of(256, 300)),
            (Verdict::Warn, Verdict::Fail, Verdict::Pass, Verdict::Pass)
        );
        let ports = |n| bridge_ports(Some(&Bridge { name: "sb1".into(), ports: n })).verdict;
        assert_eq!((ports(5), ports(901), ports(1000)), (Verdict::Pass, Verdict::Warn, Verdict::Fail));
        assert_eq!(bridge_ports(None).verdict, Verdict::Pass);
    }

    #[test]
    fn disks() {
        let of = |mib| disk(Bytes::mib(mib), Bytes::mib(100_000)).verdict;
        assert_eq!((of(500), of(2000), of(6000)), (Verdict::Fail, Verdict::Warn, Verdict::Pass));
    }

    #[test]
    fn clocks_of_hosts_are_compared_with_each_other_too() {
        let name = |n: &str| n.parse::<HostName>().unwrap();
        let skew = |ahead_ms| Skew { ahead_ms, error_ms: 20 };
        let all = |a, b| vec![(name("a"), skew(a)), (name("b"), skew(b))];
        let of = |a, b| clock(&name("a"), skew(a), &all(a, b));
        assert_eq!(of(10, -10).verdict, Verdict::Pass);
        assert_eq!(of(-6000, 0).verdict, Verdict::Warn);
        assert_eq!(
            of(-6000, 0).message,
            "the clock is 6000 ms behind that of this machine; munge credentials live 300 s"
        );
        let apart = of(200_000, -200_000);
        assert_eq!(apart.verdict, Verdict::Fail);
        assert_eq!(apart.message, "the clock is 400 s ahead of that of b; munge credentials live 300 s");
        // What the measuring may be wrong is nobody's fault.
        assert_eq!(clock(&name("a"), Skew { ahead_ms: 6000, error_ms: 2000 }, &[]).verdict, Verdict::Pass);
    }

    #[test]
    fn name_servers_of_others() {
        let of = |addresses: &[&str]| {
            dns(&addresses.iter().map(|address| address.parse().unwrap()).collect::<Vec<_>>()).verdict
        };
        assert_eq!((of(&[]), of(&["127.0.0.53", "10.96.0.1"])), (Verdict::Pass, Verdict::Pass));
        assert_eq!((of(&["127.0.0.1", "0.0.0.0"]), of(&["::"])), (Verdict::Fail, Verdict::Fail));
    }

    #[test]
    fn images() {
        let of = |present, of_cluster: Option<&str>| {
            let wanted =
                Image { reference: "n:1".into(), of_cluster: of_cluster.map(str::to_owned), present };
            image(&"h1".parse().unwrap(), &wanted).verdict
        };
        assert_eq!((of(Ok(true), Some("i")), of(Ok(false), Some("i"))), (Verdict::Pass, Verdict::Fail));
        assert_eq!((of(Ok(false), None), of(Err("x".into()), None)), (Verdict::Warn, Verdict::Warn));
    }

    #[test]
    fn a_kernel_that_cannot_filter_is_told_of() {
        assert_eq!(filter("").verdict, Verdict::Pass);
        let found = filter("the kernel has no nf_tables");
        assert_eq!(found.verdict, Verdict::Warn);
        assert!(found.message.ends_with("send into clusters: the kernel has no nf_tables"), "{found:?}");
    }

    #[test]
    fn ports() {
        let of = |port: Option<Result<(), String>>| udp(port.as_ref()).verdict;
        assert_eq!(
            (of(Some(Ok(()))), of(Some(Err("x".into()))), of(None)),
            (Verdict::Pass, Verdict::Fail, Verdict::Fail)
        );
    }
}
