//! On which loop a task lives.

use std::collections::HashMap;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use oneloop::runtime::{Builder, Placement, Runtime};
use oneloop::task;

use crate::support::{Gate, within_deadline};

fn runtime(loops: usize, placement: Placement) -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(loops)
        .placement(placement)
        .build()
        .unwrap()
}

/// Spawns 1,000 tasks that live on, from one task, and gives the tasks of each loop.
fn shares(loops: usize, placement: Placement) -> Vec<u64> {
    let runtime = runtime(loops, placement);
    let gate = Gate::default();
    let waiting = gate.clone();
    let spawner = runtime.spawn(async move {
        let mut joins = Vec::new();
        for _ in 0..1000 {
            let waiting = waiting.clone();
            joins.push(task::spawn(async move { waiting.wait().await }));
            task::yield_now().await;
        }
        joins
    });
    let joins = runtime.block_on(spawner).unwrap();
    while runtime.metrics().num_alive_tasks() < 1000 {
        thread::yield_now();
    }
    let shares = runtime
        .metrics()
        .loops()
        .iter()
        .map(|one| one.live_tasks)
        .collect();
    gate.open();
    joins
        .into_iter()
        .for_each(|join| runtime.block_on(join).unwrap());
    shares
}

#[test]
fn one_spawner_uses_every_loop_within_a_fifth_of_an_even_share() {
    within_deadline(|| {
        for loops in [2, 3, 4] {
            let even = 1000.0 / loops as f64;
            for (n, &share) in shares(loops, Placement::Adaptive).iter().enumerate() {
                let off = (share as f64 - even).abs() / even;
                assert!(off < 0.2, "loop {n} of {loops} has {share} tasks");
            }
        }
    });
}

#[test]
fn least_loaded_and_round_robin_are_even() {
    within_deadline(|| {
        for placement in [Placement::LeastLoaded, Placement::RoundRobin] {
            for share in shares(4, placement) {
                assert!((240..=260).contains(&share), "{placement:?}: {share}");
            }
        }
    });
}

#[test]
fn local_placement_stays() {
    within_deadline(|| {
        let shares = shares(3, Placement::Local);
        assert_eq!(
            shares.iter().filter(|&&share| share >= 1000).count(),
            1,
            "{shares:?}"
        );
    });
}

#[test]
fn a_task_with_few_helpers_keeps_them() {
    within_deadline(|| {
        let runtime = runtime(4, Placement::Adaptive);
        let here = runtime.spawn(async {
            let home = thread::current().id();
            let mut elsewhere = 0;
            for _ in 0..100 {
                let helper = task::spawn(async { thread::current().id() });
                elsewhere += usize::from(helper.await.unwrap() != home);
            }
            elsewhere
        });
        assert_eq!(runtime.block_on(here).unwrap(), 0);
    });
}

#[test]
fn spawns_from_outside_use_every_loop() {
    within_deadline(|| {
        let runtime = runtime(4, Placement::Adaptive);
        let mut counts = HashMap::new();
        for _ in 0..1000 {
            let place = runtime.spawn(async { thread::current().id() });
            *counts.entry(runtime.block_on(place).unwrap()).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 4, "{counts:?}");
    });
}

#[test]
fn load_tells_a_loop_that_stands_still_from_one_that_sleeps() {
    within_deadline(|| {
        let runtime = runtime(2, Placement::Adaptive);
        let handle = runtime.handle();
        let [blocked, asleep] = handle.loop_ids()[..] else {
            panic!("two loops")
        };
        let (begun, has_begun) = mpsc::channel();
        let (release, is_released) = mpsc::channel();
        let blocking = handle.spawn_on(blocked, move || async move {
            begun.send(()).unwrap();
            is_released.recv().unwrap();
        });
        has_begun.recv().unwrap();
        let load = |number| handle.loop_load(number).unwrap();
        let before = load(0);
        while load(0).turn < before.turn + Duration::from_millis(20) {
            thread::yield_now();
        }
        // The turn has not ended, and all of it counts as busy already.
        let grown = load(0).busy - before.busy;
        assert!(grown >= Duration::from_millis(15), "{grown:?}");
        assert_eq!((load(0).id, load(0).tasks), (blocked, 1));
        assert_eq!((load(1).id, load(1).tasks), (asleep, 0));
        // It may have begun to run only now; then it falls asleep.
        while load(1).turn > Duration::ZERO {
            thread::yield_now();
        }
        assert!(handle.loop_load(2).is_none());
        release.send(()).unwrap();
        runtime.block_on(blocking).unwrap();
        while load(0).turn > Duration::ZERO {
            thread::yield_now();
        }
    });
}
