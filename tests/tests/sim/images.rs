//! Images that not every host has: they come there before anything is made, once, whole, whatever fails on the way.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use shoal_docker_fake::{Action, Image, Method, Refusal, Rule, Saves};
use shoal_proto::v1::{
    self, hosts_client::HostsClient, images_client::ImagesClient, load_image_request,
    registries_client::RegistriesClient,
};
use shoal_storage::EventFilter;
use shoal_tests::sim::{Coordinator, IMAGE, Life, Rows, Wish, World, node_image_as, nothing_wrong};
use shoal_types::{EventKind, HostName, NewEvent};
use tonic::{Code, Status};

/// The event log of a world, and what one command answered.
struct Told<T> {
    answer: Result<T, Status>,
    rows: Rows,
    events: Vec<NewEvent>,
}

fn told<T>(world: &World, command: impl AsyncFnOnce(&Life, &Coordinator) -> Result<T, Status>) -> Told<T> {
    let told = world.command("command", async |life, coordinator| {
        let answer = command(life, coordinator).await;
        let filter = EventFilter { realm: None, cluster: None, after: 0, limit: 10_000 };
        (answer, coordinator.store.read().await.unwrap().events().list(&filter).await.unwrap())
    });
    let ((answer, events), rows) = told.unwrap();
    Told { answer, rows, events: events.into_iter().map(|e| e.event).collect() }
}

/// Hosts `h1` to `h3`; all but these have lost the image.
fn only_on(seed: u64, holders: &[&str]) -> World {
    let world = World::registered(seed, 3).unwrap();
    for engine in world.fleet().all() {
        if !holders.contains(&engine.name()) {
            engine.lose_image(IMAGE);
        }
    }
    world
}

fn count(world: &World, host: &str, method: Method) -> u64 {
    world.engine(host).truth().calls.get(&method).copied().unwrap_or(0)
}

fn has_image(world: &World, host: &str) -> bool {
    world.engine(host).truth().images.iter().any(|image| image.repo_tags.iter().any(|tag| tag == IMAGE))
}

/// An image of somebody else's with this name, of the kind a host takes.
fn image_of(reference: &str) -> shoal_docker::ImageArchive {
    let node = node_image_as(IMAGE).unwrap();
    shoal_docker::ImageArchive {
        reference: reference.into(),
        architecture: node.architecture.clone(),
        entrypoint: vec!["/another".into()],
        cmd: vec![],
        env: std::collections::BTreeMap::new(),
        labels: node.labels.clone(),
        stop_signal: None,
        layer: shoal_docker::Layer::Files(vec![]),
    }
}

/// Hosts whose last word of the image says that all of it is there.
fn arrived(events: &[NewEvent]) -> BTreeSet<&str> {
    let whole = |event: &&NewEvent| {
        event.kind == EventKind::Image && event.progress.is_some_and(|p| Some(p.done_bytes) == p.total_bytes)
    };
    events.iter().filter(whole).filter_map(|event| event.host.as_ref()).map(HostName::as_str).collect()
}

#[test]
fn one_read_of_the_one_host_that_has_it_serves_all_others() {
    let world = only_on(31, &["h1"]);
    let loads = ["h2", "h3"].map(|host| count(&world, host, Method::LoadImage));
    let told = told(&world, async |_, c| c.create(&Wish::new("dev", 5)).await);
    told.answer.unwrap();
    assert_eq!(told.rows.members("dev").len(), 3);
    assert_eq!(count(&world, "h1", Method::SaveImage), 1);
    for (host, before) in ["h2", "h3"].into_iter().zip(loads) {
        assert!(has_image(&world, host), "{host} knows it by its name");
        assert_eq!(count(&world, host, Method::LoadImage), before + 1, "{host} was copied to once");
    }
    assert_eq!(arrived(&told.events), ["h2", "h3"].into());
    nothing_wrong(&world, &told.rows);
}

