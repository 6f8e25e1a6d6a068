//! Archives into containers and out of them, running or not, and what mounts make of them.

use bytes::Bytes;
use shoal_docker::{ContainerSpec, EngineError, Mount, Removal, Subject};

use crate::bench::{Bench, probe};

fn tar_of(path: &str, text: &str) -> Bytes {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o600);
    header.set_uid(123);
    header.set_gid(45);
    header.set_cksum();
    tar.append_data(&mut header, path, text.as_bytes()).unwrap();
    tar.into_inner().unwrap().into()
}

pub(crate) async fn an_archive_goes_in_before_the_start_and_comes_out(bench: &Bench) {
    let engine = &bench.engine;
    let id = bench.create(&bench.sleeper("archive")).await;
    engine.put_archive(&id, "/", tar_of("etc/greeting", "hello")).await.unwrap();
    engine.start(&id).await.unwrap();
    let shown = engine.exec(&id, &probe(&["show", "/etc/greeting"]), 100).await.unwrap();
    assert_eq!(shown.stdout, "hello");

    let tar = engine.get_archive(&id, "/etc/greeting", 1 << 20).await.unwrap().unwrap();
    let mut archive = tar::Archive::new(&tar[..]);
    let entry = archive.entries().unwrap().next().unwrap().unwrap();
    assert_eq!((entry.header().uid().unwrap(), entry.header().gid().unwrap()), (123, 45));
    assert_eq!(entry.header().mode().unwrap() & 0o777, 0o600);

    assert_eq!(engine.get_archive(&id, "/etc/nothing", 1 << 20).await.unwrap(), None);
    let large = engine.get_archive(&id, "/etc/greeting", 100).await.unwrap_err();
    assert!(matches!(large, EngineError::TooLarge { limit: 100, .. }), "{large:?}");
    let nowhere = engine.put_archive(&id, "/nowhere", tar_of("x", "x")).await.unwrap_err();
    assert!(matches!(nowhere, EngineError::NotFound { subject: Subject::Path { .. }, .. }), "{nowhere:?}");
}

