//! Spawning, joining and yielding.

use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use oneloop_benches::process;
use oneloop_benches::runtimes::{
    Oneloop, OneloopMulti, Runtime, Smol, SmolGlobal, TokioCurrent, TokioMulti,
};
use oneloop_benches::workloads as work;

fn on<R: Runtime>(group: &mut BenchmarkGroup<'_, WallTime>, work: fn(&R, u64) -> Duration) {
    let runtime = R::start().expect("the runtime starts");
    group.bench_function(R::NAME, |bencher| {
        bencher.iter_custom(|count| work(&runtime, count));
    });
}

fn apart<R: Runtime>(group: &mut BenchmarkGroup<'_, WallTime>) {
    let runtime = process::apart(R::start).expect("the runtime starts on two cores");
    group.bench_function(R::NAME, |bencher| {
        bencher.iter_custom(|count| work::spawn_away(&runtime, count));
    });
}

/// A group with one workload on all runtimes.
macro_rules! group {
    ($criterion:expr, $name:expr, $elements:expr, $work:path) => {{
        let mut group = $criterion.benchmark_group($name);
        group.throughput(Throughput::Elements($elements));
        on::<Oneloop>(&mut group, $work);
        on::<TokioCurrent>(&mut group, $work);
        on::<Smol>(&mut group, $work);
        on::<OneloopMulti>(&mut group, $work);
        on::<TokioMulti>(&mut group, $work);
        group.finish();
    }};
}

fn tasks(criterion: &mut Criterion) {
    group!(criterion, "spawn, join", 1, work::spawn_join);
    group!(criterion, "spawn 1000, join", work::MANY, work::spawn_many);
    let mut group = criterion.benchmark_group("spawn on another thread, join");
    apart::<OneloopMulti>(&mut group);
    apart::<TokioMulti>(&mut group);
    apart::<SmolGlobal>(&mut group);
    group.finish();
    group!(criterion, "yield, 1 task", 1, work::yield_alone);
    group!(
        criterion,
        "yield, 100 tasks",
        work::CROWD,
        work::yield_crowd
    );
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = tasks
}
criterion_main!(benches);