/// A node image of another digest, known as `reference`, whose account `munge` has this id.
fn another(reference: &str, munge: u32) -> shoal_docker::PackedImage {
    let like = node_image_as(reference).unwrap();
    let passwd = format!("munge:x:{munge}:{munge}::/:/bin/false\nslurm:x:64030:64030::/:/bin/false\n");
    let archive = shoal_docker::ImageArchive {
        reference: reference.into(),
        architecture: like.architecture.clone(),
        entrypoint: like.entrypoint.clone(),
        cmd: vec![],
        env: std::collections::BTreeMap::new(),
        labels: like.labels.clone(),
        stop_signal: None,
        layer: shoal_docker::Layer::Files(vec![shoal_docker::ImageFile {
            path: "etc/passwd".into(),
            mode: 0o644,
            content: shoal_docker::FileContent::Bytes(passwd.into()),
        }]),
    };
    archive.pack().unwrap()
}

fn image(packed: &shoal_docker::PackedImage) -> Arc<Image> {
    Image::packed(packed).unwrap()
}

/// The same image under another id or other references: a host that lies.
fn forged(packed: &shoal_docker::PackedImage, forge: impl FnOnce(&mut Image)) -> Arc<Image> {
    let mut image = Arc::into_inner(image(packed)).unwrap();
    forge(&mut image);
    Arc::new(image)
}

/// `shoal load image FILE --host HOST`.
async fn load(c: &Coordinator, packed: &shoal_docker::PackedImage, host: &str) -> Result<(), Status> {
    let mut archive = Vec::new();
    packed.write_to(&mut archive).unwrap();
    let open = v1::LoadImageOpen { hosts: vec![host.into()], size: None };
    let frames = [load_image_request::Frame::Open(open), load_image_request::Frame::Data(archive.into())];
    let requests = frames.map(|frame| v1::LoadImageRequest { frame: Some(frame) });
    let mut steps =
        ImagesClient::new(c.channel()).load_image(tokio_stream::iter(requests)).await?.into_inner();
    while steps.message().await?.is_some() {}
    Ok(())
}

#[test]
fn hosts_that_disagree_are_named_and_a_name_that_means_another_image_stays_what_it_is() {
    let world = World::registered(32, 3).unwrap();
    let (usual, foreign) = (node_image_as(IMAGE).unwrap(), image(&another(IMAGE, 1)));
    world.engine("h3").lose_image(IMAGE);
    world.engine("h3").add_image(&foreign);
    let refused = told(&world, async |_, c| c.create(&Wish::new("dev", 5)).await);
    let status = refused.answer.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    for part in [&usual.id, &foreign.id, "h[1-2] have", "h3 has", "`--image sha256:...`", "`shoal load image"]
    {
        assert!(status.message().contains(part), "{part}: {status:?}");
    }
    assert!(refused.rows.clusters.is_empty());

    let wish = Wish { image: usual.id.clone(), ..Wish::new("dev", 5) };
    let told = told(&world, async |_, c| c.create(&wish).await);
    told.answer.unwrap();
    assert_eq!(told.rows.members("dev").len(), 3);
    let images = world.engine("h3").truth().images;
    let named = |tag: &str| images.iter().find(|i| i.repo_tags.iter().any(|t| t.starts_with(tag))).unwrap();
    assert_eq!(named(IMAGE).id, foreign.id);
    assert_eq!(named("shoal-image:").id, usual.id);
    assert_eq!(told.rows.cluster("dev").unwrap().image_id, usual.id);
}

#[test]
fn what_the_operator_loaded_is_meant_whatever_most_hosts_have() {
    let world = World::registered(40, 3).unwrap();
    let packed = another(IMAGE, 1);
    let loaded = image(&packed).id.clone();
    let told = told(&world, async |_, c| {
        load(c, &packed, "h3").await?;
        c.create(&Wish::new("dev", 5)).await
    });
    told.answer.unwrap();
    assert_eq!(told.rows.members("dev").len(), 3);
    assert_eq!(told.rows.cluster("dev").unwrap().image_id, loaded);
    // Nobody has it any more: what the others have under its name is not taken for it.
    let (answer, rows) = world
        .command("again", async |_, c| {
            c.delete(&["dev"]).await?;
            for engine in world.fleet().all() {
                engine.lose_image(&loaded);
            }
            c.create(&Wish::new("dev", 5)).await
        })
        .unwrap();
    let status = answer.unwrap_err();
    assert!(
        status.message().contains(&format!("was loaded as {loaded}, which no usable host has")),
        "{status:?}"
    );
    assert!(rows.clusters.is_empty());
}

