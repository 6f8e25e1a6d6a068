//! Sessions: what an exec of `shoal agent connect` sees, and what an agent tells.

use std::process::Stdio;

use anyhow::{Context, ensure};
use shoal_proto::{
    GREETING_PREFIX,
    v1::{GetHostFactsRequest, ProbePortsRequest},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, join},
    net::UnixStream,
    process::{Child, Command},
    time::timeout,
};

use crate::{
    agent::{Fleet, block_on, client},
    lab::{Node, sh},
    process::VERSION,
};

const WAIT: std::time::Duration = std::time::Duration::from_secs(10);

fn connect(fleet: &Fleet) -> anyhow::Result<Child> {
    Ok(Command::new(std::env::current_exe()?)
        .arg("connect")
        .arg(fleet.agents[0].socket())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?)
}

pub(crate) fn a_session_greets_speaks_and_ends() -> anyhow::Result<()> {
    block_on(async {
        let mut fleet = Fleet::new(1).await?;
        // It speaks gRPC after its greeting, and ends with its input.
        let mut session = connect(&fleet)?;
        let mut output = BufReader::new(session.stdout.take().context("no output")?);
        let input = session.stdin.take().context("no input")?;
        let mut greeting = String::new();
        timeout(WAIT, output.read_line(&mut greeting)).await??;
        ensure!(greeting == format!("{GREETING_PREFIX}{VERSION}\n"), "{greeting:?}");
        let mut spoken = client(join(output, input)).await?;
        let facts = spoken.get_host_facts(GetHostFactsRequest {}).await?.into_inner();
        ensure!(facts.version == VERSION);
        drop(spoken);
        let status = timeout(WAIT, session.wait()).await.context("it outlives its coordinator")??;
        ensure!(status.success(), "{status}");
        // It ends with its agent, though its input stays open.
        let mut session = connect(&fleet)?;
        let mut output = BufReader::new(session.stdout.take().context("no output")?);
        let mut input = session.stdin.take().context("no input")?;
        timeout(WAIT, output.read_line(&mut greeting)).await??;
        input.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await?;
        fleet.agents.remove(0).kill()?;
        timeout(WAIT, session.wait()).await.context("it outlives its agent")??;
        Ok(())
    })
}

/// HTTP/2's preface and empty settings, and then nothing: no answer to any ping.
pub(crate) fn a_caller_that_answers_no_ping_is_cut() -> anyhow::Result<()> {
    block_on(async {
        let fleet = Fleet::new(1).await?;
        let mut stream = UnixStream::connect(fleet.agents[0].socket()).await?;
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await?;
        let mut heard = Vec::new();
        // 20 s by design; the rest is for a loaded machine.
        timeout(3 * WAIT, stream.read_to_end(&mut heard)).await.context("it is still served")??;
        // A ping frame: 8 bytes of type 6.
        ensure!(heard.windows(4).any(|w| w == [0, 0, 8, 6]), "{heard:?}");
        Ok(())
    })
}

