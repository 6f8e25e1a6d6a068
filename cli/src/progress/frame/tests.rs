//! Frames at 80 and 200 columns, from events as a coordinator records them.

use shoal_api::{Placed, Placement};
use shoal_types::{Event, EventKind, EventLevel, NewEvent, Progress, RealmName, Timestamp};

use super::*;
use crate::progress::transfer;

const NARROW: Size = Size { columns: 80, rows: 24 };
const BROAD: Size = Size { columns: 200, rows: 50 };
const BEGAN_MS: u64 = 1_700_000_000_000;

fn event(second: u64, kind: EventKind, host: &str, node: &str, message: &str) -> Event {
    let event = NewEvent {
        at: Timestamp(BEGAN_MS + second * 1000),
        level: EventLevel::Info,
        kind,
        cluster: Some((RealmName::default(), "dev".parse().unwrap())),
        node: (!node.is_empty()).then(|| node.parse().unwrap()),
        host: (!host.is_empty()).then(|| host.parse().unwrap()),
        message: message.into(),
        progress: None,
        user: None,
    };
    Event { seq: second + 1, event }
}

fn bytes(second: u64, host: &str, done: u64) -> Event {
    let mut event = event(second, EventKind::Image, host, "", "streaming");
    event.event.progress = Some(Progress { done_bytes: done << 20, total_bytes: Some(180 << 20) });
    event
}

/// Nodes `worker-N`, dealt to hosts in turn.
fn placed(nodes: usize, hosts: usize) -> Placed {
    let placement =
        |n: usize| Placement { node: format!("worker-{n}"), host: format!("host{}", n % hosts + 1) };
    Placed { cluster: "dev".into(), placements: (0..nodes).map(placement).collect() }
}