#[test]
fn an_engine_that_answers_a_digest_with_another_image_is_never_used() {
    let world = World::registered(41, 3).unwrap();
    let usual = node_image_as(IMAGE).unwrap();
    world.engine("h1").lose_image(IMAGE);
    world.engine("h1").add_image(&forged(&another(IMAGE, 1), |image| image.tags = vec![usual.id.clone()]));
    let wish = Wish { image: usual.id.clone(), ..Wish::new("dev", 5) };
    let first = told(&world, async |_, c| c.create(&wish).await);
    first.answer.unwrap();
    assert_eq!(first.rows.members("dev"), ["h2", "h3"].into());
    assert_eq!(first.rows.cluster("dev").unwrap().image_id, usual.id);
    assert_eq!(count(&world, "h1", Method::SaveImage), 0);
    let alone = told(&world, async |_, c| {
        c.delete(&["dev"]).await?;
        for host in ["h1", "h2", "h3"] {
            world.engine(host).lose_image(IMAGE);
        }
        c.create(&wish).await
    });
    let status = alone.answer.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("asked for it, h1 has sha256:"), "{status:?}");
}

#[test]
fn accounts_are_what_two_hosts_say_and_one_speaks_for_itself_alone() {
    let world = World::registered(42, 2).unwrap();
    let usual = node_image_as(IMAGE).unwrap();
    world.engine("h2").lose_image(IMAGE);
    world.engine("h2").forge_image(&forged(&another(IMAGE, 7), |image| image.id = usual.id.clone()));
    let on = |name: &str, host: &str| Wish {
        placing: v1::Placing {
            pins: vec![format!("controller={host}"), format!("worker-0={host}")],
            ..v1::Placing::default()
        },
        ..Wish::new(name, 1)
    };
    let munge = async |c: &Coordinator| {
        let facts = c.store.read().await.unwrap().images().facts(&usual.id).await.unwrap().unwrap();
        (facts.accounts["munge"].uid, facts.said_by.len())
    };
    let told = told(&world, async |_, c| {
        c.create(&on("liar", "h2")).await?;
        assert_eq!(munge(c).await, (7, 1));
        c.create(&on("honest", "h1")).await?;
        assert_eq!(munge(c).await, (101, 1));
        let both = c.create(&Wish::new("both", 3)).await.unwrap_err();
        for part in ["h1: munge 101:102", "h2: munge 7:7", "read different accounts"] {
            assert!(both.message().contains(part), "{part}: {both:?}");
        }
        assert_eq!(munge(c).await, (101, 1));
        c.delete(&["liar"]).await?;
        world.engine("h2").lose_image(IMAGE);
        c.create(&Wish::new("both", 3)).await?;
        assert_eq!(munge(c).await, (101, 2));
        Ok(())
    });
    told.answer.unwrap();
}

#[test]
fn a_registry_that_has_another_content_is_passed_over_unless_it_was_named_by_digest() {
    const REMOTE: &str = "registry.example:5000/team/node:1";
    let world = World::registered(43, 3).unwrap();
    let usual = node_image_as(REMOTE).unwrap();
    let digest = format!("registry.example:5000/team/node@{}", usual.id);
    world.fleet().publish(REMOTE, &usual);
    world.fleet().publish(&digest, &image(&another(REMOTE, 1)));
    for engine in world.fleet().all() {
        engine.lose_image(IMAGE);
    }
    let saved = |world: &World| {
        ["h1", "h2", "h3"].map(|host| count(world, host, Method::SaveImage)).iter().sum::<u64>()
    };
    let first =
        told(&world, async |_, c| c.create(&Wish { image: REMOTE.into(), ..Wish::new("dev", 5) }).await);
    first.answer.unwrap();
    assert_eq!(first.rows.members("dev").len(), 3);
    assert!(first.events.iter().any(|e| e.message.contains("another content than the cluster's image")));
    let before = saved(&world);
    assert!(before > 0, "it was streamed");

    let named = told(&world, async |_, c| {
        c.delete(&["dev"]).await?;
        for host in ["h2", "h3"] {
            world.engine(host).lose_image(&usual.id);
        }
        c.create(&Wish { image: digest.clone(), ..Wish::new("dev", 5) }).await
    });
    named.answer.unwrap();
    assert_eq!(named.rows.members("dev"), ["h1"].into());
    assert_eq!(saved(&world), before, "what the registry has is right, and nobody else's is taken for it");
}

