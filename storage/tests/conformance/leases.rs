//! Leases: one holder at a time, an epoch that is given out once, takeover when time or the holder is gone.

use std::{sync::Mutex, time::Duration};

use proptest::{prelude::*, test_runner::TestRunner};
use shoal_storage::{Acquired, Holder, Lease, Resource, Store, StoreError, Transaction};
use shoal_types::{Epoch, Timestamp};

use crate::{
    bed::{Bed, START, on_both},
    make::{TTL, holder},
};

const SWEEP: &str = "sweep";

async fn ask(tx: &mut Transaction, who: &Holder, now: Timestamp, lives: bool) -> Acquired {
    tx.leases().acquire(&Resource::task(SWEEP), who, now, TTL, |_| lives).await.unwrap()
}

fn granted(outcome: Acquired) -> Lease {
    match outcome {
        Acquired::Granted(lease) => lease,
        Acquired::Held(by) => panic!("held: {by:?}"),
    }
}

on_both! {
    async fn the_first_holds_until_its_time_is_up(bed: &mut Bed) {
        let at = |s| START.after(Duration::from_secs(s));
        let mut tx = bed.store.begin().await.unwrap();
        let (a, b) = (holder("a"), holder("b"));
        let first = granted(ask(&mut tx, &a, at(0), true).await);
        assert_eq!((first.epoch, first.until), (Epoch(1), at(30)));
        assert_eq!(tx.leases().get(&first.resource).await.unwrap(), Some(first.clone()));
        // After another boot nobody can tell that the holder is gone: the lease holds to its end.
        assert_eq!(ask(&mut tx, &b, at(29), false).await, Acquired::Held(first.clone()));
        let renewed = tx.leases().renew(&first, at(20), TTL).await.unwrap();
        assert_eq!((renewed.epoch, renewed.until), (Epoch(1), at(50)));
        assert_eq!(ask(&mut tx, &b, at(49), false).await, Acquired::Held(renewed.clone()));

        let second = granted(ask(&mut tx, &b, at(50), true).await);
        assert_eq!((second.epoch, &second.holder), (Epoch(2), &b));
        for outcome in [tx.leases().renew(&renewed, at(51), TTL).await.map(drop), tx.leases().release(&first).await] {
            assert!(matches!(outcome, Err(StoreError::LeaseLost { epoch: Epoch(1), .. })), "{outcome:?}");
        }
        tx.leases().release(&second).await.unwrap();
        let third = granted(ask(&mut tx, &a, at(51), true).await);
        assert_eq!(third.epoch, Epoch(3), "a released epoch does not come back");
        assert_eq!(tx.leases().list().await.unwrap(), [third]);
        tx.commit().await.unwrap();
    }

    async fn a_holder_that_is_gone_from_this_boot_is_taken_over_at_once(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let a = holder("a");
        let b = Holder { id: "b".into(), pid: 8, ..a.clone() };
        let first = granted(ask(&mut tx, &a, START, true).await);
        assert_eq!(ask(&mut tx, &b, START, true).await, Acquired::Held(first.clone()));
        let second = granted(ask(&mut tx, &b, START, false).await);
        assert_eq!(second.epoch, Epoch(2));
        let error = tx.guard(&first).await.unwrap_err();
        assert!(matches!(error, StoreError::LeaseLost { .. }), "{error}");
    }

    async fn a_second_grant_to_the_same_holder_fences_off_the_first(bed: &mut Bed) {
        let mut tx = bed.store.begin().await.unwrap();
        let a = holder("a");
        let first = granted(ask(&mut tx, &a, START, true).await);
        let second = granted(ask(&mut tx, &a, START, true).await);
        tx.commit().await.unwrap();
        let error = bed.store.begin().await.unwrap().guard(&first).await.unwrap_err();
        assert!(matches!(error, StoreError::LeaseLost { .. }), "{error}");
        bed.store.begin().await.unwrap().guard(&second).await.unwrap().commit().await.unwrap();
    }

    async fn a_lease_that_ran_out_still_guards_until_it_is_taken_over(bed: &mut Bed) {
        let late = START.after(Duration::from_secs(100));
        let mut tx = bed.store.begin().await.unwrap();
        let first = granted(ask(&mut tx, &holder("a"), START, true).await);
        assert!(!first.runs_at(late));
        let mut tx = tx.guard(&first).await.unwrap();
        let renewed = tx.leases().renew(&first, late, TTL).await.unwrap();
        assert!(renewed.runs_at(late));
    }
}

