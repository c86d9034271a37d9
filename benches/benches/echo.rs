//! Echo servers with one loop, server and load generator in processes of their own.

use std::path::Path;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use oneloop_benches::child::{Cores, LoadProcess, ServerProcess};
use oneloop_benches::load::{Shape, Until};
use oneloop_benches::servers::{ServeOptions, Server};

fn echo(criterion: &mut Criterion) {
    for connections in [1, 100, 1000] {
        let name = format!("echo {MESSAGE_BYTES} B x {connections}");
        let mut group = criterion.benchmark_group(name);
        group.sample_size(FEW_SAMPLES);
        for server in Server::ALL {
            group.bench_function(server.name(), |bencher| {
                let program = Path::new(PROGRAM);
                let options = ServeOptions::new(BUFFER_BYTES);
                let server = ServerProcess::start(program, server, &options, Cores::Apart)
                    .expect("the server starts");
                let shape = Shape {
                    connections,
                    message_bytes: MESSAGE_BYTES,
                    depth: 1,
                };
                let mut load = LoadProcess::start(program, server.address(), shape, Cores::Apart)
                    .expect("the load generator connects");
                bencher.iter_custom(|count| {
                    let outcome = load.run(Until::Requests(count)).expect("all is echoed");
                    assert_eq!(outcome.requests, count);
                    outcome.elapsed
                });
            });
        }
        group.finish();
    }
}

/// The binary that is also server and load generator.
const PROGRAM: &str = env!("CARGO_BIN_EXE_compare");
const MESSAGE_BYTES: usize = 64;
const BUFFER_BYTES: usize = 4096;
/// A sample of a thousand connections has to hold many rounds of all of them.
const FEW_SAMPLES: usize = 10;

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = echo
}
criterion_main!(benches);