fn text(view: &View, second: u64, size: Size) -> String {
    let lines = frame(view, BEGAN_MS + second * 1000, size);
    assert!(lines.len() < size.rows, "{} lines in {} rows", lines.len(), size.rows);
    let lines = lines.into_iter().map(|line| line.cut(size.columns - 1).plain().trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

/// A create of 12 nodes on 3 hosts, as far as it is told.
fn create(events: &[Event]) -> View {
    let mut view = View::new(Task::Create, "dev", BEGAN_MS);
    view.happened(&event(1, EventKind::Agent, "host10", "", "agent started"));
    view.placed(Placed {
        placements: (0..12)
            .map(|n| Placement {
                node: format!("worker-{n}"),
                host: ["host1", "host2", "host10"][n % 3].into(),
            })
            .collect(),
        ..placed(0, 1)
    });
    view.happened(&event(
        2,
        EventKind::Admitted,
        "",
        "",
        "12 nodes on 3 hosts, network 10.96.0.0/24 (VNI 77)",
    ));
    for event in events {
        view.happened(event);
    }
    view
}

#[test]
fn before_it_is_admitted() {
    let mut view = View::new(Task::Create, "dev", BEGAN_MS);
    insta::assert_snapshot!(text(&view, 0, NARROW), @"
    create dev                                                                 0:00
    ▸ placed  · created  · started  · idle
    looking at the hosts
    ");
    view.happened(&event(1, EventKind::Agent, "host1", "", "agent started"));
    insta::assert_snapshot!(text(&view, 1, NARROW), @"
    create dev                                                                 0:01
    ▸ placed  · created  · started  · idle
    looking at the hosts
    ");
}

#[test]
fn an_image_on_its_way() {
    let view = create(&[
        bytes(3, "host1", 10),
        bytes(3, "host2", 20),
        bytes(4, "host1", 55),
        bytes(4, "host2", 180),
        event(4, EventKind::Network, "host10", "", "network 10.96.0.0/24 made"),
    ]);
    insta::assert_snapshot!(text(&view, 5, NARROW), @"
    create dev                                                                 0:05
    ✓ placed  ▸ image  · created 0/12  · started 0/12  · idle 0/12
    host1   image ████▎·········  55 MiB/180 MiB  45 MiB/s  0:02 left
    host2   ····················  0 created  0 started  0 idle  of 4
    host10  ····················  0 created  0 started  0 idle  of 4
    host10: network 10.96.0.0/24 made
    ");
    insta::assert_snapshot!(text(&view, 5, BROAD), @"
    create dev                                                                                                                                                                                         0:05
    ✓ placed  ▸ image  · created 0/12  · started 0/12  · idle 0/12
    host1   created ············ 0/4   started ············ 0/4   idle ············ 0/4   image ███▋········  55 MiB/180 MiB  45 MiB/s  0:02 left
    host2   created ············ 0/4   started ············ 0/4   idle ············ 0/4   image ████████████  180 MiB/180 MiB  done
    host10  created ············ 0/4   started ············ 0/4   idle ············ 0/4
    host10: network 10.96.0.0/24 made
    ");
}

#[test]
fn nodes_come_up() {
    let mut events = vec![bytes(3, "host1", 180)];
    for (n, host) in ["host1", "host2", "host10", "host1", "host2", "host10", "host1"].into_iter().enumerate()
    {
        let node = format!("worker-{n}");
        events.push(event(5, EventKind::NodeCreated, host, &node, "created"));
        if n < 5 {
            events.push(event(6, EventKind::NodeStarted, host, &node, "started"));
        }
        if n < 2 {
            events.push(event(7, EventKind::NodeReady, host, &node, "idle"));
        }
    }
    let mut view = create(&events);
    insta::assert_snapshot!(text(&view, 67, NARROW), @"
    create dev                                                                 1:07
    ✓ placed  ✓ image  ▸ created 7/12  ▸ started 5/12  ▸ idle 2/12
    host1   ██████████··········  3 created  2 started  1 idle  of 4
    host2   ████████▎···········  2 created  2 started  1 idle  of 4
    host10  █████···············  2 created  1 started  0 idle  of 4
    12 nodes on 3 hosts, network 10.96.0.0/24 (VNI 77)
    ");
    insta::assert_snapshot!(text(&view, 67, BROAD), @"
    create dev                                                                                                                                                                                         1:07
    ✓ placed  ✓ image  ▸ created 7/12  ▸ started 5/12  ▸ idle 2/12
    host1   created █████████··· 3/4   started ██████······ 2/4   idle ███········· 1/4   image ████████████  180 MiB/180 MiB  done
    host2   created ██████······ 2/4   started ██████······ 2/4   idle ███········· 1/4
    host10  created ██████······ 2/4   started ███········· 1/4   idle ············ 0/4
    12 nodes on 3 hosts, network 10.96.0.0/24 (VNI 77)
    ");
    let mut slow = event(8, EventKind::Step, "host2", "", "its engine has not answered for 5 s\u{1b}[31m");
    slow.event.level = EventLevel::Warn;
    view.happened(&slow);
    insta::assert_snapshot!(text(&view, 3667, NARROW), @r"
    create dev                                                              1:01:07
    ✓ placed  ✓ image  ▸ created 7/12  ▸ started 5/12  ▸ idle 2/12
    host1   ██████████··········  3 created  2 started  1 idle  of 4
    host2   ████████▎···········  2 created  2 started  1 idle  of 4
    host10  █████···············  2 created  1 started  0 idle  of 4
    warning: host2: its engine has not answered for 5 s\u{1b}[31m
    ");
    insta::assert_snapshot!(text(&view, 3667, Size { columns: 40, rows: 24 }), @"
    create dev                      1:01:07
    ✓ placed  ✓ image  ▸ created 7/12  ▸ s…
    host1   ██████████··········  3 create…
    host2   ████████▎···········  2 create…
    host10  █████···············  2 create…
    warning: host2: its engine has not ans…
    ");
}

#[test]
fn nodes_that_go_elsewhere_begin_again() {
    let mut view = create(&[event(5, EventKind::NodeCreated, "host1", "worker-0", "created")]);
    assert_eq!(view.hosts()[&Name("host1".into())].created, 1);
    view.placed(placed(12, 2));
    let hosts = view.hosts();
    assert_eq!(hosts.values().map(|host| host.nodes).collect::<Vec<_>>(), [6, 6]);
    assert_eq!(hosts[&Name("host1".into())].created, 1, "it stays where it is");
}

#[test]
fn more_hosts_than_rows_are_summed_up() {
    let mut view = View::new(Task::Create, "dev", BEGAN_MS);
    view.placed(placed(60, 30));
    view.happened(&event(1, EventKind::Admitted, "", "", "60 nodes on 30 hosts"));
    for n in [0, 30, 2, 32] {
        let host = format!("host{}", n % 30 + 1);
        view.happened(&event(2, EventKind::NodeReady, &host, &format!("worker-{n}"), "idle"));
    }
    // host1 and host3 are done: they make room.
    insta::assert_snapshot!(text(&view, 3, Size { columns: 80, rows: 10 }), @"
    create dev                                                                 0:03
    ✓ placed  ▸ created 4/60  ▸ started 4/60  ▸ idle 4/60
    host2   ····················  0 created  0 started  0 idle  of 2
    host4   ····················  0 created  0 started  0 idle  of 2
    host5   ····················  0 created  0 started  0 idle  of 2
    host6   ····················  0 created  0 started  0 idle  of 2
    host7   ····················  0 created  0 started  0 idle  of 2
    and 25 more hosts, 2 of them done
    60 nodes on 30 hosts
    ");
    for rows in 1..40 {
        text(&view, 3, Size { columns: 80, rows });
    }
}

#[test]
fn it_is_rolled_back() {
    let mut view = create(&[
        event(3, EventKind::NodeCreated, "host1", "worker-0", "created"),
        event(4, EventKind::RollingBack, "", "", "failed: rolling back"),
        event(5, EventKind::NodeRemoved, "host1", "worker-0", "removed"),
    ]);
    insta::assert_snapshot!(text(&view, 6, NARROW), @"
    roll back dev                                                              0:06
    ▸ removed 1/12
    host1   █████···············  1 of 4 nodes removed
    host2   ····················  0 of 4 nodes removed
    host10  ····················  0 of 4 nodes removed
    failed: rolling back
    ");
    view = View::new(Task::Delete, "dev, test", BEGAN_MS);
    view.placed(placed(4, 2));
    view.happened(&event(1, EventKind::NodeRemoved, "host2", "worker-1", "removed"));
    insta::assert_snapshot!(text(&view, 2, NARROW), @"
    delete dev, test                                                           0:02
    ▸ removed 1/4
    host1  ····················  0 of 2 nodes removed
    host2  ██████████··········  1 of 2 nodes removed
    ");
}

#[test]
fn an_image_is_loaded() {
    let mut view = View::new(Task::Load, "/srv/images/shoal-node-bookworm.tar", BEGAN_MS);
    for (second, host, done) in [(0, "host1", 0), (0, "host2", 0), (2, "host1", 90), (2, "host2", 180)] {
        let mut event = transfer(host.parse().unwrap(), done << 20, 180 << 20);
        event.event.at = Timestamp(BEGAN_MS + second * 1000);
        view.happened(&event);
    }
    view.ended("host3", false, "failed: no space left on device");
    view.ended("host10", true, "loaded shoal-node:bookworm in 3.2 s");
    insta::assert_snapshot!(text(&view, 3, NARROW), @"
    load /srv/images/shoal-node-bookworm.tar                                   0:03
    host1   ██████████··········  90 MiB/180 MiB  45 MiB/s  0:02 left
    host2   ████████████████████  180 MiB/180 MiB  unpacking
    host3   ✗ failed: no space left on device
    host10  ✓ loaded shoal-node:bookworm in 3.2 s
    ");
    insta::assert_snapshot!(text(&view, 3, BROAD), @"
    load /srv/images/shoal-node-bookworm.tar                                                                                                                                                           0:03
    host1   ██████████··········  90 MiB/180 MiB  45 MiB/s  0:02 left
    host2   ████████████████████  180 MiB/180 MiB  unpacking
    host3   ✗ failed: no space left on device
    host10  ✓ loaded shoal-node:bookworm in 3.2 s
    ");
}

#[test]
fn an_image_is_built() {
    let mut view = View::new(Task::Build, "image shoal-node:bookworm", BEGAN_MS);
    for line in [
        "I: automatically chosen mode: root",
        "I: downloading packages with apt...",
        "Get:1 http://deb.debian.org/debian bookworm InRelease [151 kB]",
        "\u{1b}[1m",
    ] {
        view.said(line);
    }
    insta::assert_snapshot!(text(&view, 12, NARROW), @r"
    build image shoal-node:bookworm                                            0:12
      I: automatically chosen mode: root
      I: downloading packages with apt...
      Get:1 http://deb.debian.org/debian bookworm InRelease [151 kB]
      \u{1b}[1m
    downloading packages with apt
    ");
    insta::assert_snapshot!(text(&view, 12, Size { columns: 80, rows: 4 }), @r"
    build image shoal-node:bookworm                                            0:12
      \u{1b}[1m
    downloading packages with apt
    ");
}