/// What a program inside reads; `None` if it cannot.
async fn shown(bench: &Bench, id: &str, path: &str) -> Option<String> {
    let output = bench.engine.exec(id, &probe(&["show", path]), 1000).await.unwrap();
    (output.status == 0).then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

pub(crate) async fn an_archive_goes_into_a_running_and_a_stopped_container(bench: &Bench) {
    let engine = &bench.engine;
    let id = bench.running("archives").await;
    engine.put_archive(&id, "/", tar_of("etc/new/deep", "while it runs")).await.unwrap();
    assert_eq!(shown(bench, &id, "/etc/new/deep").await.as_deref(), Some("while it runs"));
    engine.put_archive(&id, "/etc", tar_of("new/deep", "again")).await.unwrap();
    assert_eq!(shown(bench, &id, "/etc/new/deep").await.as_deref(), Some("again"));
    engine.kill(&id).await.unwrap();
    engine.put_archive(&id, "/etc/new", tar_of("other", "while it does not")).await.unwrap();
    assert!(engine.get_archive(&id, "/etc/new/other", 1 << 20).await.unwrap().is_some());
    engine.start(&id).await.unwrap();
    assert_eq!(shown(bench, &id, "/etc/new/other").await.as_deref(), Some("while it does not"));
    assert_eq!(shown(bench, &id, "/etc/new/deep").await.as_deref(), Some("again"));
}

pub(crate) async fn a_directory_comes_out_with_what_is_in_it(bench: &Bench) {
    let engine = &bench.engine;
    let id = bench.create(&bench.sleeper("directory")).await;
    engine.put_archive(&id, "/tmp", tar_of("a/one", "1")).await.unwrap();
    engine.put_archive(&id, "/tmp/a", tar_of("two", "22")).await.unwrap();
    let tar = engine.get_archive(&id, "/tmp/a", 1 << 20).await.unwrap().unwrap();
    let mut archive = tar::Archive::new(&tar[..]);
    let mut names: Vec<String> = Vec::new();
    for entry in archive.entries().unwrap() {
        names.push(entry.unwrap().path().unwrap().to_string_lossy().trim_end_matches('/').to_owned());
    }
    names.sort();
    assert_eq!(names, ["a", "a/one", "a/two"]);
}

pub(crate) async fn a_directory_tells_that_what_is_in_it_changed(bench: &Bench) {
    let engine = &bench.engine;
    let id = bench.running("stat").await;
    engine.put_archive(&id, "/", tar_of("etc/kept/one", "1")).await.unwrap();
    let stat = async |path: &str| engine.stat_path(&id, path).await.unwrap();
    assert_eq!(stat("/etc/kept/one").await.unwrap().size, 1);
    let before = stat("/etc/kept").await.unwrap();
    assert_eq!(stat("/etc/kept").await, Some(before.clone()), "nothing has happened");
    engine.put_archive(&id, "/etc/kept", tar_of("two", "22")).await.unwrap();
    assert_ne!(stat("/etc/kept").await.unwrap().modified, before.modified);
    assert_eq!(stat("/etc/nothing").await, None);
    assert_eq!(engine.stat_path("nobody", "/etc").await.unwrap(), None);
}

pub(crate) async fn what_an_archive_puts_below_a_tmpfs_lies_hidden(bench: &Bench) {
    let engine = &bench.engine;
    let tmp = Mount::Tmpfs { target: "/tmp".into(), size: None, mode: 0o1777 };
    let id = bench.create(&ContainerSpec { mounts: vec![tmp], ..bench.sleeper("hidden") }).await;
    engine.put_archive(&id, "/", tar_of("tmp/before", "x")).await.unwrap();
    engine.start(&id).await.unwrap();
    engine.put_archive(&id, "/", tar_of("tmp/after", "x")).await.unwrap();
    for path in ["/tmp/before", "/tmp/after"] {
        assert_eq!(shown(bench, &id, path).await, None, "{path}");
    }
    engine.exec(&id, &probe(&["write", "/tmp/own", "mine"]), 100).await.unwrap();
    assert_eq!(shown(bench, &id, "/tmp/own").await.as_deref(), Some("mine"));
    engine.kill(&id).await.unwrap();
    engine.start(&id).await.unwrap();
    assert_eq!(shown(bench, &id, "/tmp/own").await, None, "it is lost with the run");
}

pub(crate) async fn what_an_archive_puts_into_a_volume_stays_there(bench: &Bench) {
    let engine = &bench.engine;
    let name = bench.name("filled");
    engine.create_volume(&name, &bench.labels()).await.unwrap();
    let mount = || vec![Mount::Volume { name: name.clone(), target: "/state".into() }];
    let first = bench.create(&ContainerSpec { mounts: mount(), ..bench.sleeper("first") }).await;
    engine.put_archive(&first, "/", tar_of("state/x", "kept")).await.unwrap();
    assert_eq!(engine.remove_container(&first).await.unwrap(), Removal::Removed);
    let second = bench.create(&ContainerSpec { mounts: mount(), ..bench.sleeper("second") }).await;
    engine.start(&second).await.unwrap();
    assert_eq!(shown(bench, &second, "/state/x").await.as_deref(), Some("kept"));
}

pub(crate) async fn what_is_no_tar_goes_nowhere(bench: &Bench) {
    let engine = &bench.engine;
    let id = bench.create(&bench.sleeper("notar")).await;
    let noise = engine.put_archive(&id, "/", Bytes::from(vec![b'x'; 2000])).await.unwrap_err();
    let over = engine.put_archive(&id, "/", tar_of("etc", "a file")).await.unwrap_err();
    for error in [noise, over] {
        assert!(matches!(error, EngineError::BadRequest { .. }), "{error:?}");
        assert!(!error.blames_host());
    }
    engine.put_archive(&id, "/", Bytes::new()).await.unwrap();
}