/// What may happen to a lease.
#[derive(Debug, Clone)]
enum Op {
    Acquire(usize),
    Renew(usize),
    Release(usize),
    Kill(usize),
    Wait(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let who = 0..3_usize;
    prop_oneof![
        4 => who.clone().prop_map(Op::Acquire),
        2 => who.clone().prop_map(Op::Renew),
        1 => who.clone().prop_map(Op::Release),
        1 => who.prop_map(Op::Kill),
        2 => (1..40_u64).prop_map(Op::Wait),
    ]
}

/// The model of a lease: its last holder, epoch and expiry, and the living processes.
struct Model {
    current: Option<Lease>,
    now: Timestamp,
    alive: [bool; 3],
}

/// Three holders, two of one boot and one of another, do `ops`; the store and the model agree at every step, and after
/// each step only the last grant guards.
async fn follow(store: &Store, resource: &Resource, ops: &[Op]) {
    let holders = [0, 1, 2].map(|n: u32| Holder {
        id: format!("{n}"),
        boot_id: if n < 2 { "one" } else { "two" }.into(),
        pid: n,
        pid_start: 1,
    });
    let mut model = Model { current: None, now: START, alive: [true; 3] };
    let mut grants: Vec<Lease> = vec![];
    for op in ops {
        let mut tx = store.begin().await.unwrap();
        match *op {
            Op::Wait(seconds) => model.now = model.now.after(Duration::from_secs(seconds)),
            Op::Kill(who) => model.alive[who] = false,
            Op::Acquire(who) => {
                model.alive[who] = true;
                let lives = |h: &Holder| model.alive[h.pid as usize];
                let outcome =
                    tx.leases().acquire(resource, &holders[who], model.now, TTL, lives).await.unwrap();
                let held = model.current.as_ref().filter(|lease| {
                    let gone = lease.holder.boot_id == holders[who].boot_id && !lives(&lease.holder);
                    model.now < lease.until && lease.holder != holders[who] && !gone
                });
                match (outcome, held) {
                    (Acquired::Held(by), Some(held)) => assert_eq!(by, *held),
                    (Acquired::Granted(lease), None) => {
                        assert_eq!(lease.epoch.0, grants.len() as u64 + 1);
                        assert_eq!(lease.until, model.now.after(TTL));
                        grants.push(lease.clone());
                        model.current = Some(lease);
                    }
                    (outcome, held) => panic!("{op:?}: {outcome:?}, expected to be held by {held:?}"),
                }
            }
            Op::Renew(who) | Op::Release(who) => {
                let Some(mine) = grants.iter().rev().find(|lease| lease.holder == holders[who]) else {
                    continue;
                };
                let current = model.current.as_ref().is_some_and(|lease| lease.epoch == mine.epoch);
                let outcome = if matches!(op, Op::Renew(_)) {
                    tx.leases().renew(mine, model.now, TTL).await
                } else {
                    let released = Lease { until: Timestamp(0), ..mine.clone() };
                    tx.leases().release(mine).await.map(|()| released)
                };
                match outcome {
                    Ok(lease) if current => model.current = Some(lease),
                    Err(StoreError::LeaseLost { epoch, .. }) if !current => assert_eq!(epoch, mine.epoch),
                    outcome => panic!("{op:?}: {outcome:?}, current: {current}"),
                }
            }
        }
        tx.commit().await.unwrap();
        assert_eq!(store.read().await.unwrap().leases().get(resource).await.unwrap(), model.current);
        for lease in &grants {
            let guards = store.begin().await.unwrap().guard(lease).await.is_ok();
            assert_eq!(guards, Some(lease.epoch) == model.current.as_ref().map(|current| current.epoch));
        }
    }
}

fn any_interleaving(bed: &Bed, runtime: &tokio::runtime::Runtime) {
    // A resource that is new to each run: the histories do not mix.
    const NAMES: [&str; 16] =
        ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"];
    let names = Mutex::new(NAMES.into_iter());
    let config = ProptestConfig {
        cases: 16,
        max_shrink_iters: 0,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let outcome = TestRunner::new(config).run(&proptest::collection::vec(op(), 1..25), |ops| {
        let resource = Resource::task(names.lock().unwrap().next().unwrap());
        runtime.block_on(follow(&bed.store, &resource, &ops));
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn any_interleaving_keeps_one_holder_sqlite() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let bed = runtime.block_on(Bed::sqlite());
    any_interleaving(&bed, &runtime);
}

#[test]
fn any_interleaving_keeps_one_holder_postgres() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if let Some(bed) = runtime.block_on(Bed::postgres()) {
        any_interleaving(&bed, &runtime);
    }
}
