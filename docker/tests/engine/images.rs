//! Images: packed by us, loaded by the engine.

use std::io;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use shoal_docker::{ContainerSpec, EngineError, Removal, Subject};

use crate::bench::{Bench, LABEL};

pub(crate) async fn an_image_has_the_id_it_was_packed_with(bench: &Bench) {
    let engine = &bench.engine;
    let info = engine.inspect_image(&bench.image).await.unwrap().unwrap();
    assert_eq!(info.id, bench.packed.id());
    assert_eq!(info.labels[LABEL], bench.labels()[LABEL]);
    assert_eq!(info.architecture, shoal_docker::ImageArchive::architecture_of(std::env::consts::ARCH));
    assert!(info.repo_tags.contains(&bench.image) && info.size.0 > 1000, "{info:?}");
    let again = engine.load_image(bench.packed.clone().stream()).await.unwrap();
    assert_eq!(again, [bench.image.as_str()]);
    let listed = engine.list_images(&bench.ours()).await.unwrap();
    assert!(listed.iter().any(|image| image.id == info.id && image.repo_tags.contains(&bench.image)));
    assert_eq!(engine.inspect_image("shoal-no-such:1").await.unwrap(), None);
}

pub(crate) async fn what_is_saved_can_be_loaded(bench: &Bench) {
    let engine = &bench.engine;
    let packed = bench.small("copy");
    engine.load_image(packed.clone().stream()).await.unwrap();
    let tag = bench.name("tag");
    engine.tag_image(packed.reference(), "shoal-docker-test", &tag).await.unwrap();
    let tagged = format!("shoal-docker-test:{tag}");
    let saved = engine.save_image(&tagged).await.unwrap();
    let chunks: Vec<Bytes> = saved.try_collect().await.unwrap();
    assert_eq!(engine.remove_image(&tagged).await.unwrap(), Removal::Removed);
    assert_eq!(engine.remove_image(&tagged).await.unwrap(), Removal::AlreadyGone);
    assert_eq!(engine.inspect_image(&tagged).await.unwrap(), None);

    let archive = stream::iter(chunks.into_iter().map(Ok::<_, io::Error>)).boxed();
    assert_eq!(engine.load_image(archive).await.unwrap(), [tagged.as_str()]);
    assert_eq!(engine.inspect_image(&tagged).await.unwrap().unwrap().id, packed.id());
    let missing = engine.save_image("shoal-no-such:1").await.map(|_| ()).unwrap_err();
    assert!(matches!(missing, EngineError::NotFound { .. }), "{missing:?}");
}

pub(crate) async fn what_is_no_archive_is_refused(bench: &Bench) {
    let noise = stream::iter([Ok(Bytes::from_static(&[b'x'; 2000]))]).boxed();
    let refused = bench.engine.load_image(noise).await.unwrap_err();
    assert!(matches!(refused, EngineError::BadRequest { .. }), "{refused:?}");

    let broken =
        stream::iter([Ok(Bytes::from_static(&[0; 512])), Err(io::Error::other("the source failed"))]).boxed();
    let error = bench.engine.load_image(broken).await.unwrap_err();
    assert!(matches!(error, EngineError::Unreachable { .. }), "{error:?}");
}

pub(crate) async fn a_registry_that_is_not_there_is_not_the_hosts_fault(bench: &Bench) {
    // Port 1 of the host's own loopback.
    let error = bench.engine.pull_image("127.0.0.1:1/nothing:1", None, &|_, _| ()).await.unwrap_err();
    assert!(matches!(error, EngineError::Registry { .. }), "{error:?}");
    assert!(!error.blames_host());
}

pub(crate) async fn an_image_in_use_stays(bench: &Bench) {
    let engine = &bench.engine;
    let packed = bench.small("used");
    engine.load_image(packed.clone().stream()).await.unwrap();
    let tag = bench.name("tag");
    engine.tag_image(&packed.id(), "shoal-docker-test", &tag).await.unwrap();
    let by_id = engine.remove_image(&packed.id()).await.unwrap_err();
    assert!(matches!(by_id, EngineError::Conflict { .. }), "it has two references: {by_id:?}");

    let spec = ContainerSpec { image: packed.id(), ..bench.sleeper("user") };
    let id = bench.create(&spec).await;
    assert_eq!(engine.remove_image(packed.reference()).await.unwrap(), Removal::Removed);
    let last = format!("shoal-docker-test:{tag}");
    let used = engine.remove_image(&last).await.unwrap_err();
    assert!(matches!(used, EngineError::Conflict { .. }), "{used:?}");
    assert_eq!(engine.inspect_image(&last).await.unwrap().unwrap().repo_tags, [last.as_str()]);
    engine.remove_container(&id).await.unwrap();
    assert_eq!(engine.remove_image(&last).await.unwrap(), Removal::Removed);
    assert_eq!(engine.inspect_image(&packed.id()).await.unwrap(), None);
}

pub(crate) async fn a_tag_moves_to_the_image_it_was_last_given_to(bench: &Bench) {
    let engine = &bench.engine;
    let (one, two) = (bench.small("one"), bench.small("two"));
    for packed in [&one, &two] {
        engine.load_image(packed.clone().stream()).await.unwrap();
    }
    let (repository, tag) = one.reference().split_once(':').unwrap();
    engine.tag_image(two.reference(), repository, tag).await.unwrap();
    assert_eq!(engine.inspect_image(one.reference()).await.unwrap().unwrap().id, two.id());
    let untagged = engine.inspect_image(&one.id()).await.unwrap().unwrap();
    assert_eq!(untagged.repo_tags, Vec::<String>::new());
    for reference in [&one.id(), one.reference(), two.reference()] {
        assert_eq!(engine.remove_image(reference).await.unwrap(), Removal::Removed, "{reference}");
    }
    let nothing = engine.tag_image("shoal-no-such:1", repository, tag).await.unwrap_err();
    assert!(matches!(nothing, EngineError::NotFound { subject: Subject::Image(_), .. }), "{nothing:?}");
}
