//! Hosts: registered, changed, watched, taken out again.

use std::time::Duration;

use shoal_storage::{Conflict, Host, HostAgent, HostSettings, LastError, SecretKind, StoreError, Usage};
use shoal_types::{
    AgentState, Bytes, HostFacts, HostMtu, HostState, Labels, MilliCpu, PrivilegedNodes, Resources,
    Scheduling,
};

use crate::{
    bed::{START, on_both},
    make,
};

on_both! {
    async fn a_host_comes_back_as_it_went_in(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let tls = tx.secrets().put(SecretKind::DockerTls, b"pem", START, &mut bed.rng).await.unwrap();
        let plain = make::host(1);
        let mut full = make::host(2);
        full.settings.credential = Some(tls);
        full.settings.privileged_nodes = PrivilegedNodes::Deny;
        full.settings.mtu = Some(HostMtu::LEAST);
        full.settings.scheduling = Scheduling::Draining;
        full.facts = Some(HostFacts { vnis: vec![5_u64.try_into().unwrap()], ..HostFacts::default() });
        full.health.last_error = Some(LastError { message: "refused".into(), at: START });
        full.health.failures = 3;
        full.health.state = HostState::EngineDown;
        full.agent = HostAgent { state: AgentState::Ready, version: Some("0.1.0".into()) };
        let mut bare = make::host(3);
        bare.settings.underlay = None;
        bare.settings.labels = Labels::default();
        bare.health.last_seen = None;
        for host in [&full, &plain, &bare] {
            tx.hosts().insert(host).await.unwrap();
        }
        tx.commit().await.unwrap();

        let mut view = bed.store.read().await.unwrap();
        assert_eq!(view.hosts().list().await.unwrap(), [plain.clone(), full.clone(), bare]);
        assert_eq!(view.hosts().get(full.id).await.unwrap().as_ref(), Some(&full));
        assert_eq!(view.hosts().by_name(&plain.name).await.unwrap(), Some(plain));
        assert_eq!(view.hosts().get(make::host(9).id).await.unwrap(), None);
        assert_eq!(view.hosts().by_name(&make::host(9).name).await.unwrap(), None);
    }

    async fn hosts_that_were_left_count_for_a_while(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let [first, second, third] = [1, 2, 3].map(make::host);
        for host in [&first, &second, &third] {
            tx.hosts().insert(host).await.unwrap();
        }
        let at = |seconds| START.after(Duration::from_secs(seconds));
        tx.hosts().leave(first.id, at(10)).await.unwrap();
        tx.hosts().leave(second.id, at(20)).await.unwrap();
        let error = tx.hosts().leave(make::host(9).id, START).await.unwrap_err();
        assert!(matches!(error, StoreError::Missing { .. }), "{error}");
        assert_eq!(tx.hosts().left(at(9)).await.unwrap(), [(first.id, at(10)), (second.id, at(20))].into());
        assert_eq!(tx.hosts().left(at(10)).await.unwrap(), [(second.id, at(20))].into());
        tx.hosts().delete(second.id).await.unwrap();
        assert_eq!(tx.hosts().left(at(10)).await.unwrap(), [].into());
    }

    async fn what_must_be_unique_names_the_other_host(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let first = make::host(1);
        tx.hosts().insert(&first).await.unwrap();
        let second = make::host(2);

        let named = Host { name: first.name.clone(), ..second.clone() };
        let error = tx.hosts().insert(&named).await.unwrap_err();
        assert!(matches!(&error, StoreError::Conflict(Conflict::HostName { name }) if *name == first.name), "{error}");

        let mut engine = second.clone();
        engine.engine.id = first.engine.id.clone();
        let error = tx.hosts().insert(&engine).await.unwrap_err();
        assert!(
            matches!(&error, StoreError::Conflict(Conflict::HostEngine { other, .. }) if *other == first.name),
            "{error}"
        );

        let mut address = second.clone();
        address.settings.underlay = first.settings.underlay;
        let error = tx.hosts().insert(&address).await.unwrap_err();
        assert!(
            matches!(&error, StoreError::Conflict(Conflict::HostUnderlay { other, .. }) if *other == first.name),
            "{error}"
        );

        tx.hosts().insert(&second).await.unwrap();
        let error = tx.hosts().seen(second.id, &first.engine, START).await.unwrap_err();
        assert!(matches!(&error, StoreError::Conflict(Conflict::HostEngine { .. })), "{error}");
        let error = tx.hosts().change(&second, &address.settings).await.unwrap_err();
        assert!(matches!(&error, StoreError::Conflict(Conflict::HostUnderlay { .. })), "{error}");
        tx.commit().await.unwrap();
    }

    async fn two_hosts_may_have_no_underlay_address(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        for n in [1, 2] {
            let mut host = make::host(n);
            host.settings.underlay = None;
            tx.hosts().insert(&host).await.unwrap();
        }
        tx.commit().await.unwrap();
    }

    async fn an_edit_of_an_old_version_is_refused(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let host = make::host(1);
        tx.hosts().insert(&host).await.unwrap();
        let settings = HostSettings {
            endpoint: "unix:///run/docker.sock".into(),
            privileged_nodes: PrivilegedNodes::Deny,
            mtu: Some(HostMtu::MOST),
            ..make::settings(7)
        };
        tx.hosts().change(&host, &settings).await.unwrap();
        let changed = tx.hosts().get(host.id).await.unwrap().unwrap();
        assert_eq!(changed, Host { settings, version: 2, ..host.clone() });
        let measured =
            HostSettings { mtu: None, scheduling: Scheduling::Cordoned, ..changed.settings.clone() };
        tx.hosts().change(&changed, &measured).await.unwrap();
        assert_eq!(tx.hosts().get(host.id).await.unwrap().unwrap().settings, measured);
        let error = tx.hosts().change(&host, &host.settings).await.unwrap_err();
        assert!(matches!(error, StoreError::Stale { .. }), "{error}");
        let error = tx.hosts().change(&make::host(2), &host.settings).await.unwrap_err();
        assert!(matches!(error, StoreError::Conflict(_) | StoreError::Stale { .. }), "{error}");
    }

    async fn failures_count_up_and_end_with_the_first_answer(bed: &mut Bed) {
        let at = |s| START.after(Duration::from_secs(s));
        let mut tx = bed.store.begin().await.unwrap();
        let host = make::host(1);
        tx.hosts().insert(&host).await.unwrap();
        for s in [10, 20] {
            let error = LastError { message: format!("timeout at {s}"), at: at(s) };
            tx.hosts().failed(host.id, HostState::Unreachable, &error).await.unwrap();
        }
        let health = tx.hosts().get(host.id).await.unwrap().unwrap().health;
        assert_eq!((health.state, health.since, health.failures), (HostState::Unreachable, at(10), 2));
        assert_eq!(health.last_error.unwrap(), LastError { message: "timeout at 20".into(), at: at(20) });
        assert_eq!(health.last_seen, Some(START));

        let mut engine = make::engine(1);
        engine.version = "29.0.0".into();
        for s in [30, 40] {
            tx.hosts().seen(host.id, &engine, at(s)).await.unwrap();
        }
        let seen = tx.hosts().get(host.id).await.unwrap().unwrap();
        assert_eq!(seen.engine, engine);
        assert_eq!((seen.health.state, seen.health.since, seen.health.failures), (HostState::Ready, at(30), 0));
        assert_eq!(seen.health.last_seen, Some(at(40)));
        assert!(seen.health.last_error.is_some(), "the last failure is kept");
        assert_eq!(seen.version, host.version, "health is no edit of the settings");
    }

    async fn an_agent_that_falls_silent_leaves_its_facts(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let host = make::host(1);
        tx.hosts().insert(&host).await.unwrap();
        let ready = HostAgent { state: AgentState::Ready, version: Some("0.1.0".into()) };
        let facts = HostFacts { neighbour_limit: 1024, ..HostFacts::default() };
        tx.hosts().agent(host.id, &ready, Some(&facts)).await.unwrap();
        let silent = HostAgent { state: AgentState::Absent, version: Some("0.1.0".into()) };
        tx.hosts().agent(host.id, &silent, None).await.unwrap();
        let found = tx.hosts().get(host.id).await.unwrap().unwrap();
        assert_eq!(found, Host { facts: Some(facts), agent: silent, ..host });
    }

    async fn one_machine_is_one_host_whatever_its_engine_calls_itself(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let (one, two) = (make::host(1), make::host(2));
        tx.hosts().insert(&one).await.unwrap();
        tx.hosts().insert(&two).await.unwrap();
        let ready = HostAgent { state: AgentState::Ready, version: None };
        let told = |id: &str| HostFacts { agent_id: id.into(), ..HostFacts::default() };
        tx.hosts().agent(one.id, &ready, Some(&told("a"))).await.unwrap();
        tx.hosts().agent(one.id, &ready, Some(&told("a"))).await.unwrap();
        let outcome = tx.hosts().agent(two.id, &ready, Some(&told("a"))).await;
        match outcome {
            Err(StoreError::Conflict(Conflict::HostAgent { agent_id, other })) => {
                assert_eq!((agent_id.as_str(), other), ("a", one.name));
            }
            outcome => panic!("{outcome:?}"),
        }
        assert_eq!(tx.hosts().get(two.id).await.unwrap().unwrap().facts, None, "nothing was written");
        // Agents that say nothing of themselves, and a machine that got another volume.
        for id in ["", "", "b", "c"] {
            tx.hosts().agent(two.id, &ready, Some(&told(id))).await.unwrap();
        }
    }

    async fn what_is_not_there_is_missing(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let id = make::host(1).id;
        let error = LastError { message: "x".into(), at: START };
        let agent = HostAgent { state: AgentState::Absent, version: None };
        for outcome in [
            tx.hosts().seen(id, &make::engine(1), START).await,
            tx.hosts().failed(id, HostState::Unreachable, &error).await,
            tx.hosts().agent(id, &agent, None).await,
            tx.hosts().delete(id).await,
        ] {
            assert!(matches!(outcome, Err(StoreError::Missing { what: "host", .. })), "{outcome:?}");
        }
    }

    async fn a_host_with_nodes_stays_and_its_usage_is_their_sum(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let admitted = make::admit(&mut tx, 1, &mut bed.rng).await;
        tx.hosts().insert(&make::host(2)).await.unwrap();
        let usage = tx.hosts().usage().await.unwrap();
        let reserved = Resources { cpu: MilliCpu(150), memory: Bytes::mib(192) };
        assert_eq!(usage.into_iter().collect::<Vec<_>>(), [(admitted.host.id, Usage { reserved, nodes: 3 })]);
        tx.commit().await.unwrap();

        let mut tx = bed.store.begin().await.unwrap();
        let error = tx.hosts().delete(admitted.host.id).await.unwrap_err();
        assert!(matches!(error, StoreError::Referenced { .. }), "{error}");
        drop(tx);
        let mut tx = bed.store.begin().await.unwrap();
        tx.hosts().delete(make::host(2).id).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(bed.store.read().await.unwrap().hosts().list().await.unwrap(), [admitted.host]);
    }

    async fn an_unusable_value_names_its_place(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let host = make::host(1);
        tx.hosts().insert(&host).await.unwrap();
        tx.commit().await.unwrap();
        for (sql, expected) in [
            ("UPDATE hosts SET state = 'dancing'", "state"),
            ("UPDATE hosts SET state = 'ready', failures = -1", "failures"),
            ("UPDATE hosts SET failures = 0, labels = '{\"k\":'", "labels"),
            ("UPDATE hosts SET labels = '{}', last_error = 'x', last_error_ms = NULL", "last_error_ms"),
            ("UPDATE hosts SET last_error = NULL, underlay_mtu_bytes = 100", "underlay_mtu_bytes"),
            ("UPDATE hosts SET underlay_mtu_bytes = NULL, name = '../etc'", "name"),
        ] {
            bed.raw(sql).await;
            match bed.store.read().await.unwrap().hosts().list().await {
                Err(StoreError::Corrupt { table: "hosts", column, id }) => {
                    assert_eq!((column, id), (expected, host.id.to_string()), "{sql}");
                }
                other => panic!("{sql}: {other:?}"),
            }
        }
    }
}
