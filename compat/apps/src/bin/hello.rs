//! axum: an answer of five bytes from two workers, and what each of them did. `compat/apps/bench`
//! puts it under load.

use std::cell::OnceCell;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use axum::Router;
use axum::routing::get;
use tokio::runtime::Handle;

/// Requests that a thread has answered.
struct Served {
    thread: String,
    requests: AtomicU64,
}

static SERVED: Mutex<Vec<Arc<Served>>> = Mutex::new(Vec::new());

thread_local! {
    static HERE: OnceCell<Arc<Served>> = const { OnceCell::new() };
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> std::io::Result<()> {
    let app = Router::new()
        .route("/", get(hello))
        .route("/metrics", get(metrics));
    axum::serve(apps::listen().await?, app)
        .with_graceful_shutdown(apps::asked_to_end())
        .await
}

async fn hello() -> &'static str {
    HERE.with(|here| {
        here.get_or_init(enlist)
            .requests
            .fetch_add(1, Ordering::Relaxed)
    });
    "hello"
}

fn enlist() -> Arc<Served> {
    let here = thread::current();
    let served = Arc::new(Served {
        thread: format!("{} {:?}", here.name().unwrap_or("unnamed"), here.id()),
        requests: AtomicU64::new(0),
    });
    SERVED.lock().unwrap().push(Arc::clone(&served));
    served
}

/// A line for each thread that answered, and one for each worker of the runtime.
async fn metrics() -> String {
    let mut text = String::new();
    for served in SERVED.lock().unwrap().iter() {
        let requests = served.requests.load(Ordering::Relaxed);
        writeln!(text, "{}: {requests} requests", served.thread).expect("a string takes all");
    }
    let metrics = Handle::current().metrics();
    for worker in 0..metrics.num_workers() {
        let busy = metrics.worker_total_busy_duration(worker);
        let parks = metrics.worker_park_count(worker);
        writeln!(
            text,
            "worker {worker}: busy {busy:.1?}, parked {parks} times"
        )
        .expect("a string takes all");
    }
    text
}
