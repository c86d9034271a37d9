//! Wake-ups from one thread to another.

use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use oneloop_benches::process::apart;
use oneloop_benches::runtimes::{Oneloop, OneloopMulti, Runtime, Smol, TokioCurrent, TokioMulti};
use oneloop_benches::workloads::{EventfdWait, eventfd_round_trip, wake_round_trip};

fn on<R: Runtime>(group: &mut BenchmarkGroup<'_, WallTime>) {
    let runtime = apart(R::start).expect("the runtime starts on two cores");
    group.bench_function(R::NAME, |bencher| {
        bencher.iter_custom(|count| wake_round_trip(&runtime, count));
    });
}

fn wakes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wake round trip, 2 threads");
    on::<Oneloop>(&mut group);
    on::<TokioCurrent>(&mut group);
    on::<Smol>(&mut group);
    on::<OneloopMulti>(&mut group);
    on::<TokioMulti>(&mut group);
    group.bench_function("eventfd, two threads", |bencher| {
        bencher.iter_custom(|count| {
            eventfd_round_trip(EventfdWait::Read, count).expect("eventfds work")
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = wakes
}
criterion_main!(benches);