#[test]
fn a_source_that_breaks_in_the_middle_is_replaced_by_the_next() {
    let world = only_on(33, &["h1", "h2"]);
    world.engine("h1").set_saves(Saves::Broken);
    let told = told(&world, async |_, c| c.create(&Wish::new("dev", 5)).await);
    told.answer.unwrap();
    assert!(told.rows.members("dev").contains("h3"));
    assert!(has_image(&world, "h3"));
    assert_eq!([count(&world, "h1", Method::SaveImage), count(&world, "h2", Method::SaveImage)], [1, 1]);
    assert!(told.events.iter().any(|e| e.message.contains("h1") && e.message.contains("trying again")));
    nothing_wrong(&world, &told.rows);
}

#[test]
fn a_source_gives_no_names_on_other_hosts() {
    let world = only_on(37, &["h1"]);
    let foreign = shoal_docker_fake::Image::packed(&image_of("postgres:16").pack().unwrap()).unwrap();
    world.engine("h3").add_image(&foreign);
    let names = ["postgres:16", "shoal-agent:000000000000", "shoal-node:other"].map(str::to_owned);
    world.engine("h1").set_saves(Saves::Named(names.to_vec()));
    let told = told(&world, async |_, c| c.create(&Wish::new("dev", 5)).await);
    told.answer.unwrap();
    assert!(has_image(&world, "h2") && has_image(&world, "h3"));
    for host in ["h2", "h3"] {
        for image in world.engine(host).truth().images {
            let planted = image.repo_tags.iter().any(|tag| names.contains(tag));
            assert!(!planted || image.id == foreign.id, "{host}: {:?}", image.repo_tags);
        }
    }
    nothing_wrong(&world, &told.rows);
}

#[test]
fn a_source_that_does_not_stop_is_cut_off() {
    let world = only_on(38, &["h1", "h2"]);
    world.engine("h1").set_saves(Saves::Endless);
    let told = told(&world, async |_, c| c.create(&Wish::new("dev", 5)).await);
    told.answer.unwrap();
    assert!(has_image(&world, "h3"), "the other source has it");
    assert!(told.events.iter().any(|e| e.message.contains("h1") && e.message.contains("larger than")));
    nothing_wrong(&world, &told.rows);
}

#[test]
fn an_agents_image_that_lost_its_name_goes_with_the_host() {
    let world = World::registered(41, 1).unwrap();
    let of_agents = || {
        let images = world.engine("h1").truth().images;
        images.into_iter().filter(|i| i.labels.contains_key("shoal.installation")).collect::<Vec<_>>()
    };
    let [own] = of_agents().try_into().unwrap();
    let another = shoal_docker_fake::Image::packed(&image_of(&own.repo_tags[0]).pack().unwrap()).unwrap();
    world.engine("h1").add_image(&another);
    assert!(of_agents()[0].repo_tags.is_empty());
    told(&world, async |_, c| c.unregister("h1", false).await).answer.unwrap();
    assert_eq!(of_agents(), []);
    assert!(world.engine("h1").truth().images.iter().any(|image| image.id == another.id));
}

