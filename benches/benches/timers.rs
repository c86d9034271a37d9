//! Timers: armed and dropped, and fired.

use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use oneloop_benches::runtimes::{Oneloop, OneloopMulti, Runtime, Smol, TokioCurrent, TokioMulti};
use oneloop_benches::workloads::{timer_arm_drop, timer_fire};

fn on<R: Runtime>(group: &mut BenchmarkGroup<'_, WallTime>, work: fn(&R, u64) -> Duration) {
    let runtime = R::start().expect("the runtime starts");
    group.bench_function(R::NAME, |bencher| {
        bencher.iter_custom(|count| work(&runtime, count));
    });
}

fn timers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("timer, arm and drop");
    on::<Oneloop>(&mut group, timer_arm_drop);
    on::<TokioCurrent>(&mut group, timer_arm_drop);
    on::<Smol>(&mut group, timer_arm_drop);
    on::<OneloopMulti>(&mut group, timer_arm_drop);
    on::<TokioMulti>(&mut group, timer_arm_drop);
    group.finish();

    let mut group = criterion.benchmark_group("timer, 1 ms");
    group.sample_size(FEW_SAMPLES);
    on::<Oneloop>(&mut group, timer_fire);
    on::<TokioCurrent>(&mut group, timer_fire);
    on::<Smol>(&mut group, timer_fire);
    on::<OneloopMulti>(&mut group, timer_fire);
    on::<TokioMulti>(&mut group, timer_fire);
    group.finish();
}

/// A second holds a thousand milliseconds; more samples would make it longer.
const FEW_SAMPLES: usize = 20;

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = timers
}
criterion_main!(benches);