pub(crate) fn it_tells_ports_and_facts() -> anyhow::Result<()> {
    block_on(async {
        let fleet = Fleet::new(1).await?;
        let node = Node { name: "w0", last: 3, host: 0 };
        fleet.apply(&[node], 1).await?;
        let w0 = fleet.lab.hosts[0].start(&node)?;
        let _listeners = w0.enter(|| {
            Ok((std::net::TcpListener::bind("0.0.0.0:22")?, std::net::TcpListener::bind("127.0.0.1:25")?))
        })?;
        // A process of the node; it ends with its input.
        let mut process = Command::new("nsenter")
            .arg(format!("--net=/run/netns/{}", w0.name))
            .arg("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut input = process.stdin.take().context("no input")?;
        let mut output = BufReader::new(process.stdout.take().context("no output")?);
        input.write_all(b"\n").await?;
        output.read_line(&mut String::new()).await?;
        let pid = process.id().context("it has ended")?;
        let request = ProbePortsRequest { pids: vec![pid, 1 << 23] };
        let probes = fleet.agents[0].client.clone().probe_ports(request).await?.into_inner().probes;
        ensure!(
            probes.len() == 2 && probes[0].pid == pid && probes[0].alive && !probes[1].alive,
            "{probes:?}"
        );
        ensure!(probes[0].ports == [22], "{probes:?}");

        let facts = fleet.agents[0].client.clone().get_host_facts(GetHostFactsRequest {}).await?.into_inner();
        ensure!(facts.default_address == "10.77.0.1", "{facts:?}");
        ensure!(facts.vnis == [10], "{facts:?}");
        ensure!(
            facts.routes.contains(&"10.96.4.0/24".into()) && facts.routes.contains(&"10.77.0.0/24".into())
        );
        let eth0 = facts.interfaces.iter().find(|i| i.name == "eth0").context("no eth0")?;
        ensure!(eth0.addresses == ["10.77.0.1"] && eth0.mtu == 1500, "{eth0:?}");
        ensure!(
            facts.inotify_instances > 0 && facts.neighbour_limit > 0 && facts.resident_bytes > 0,
            "{facts:?}"
        );
        Ok(())
    })
}

/// What a VPN sets up beside the main table: a table of its own that is asked before, and a rule that refuses.
pub(crate) fn it_tells_what_leads_addresses_away() -> anyhow::Result<()> {
    block_on(async {
        let fleet = Fleet::new(1).await?;
        let host = &fleet.lab.hosts[0].namespace;
        let told = async || {
            let asked = fleet.agents[0].client.clone().get_host_facts(GetHostFactsRequest {}).await?;
            let facts = asked.into_inner();
            let own = |subnet: &str| subnet.ends_with("/32");
            let told = facts.diversions.into_iter().filter(|d| !own(&d.subnet));
            anyhow::Ok(told.map(|d| format!("{} by {}", d.subnet, d.by)).collect::<Vec<_>>())
        };
        let before = told().await?;
        ensure!(before.is_empty(), "{before:?}");
        host.ip("route add 10.96.0.0/12 via 10.77.0.9 table 52")?;
        ensure!(told().await?.is_empty(), "a table that no rule asks is told");
        host.ip("rule add pref 5270 lookup 52")?;
        host.ip("rule add pref 5271 to 172.20.0.0/16 unreachable")?;
        host.ip("rule add pref 5272 fwmark 7 lookup 52")?;
        let diverted = told().await?;
        let expected = ["10.96.0.0/12 by routing table 52 (rule 5270)", "172.20.0.0/16 by routing rule 5271"];
        ensure!(diverted == expected, "{diverted:?}");
        // It is so: the table takes what the host sends to its own bridge's network.
        let way = host.ip("route get 10.96.4.9")?;
        ensure!(way.contains("10.77.0.9") && way.contains("table 52"), "{way}");
        Ok(())
    })
}

/// As Docker 28 leaves it when it is killed while it removes a container.
pub(crate) fn it_tells_what_an_engine_left_behind() -> anyhow::Result<()> {
    block_on(async {
        let fleet = Fleet::new(1).await?;
        let host = &fleet.lab.hosts[0].namespace;
        let told = async || {
            let asked = fleet.agents[0].client.clone().get_host_facts(GetHostFactsRequest {}).await?;
            let told = asked.into_inner().diversions.into_iter().filter(|d| d.by.contains("iptables"));
            anyhow::Ok(told.map(|d| d.subnet).collect::<Vec<_>>())
        };
        let rule = |words: &str| {
            sh(&format!("ip netns exec {} iptables -t raw -A PREROUTING {words} -j DROP", host.name))
                .map(drop)
        };
        ensure!(told().await?.is_empty());
        rule("-d 10.96.7.9/32 ! -i br-0123456789ab")?;
        rule("-d 10.96.8.9/32 ! -i eth0")?;
        rule("-d 10.96.9.9/32 -i br-0123456789ab")?;
        rule("-d 10.96.10.9/32 ! -i br-0123456789ab -p tcp")?;
        let left = told().await?;
        ensure!(left == ["10.96.7.9/32"], "{left:?}");
        Ok(())
    })
}
