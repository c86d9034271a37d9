//! A task knows where it was spawned: the caller's line, whichever function spawned it.

use std::panic::Location;

use oneloop::runtime::LocalRuntime;
use oneloop::task::{self, Builder, JoinHandle, JoinSet, LocalSet};

use crate::support::{each_runtime, two_loops, within_deadline};

type Place = Option<&'static Location<'static>>;

async fn place() -> Place {
    task::spawned_at()
}

/// As `place`, in a task that is boxed for its size.
async fn place_of_large() -> Place {
    let large = [1_u8; 8192];
    task::yield_now().await;
    std::hint::black_box(&large);
    task::spawned_at()
}

fn named() -> Builder {
    Builder::new().name("named")
}

/// The line of the call. (Inside `vec!` the macro `line!` gives that of the `vec!`.)
#[track_caller]
fn here() -> u32 {
    Location::caller().line()
}

#[track_caller]
fn assert_is_line(place: Place, line: u32) {
    let place = place.expect("asked inside a task");
    assert_eq!(place.file(), file!(), "spawned at line {line}");
    assert_eq!(place.line(), line);
}

async fn assert_lines(spawned: Vec<(u32, JoinHandle<Place>)>) {
    for (line, join) in spawned {
        assert_is_line(join.await.unwrap(), line);
    }
}

#[test]
fn functions_of_task() {
    within_deadline(|| {
        for runtime in each_runtime() {
            let id = runtime.handle().loop_ids()[0];
            runtime.block_on(assert_lines_of(move || {
                vec![
                    (here(), task::spawn(place())),
                    (here(), task::spawn(place_of_large())),
                    (here(), task::spawn_local(place())),
                    (here(), task::spawn_local(place_of_large())),
                    (here(), task::spawn_on(id, place)),
                    (here(), task::spawn_blocking(task::spawned_at)),
                    (here(), Builder::new().spawn(place())),
                    (here(), Builder::new().spawn_local(place())),
                    (here(), Builder::new().spawn_on(id, place)),
                    (here(), named().spawn(place())),
                    (here(), named().spawn_local(place())),
                    (here(), named().spawn_on(id, place)),
                ]
            }));
        }
    });
}

/// Spawns inside the runtime.
async fn assert_lines_of(spawn: impl FnOnce() -> Vec<(u32, JoinHandle<Place>)>) {
    assert_lines(spawn()).await;
}

#[test]
fn methods_of_a_runtime_and_its_handle() {
    within_deadline(|| {
        for runtime in each_runtime() {
            let handle = runtime.handle();
            let id = handle.loop_ids()[0];
            let spawned = vec![
                (here(), runtime.spawn(place())),
                (here(), runtime.spawn_blocking(task::spawned_at)),
                (here(), handle.spawn(place())),
                (here(), handle.spawn(place_of_large())),
                (here(), handle.spawn_blocking(task::spawned_at)),
                (here(), handle.try_spawn_blocking(task::spawned_at).unwrap()),
            ];
            runtime.block_on(assert_lines(spawned));
            runtime.block_on(async {
                // On a current-thread runtime it lives as long as this `block_on`.
                assert_lines(vec![(here(), handle.spawn_on(id, place))]).await;
                let (line, each) = (here(), handle.spawn_on_each(|_| place()));
                assert_eq!(each.len(), handle.loop_ids().len());
                for join in each {
                    assert_is_line(join.await.unwrap(), line);
                }
            });
        }
    });
}

#[test]
fn a_local_runtime_and_sets_of_local_tasks() {
    within_deadline(|| {
        let runtime = LocalRuntime::new().unwrap();
        let set = LocalSet::new();
        let mut spawned = vec![
            (here(), runtime.spawn_local(place())),
            (here(), runtime.spawn_local(place_of_large())),
            (here(), runtime.spawn_blocking(task::spawned_at)),
            (here(), set.spawn_local(place())),
            (here(), set.spawn_local(place_of_large())),
        ];
        {
            let _entered = set.enter();
            spawned.push((here(), task::spawn_local(place())));
            spawned.push((here(), named().spawn_local(place())));
        }
        runtime.block_on(set.run_until(async {
            spawned.push((here(), task::spawn_local(place())));
            spawned.push((here(), Builder::new().spawn_local(place())));
            assert_lines(spawned).await;
        }));
    });
}

#[test]
fn methods_of_a_join_set() {
    within_deadline(|| {
        let runtime = two_loops();
        let id = runtime.handle().loop_ids()[0];
        runtime.block_on(async {
            let (line, mut set) = (here(), JoinSet::from_iter([place()]));
            assert_is_line(set.join_next().await.unwrap().unwrap(), line);
            let spawned = [
                (here(), set.spawn(place()).id()),
                (here(), set.spawn_on(place(), runtime.handle()).id()),
                (here(), set.spawn_on_loop(id, place).id()),
                (here(), set.spawn_local(place()).id()),
                (here(), set.spawn_blocking(task::spawned_at).id()),
            ];
            while let Some(joined) = set.join_next_with_id().await {
                let (id, place) = joined.unwrap();
                let spawned = spawned.iter().find(|(_, spawned)| *spawned == id);
                assert_is_line(place, spawned.unwrap().0);
            }
        });
    });
}
