//! Schedulers of the user's: the example in Python, and programs with invalid answers.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use shoal_proto::v1::{
    self, PlaceRequest, PlaceResponse, PlacedNode,
    scheduler_server::{Scheduler, SchedulerServer},
};
use shoal_tests::sim::{Wish, World};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Request, Response, Status, transport::Server};

/// The example, on a port of its own.
struct Python {
    process: Child,
    address: String,
}

impl Python {
    fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        // Debian's own: the packages are for no other.
        let mut process = Command::new("/usr/bin/python3")
            .arg(root.join("scheduler/examples/python/scheduler.py"))
            .args(["--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().rsplit(' ').next().and_then(|port| port.parse::<u16>().ok());
        let port = port.expect("python3-grpcio and python3-grpc-tools are installed, and it said its port");
        Self { process, address: format!("grpc://127.0.0.1:{port}") }
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

async fn label(coordinator: &shoal_tests::sim::Coordinator, host: &str, label: (&str, &str)) {
    let request = v1::UpdateHostRequest {
        name: host.into(),
        labels: [(label.0.to_owned(), label.1.to_owned())].into(),
        ..v1::UpdateHostRequest::default()
    };
    coordinator.hosts().update_host(request).await.unwrap();
}

#[test]
fn the_example_in_python_places_a_cluster() {
    let python = Python::start();
    let world = World::registered(41, 3).unwrap();
    let ended = world.live_awake(async |life| {
        let coordinator = life.coordinator("a").await.unwrap();
        label(&coordinator, "h2", ("score", "7.5")).await;
        let placing =
            v1::Placing { max_per_host: Some(3), pins: vec!["worker-0=h3".into()], ..v1::Placing::default() };
        let wish = Wish { scheduler: python.address.clone(), placing, ..Wish::new("dev", 5) };
        let plan = coordinator.plan(wish.spec()).await.unwrap();
        let shown: Vec<_> = plan.placements.iter().map(|p| format!("{} {}", p.node, p.host)).collect();
        let expected =
            ["controller h2", "worker-0 h3", "worker-1 h2", "worker-2 h2", "worker-3 h1", "worker-4 h1"];
        assert_eq!(shown, expected);
        assert_eq!((plan.scheduler, plan.fallback_reason), (python.address.clone(), String::new()));

        coordinator.create(&wish).await.unwrap();
        let why = coordinator.explain("dev", "worker-1").await.unwrap();
        assert_eq!((why.host.as_str(), why.note.as_str(), why.rank), ("h2", "score 7.5", 0));

        let large =
            coordinator.plan(Wish { name: "large".into(), workers: 50, ..wish }.spec()).await.unwrap();
        assert!(!large.fits, "{large:?}");
        assert!(large.reason.contains("no host has room for worker-"), "{}", large.reason);
        coordinator.shutdown().await;
    });
    ended.unwrap().expect("no crash was armed");
}

/// What a program answers, by the name of the cluster.
struct Odd;

#[tonic::async_trait]
impl Scheduler for Odd {
    async fn place(&self, request: Request<PlaceRequest>) -> Result<Response<PlaceResponse>, Status> {
        let asked = request.into_inner();
        let on =
            |node: &str, host: &str| PlacedNode { node: node.into(), host: host.into(), why: String::new() };
        let mut placements: Vec<_> = asked.nodes.iter().map(|node| on(&node.name, "h1")).collect();
        match asked.cluster.as_str() {
            "unknown-host" => placements[0].host = "h9\u{1b}[31m".into(),
            "unknown-node" => placements[0].node = "boss".into(),
            "missing" => drop(placements.pop()),
            "twice" => placements.push(on("worker-0", "h2")),
            "crowded" | "fine" => {}
            "fails" => return Err(Status::internal("no idea\nat all")),
            "silent" => std::future::pending().await,
            other => return Err(Status::internal(other)),
        }
        Ok(Response::new(PlaceResponse { placements, refused: String::new() }))
    }
}

async fn odd() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::builder().add_service(SchedulerServer::new(Odd));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    address
}

#[test]
fn a_wrong_answer_is_refused_with_its_reason() {
    let world = World::registered(42, 2).unwrap();
    let ended = world.live_awake(async |life| {
        let coordinator = life.coordinator("a").await.unwrap();
        let scheduler = format!("grpc://{}", odd().await);
        let wish = |name: &str| {
            let placing = v1::Placing { max_per_host: Some(3), ..v1::Placing::default() };
            Wish { scheduler: scheduler.clone(), placing, ..Wish::new(name, 2) }
        };
        assert!(coordinator.plan(wish("fine").spec()).await.unwrap().fits);
        for (name, reason) in [
            ("unknown-host", "the answer places controller on h9\\u{1b}[31m, which is no host of the request"),
            ("unknown-node", "the answer places boss, which is no node of the request"),
            ("missing", "the answer places 2 of 3 nodes: worker-1 has no host"),
            ("twice", "the answer places worker-0 twice"),
            ("fails", "failed: no idea\\nat all"),
        ] {
            let refused = coordinator.create(&wish(name)).await.unwrap_err();
            assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
            assert!(refused.message().contains(reason), "{name}: {}", refused.message());
        }
        let crowded = Wish { workers: 3, ..wish("crowded") };
        let refused = coordinator.plan(crowded.spec()).await.unwrap_err();
        let reason =
            "the answer places worker-2 on h1, which has 3 of the cluster's nodes, the most one host may have";
        assert!(refused.message().contains(reason), "{}", refused.message());

        let mut silent = wish("silent");
        silent.placing.scheduler_timeout_ms = Some(50);
        let refused = coordinator.plan(silent.spec()).await.unwrap_err();
        assert!(refused.message().contains("did not answer within 50 ms"), "{}", refused.message());
        coordinator.shutdown().await;
    });
    ended.unwrap().expect("no crash was armed");
}

#[test]
fn a_strategy_places_instead_where_that_is_wanted_and_it_is_told() {
    let world = World::registered(43, 2).unwrap();
    let ended = world.live_awake(async |life| {
        let coordinator = life.coordinator("a").await.unwrap();
        // A port that was just given back: nobody listens there.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut wish = Wish { scheduler: format!("grpc://{free}"), ..Wish::new("dev", 2) };
        wish.wait = Duration::from_secs(60);
        let refused = coordinator.create(&wish).await.unwrap_err();
        assert!(refused.message().contains("cannot be reached"), "{refused}");

        wish.placing.scheduler_fallback = "binpack".into();
        let plan = coordinator.plan(wish.spec()).await.unwrap();
        assert!(plan.fits && plan.scheduler == "binpack", "{plan:?}");
        assert!(plan.fallback_reason.contains("cannot be reached"), "{plan:?}");
        coordinator.create(&wish).await.unwrap();
        let request = v1::ListEventsRequest {
            realm: "default".into(),
            cluster: "dev".into(),
            ..v1::ListEventsRequest::default()
        };
        let events = coordinator.clusters().list_events(request).await.unwrap().into_inner().events;
        let told = events
            .iter()
            .find(|e| e.level() == v1::EventLevel::Warn && e.message.contains("binpack placed instead"));
        assert!(told.is_some(), "{events:?}");
        let why = coordinator.explain("dev", "controller").await.unwrap();
        assert!(why.scheduler == "binpack" && why.fallback_reason.contains("cannot be reached"), "{why:?}");
        coordinator.shutdown().await;
    });
    ended.unwrap().expect("no crash was armed");
}
