//! Named volumes.

use std::collections::BTreeMap;

use shoal_docker::{ContainerSpec, EngineError, Mount, Removal};

use crate::bench::{Bench, LABEL, probe};

pub(crate) async fn a_volume_keeps_labels_and_content(bench: &Bench) {
    let engine = &bench.engine;
    let name = bench.name("volume");
    let made = engine.create_volume(&name, &bench.labels()).await.unwrap();
    assert_eq!((&made.name, &made.labels), (&name, &bench.labels()));
    let again = engine.create_volume(&name, &BTreeMap::new()).await.unwrap();
    assert_eq!(again.labels, bench.labels(), "the first one's labels stay");
    let listed = engine.list_volumes(&bench.ours()).await.unwrap();
    let found = listed.iter().find(|volume| volume.name == name).unwrap();
    assert_eq!(found.labels[LABEL], made.labels[LABEL]);
    assert!(found.created.is_some(), "its age is known");

    let spec = ContainerSpec {
        mounts: vec![Mount::Volume { name: name.clone(), target: "/state".into() }],
        ..bench.sleeper("volume")
    };
    let id = bench.create(&spec).await;
    engine.start(&id).await.unwrap();
    engine.exec(&id, &probe(&["write", "/state/x", "kept"]), 100).await.unwrap();
    let busy = engine.remove_volume(&name).await.unwrap_err();
    assert!(matches!(busy, EngineError::Conflict { .. }), "{busy:?}");
    engine.remove_container(&id).await.unwrap();

    let id = bench.create(&spec).await;
    engine.start(&id).await.unwrap();
    let shown = engine.exec(&id, &probe(&["show", "/state/x"]), 100).await.unwrap();
    assert_eq!(shown.stdout, "kept");
    engine.remove_container(&id).await.unwrap();
    assert_eq!(engine.remove_volume(&name).await.unwrap(), Removal::Removed);
    assert_eq!(engine.remove_volume(&name).await.unwrap(), Removal::AlreadyGone);
}

pub(crate) async fn a_volume_is_in_use_as_long_as_its_container_exists(bench: &Bench) {
    let engine = &bench.engine;
    let name = bench.name("used");
    engine.create_volume(&name, &bench.labels()).await.unwrap();
    let spec = ContainerSpec {
        mounts: vec![Mount::Volume { name: name.clone(), target: "/state".into() }],
        ..bench.sleeper("used")
    };
    let id = bench.create(&spec).await;
    let never_started = engine.remove_volume(&name).await.unwrap_err();
    engine.start(&id).await.unwrap();
    engine.kill(&id).await.unwrap();
    let ended = engine.remove_volume(&name).await.unwrap_err();
    for error in [never_started, ended] {
        assert!(matches!(error, EngineError::Conflict { .. }), "{error:?}");
    }
    engine.remove_container(&id).await.unwrap();
    assert!(engine.list_volumes(&bench.ours()).await.unwrap().iter().any(|volume| volume.name == name));
    assert_eq!(engine.remove_volume(&name).await.unwrap(), Removal::Removed);
}