#[test]
fn an_image_planted_as_the_agents_does_not_become_it() {
    let honest = World::registered(39, 1).unwrap();
    let of_agent = |world: &World| {
        let images = world.engine("h1").truth().images;
        images.into_iter().find(|i| i.repo_tags.iter().any(|tag| tag.starts_with("shoal-agent:"))).unwrap()
    };
    let (own, world) = (of_agent(&honest), World::new(40, 1).unwrap());
    let planted = shoal_docker_fake::Image::packed(&image_of(&own.repo_tags[0]).pack().unwrap()).unwrap();
    world.engine("h1").add_image(&planted);
    told(&world, async |_, c| c.register("h1").await).answer.unwrap();
    assert_eq!(of_agent(&world).repo_tags, own.repo_tags);
    assert_ne!(of_agent(&world).id, planted.id);
}

#[test]
fn the_only_source_breaking_leaves_nothing_half_loaded_and_the_nodes_where_it_is() {
    let world = only_on(34, &["h1"]);
    world.engine("h1").set_saves(Saves::Broken);
    let told = told(&world, async |_, c| c.create(&Wish::new("dev", 5)).await);
    told.answer.unwrap();
    assert_eq!(told.rows.members("dev"), ["h1"].into());
    assert!(!has_image(&world, "h2") && !has_image(&world, "h3"));
    nothing_wrong(&world, &told.rows);
}

#[test]
fn a_host_that_cannot_take_it_is_left_and_the_others_are_not_held_up() {
    for refusal in [Refusal::DiskFull, Refusal::ServerError(500, "no".into())] {
        let world = only_on(35, &["h1"]);
        world.fleet().rule(Rule::on(Method::LoadImage, Action::Answer(refusal)).engine("h3"));
        let told = told(&world, async |_, c| c.create(&Wish::new("dev", 5)).await);
        told.answer.unwrap();
        assert_eq!(told.rows.members("dev"), ["h1", "h2"].into());
        nothing_wrong(&world, &told.rows);
    }
}

#[test]
fn what_arrives_under_another_digest_is_not_taken_for_it() {
    let world = only_on(36, &["h1"]);
    let missing = Action::Answer(Refusal::NotFound(None));
    world.fleet().rule(Rule::on(Method::InspectImage, missing).engine("h3").subject("sha256:"));
    let told = told(&world, async |_, c| c.create(&Wish::new("dev", 5)).await);
    told.answer.unwrap();
    assert_eq!(told.rows.members("dev"), ["h1", "h2"].into());
    assert!(
        told.events.iter().any(|e| e.message.contains("does not have it as sha256:")),
        "the reason is told"
    );
}

#[test]
fn two_creates_at_once_copy_it_once() {
    let world = only_on(37, &["h1"]);
    let loads = ["h2", "h3"].map(|host| count(&world, host, Method::LoadImage));
    let slow = Action::Slow(Duration::from_secs(20));
    world.fleet().rule(Rule::on(Method::LoadImage, slow));
    let ended = world.live(async |life| {
        let (a, b) = (life.coordinator("a").await.unwrap(), life.coordinator("b").await.unwrap());
        let (one, two, three) = (Wish::new("one", 5), Wish::new("two", 5), Wish::new("three", 5));
        // Two tasks of one process, and another process.
        let (one, two, three) = tokio::join!(a.create(&one), a.create(&two), b.create(&three));
        one.unwrap();
        two.unwrap();
        three.unwrap();
        a.shutdown().await;
        b.shutdown().await;
    });
    ended.unwrap().expect("no crash was armed");
    for (host, before) in ["h2", "h3"].into_iter().zip(loads) {
        assert_eq!(count(&world, host, Method::LoadImage), before + 1, "{host} was copied to once");
    }
}

#[test]
fn killed_while_it_is_under_way_the_next_command_goes_on() {
    let world = only_on(38, &["h1"]);
    world.fleet().rule(Rule::on(Method::LoadImage, Action::Slow(Duration::from_secs(20))).engine("h2"));
    let ended = world.live(async |life| {
        let first = life.coordinator("first").await.unwrap();
        let wish = Wish::new("dev", 5);
        tokio::select! {
            answer = first.create(&wish) => panic!("{answer:?}"),
            () = tokio::time::sleep(Duration::from_secs(10)) => first.kill(),
        }
        let next = life.coordinator("next").await.unwrap();
        next.create(&Wish::new("other", 1)).await.unwrap();
        let rows = Rows::read(&next.store).await.unwrap();
        next.shutdown().await;
        rows
    });
    let rows = ended.unwrap().expect("no crash was armed");
    assert_eq!(rows.members("dev").len(), 3);
    assert!(has_image(&world, "h2") && has_image(&world, "h3"));
    nothing_wrong(&world, &rows);
}

const REMOTE: &str = "registry.example:5000/team/node:1";
const PASSWORD: &str = "correct-horse-battery";

/// Three hosts without the image, a registry that asks who pulls it, and a cluster of it.
fn asked_who_pulls() -> (World, impl Fn() -> Wish) {
    let world = only_on(39, &[]);
    world.fleet().publish(REMOTE, &node_image_as(REMOTE).unwrap());
    world.fleet().ask_who_pulls("ann", PASSWORD);
    (world, || Wish { image: REMOTE.into(), ..Wish::new("dev", 5) })
}

/// The credentials that it takes, for these hosts.
fn ann(hosts: Option<&str>) -> v1::SetRegistryRequest {
    v1::SetRegistryRequest {
        registry: "registry.example:5000".into(),
        username: "ann".into(),
        password: PASSWORD.into(),
        hosts: hosts.map(Into::into),
    }
}

#[test]
fn a_registry_is_asked_as_who_was_set_and_the_password_is_nowhere() {
    let (world, wish) = asked_who_pulls();
    let refused = told(&world, async |_, c| c.create(&wish()).await);
    let status = refused.answer.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    for part in [REMOTE, "unauthorized", "shoal set registry", "shoal load image"] {
        assert!(status.message().contains(part), "{part}: {status:?}");
    }
    assert!(refused.rows.clusters.is_empty());
    let told = told(&world, async |_, c| {
        RegistriesClient::new(c.channel()).set_registry(ann(None)).await?;
        c.create(&wish()).await
    });
    told.answer.unwrap();
    assert_eq!(told.rows.members("dev").len(), 3);
    // One pulled the tag, which says what the digest is; the others pulled that. Nothing was streamed.
    assert_eq!(["h1", "h2", "h3"].map(|host| count(&world, host, Method::SaveImage)), [0, 0, 0]);
    assert_eq!(arrived(&told.events), ["h1", "h2", "h3"].into());
    let shown = format!("{:?}", told.events);
    assert!(!shown.contains(PASSWORD));
}

#[test]
fn a_registrys_password_goes_to_chosen_hosts_alone_and_the_others_are_sent_the_image() {
    let (world, wish) = asked_who_pulls();
    // No host has the label: none is told the password.
    let refused = told(&world, async |_, c| {
        RegistriesClient::new(c.channel()).set_registry(ann(Some("trusted"))).await?;
        c.create(&wish()).await
    });
    let status = refused.answer.unwrap_err();
    assert!(status.message().contains("no host that answers is given the credentials"), "{status:?}");
    let pulls = || ["h1", "h2", "h3"].map(|host| count(&world, host, Method::PullImage));
    assert_eq!(pulls(), [0, 0, 0]);
    let told = told(&world, async |_, c| {
        let mut hosts = HostsClient::new(c.channel());
        let labels = [("trusted".to_owned(), "yes".to_owned())].into();
        hosts.update_host(v1::UpdateHostRequest { name: "h2".into(), labels, ..Default::default() }).await?;
        // The password is set anew: it goes to no other hosts for that.
        RegistriesClient::new(c.channel()).set_registry(ann(None)).await?;
        c.create(&wish()).await
    });
    told.answer.unwrap();
    assert_eq!(told.rows.members("dev").len(), 3);
    assert_eq!(pulls(), [0, 1, 0]);
    assert_eq!(["h1", "h2", "h3"].map(|host| count(&world, host, Method::SaveImage)), [0, 1, 0]);
}
