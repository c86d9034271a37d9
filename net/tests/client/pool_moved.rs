//! A wait for a connection that goes on elsewhere, while news for its former loop are under way.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::mpsc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use oneloop_net::client::Pool;
use oneloop_runtime::runtime::Builder;
use oneloop_runtime::task::spawn_local;
use oneloop_runtime::time::timeout;

#[test]
fn regression_wait_that_is_polled_elsewhere_takes_no_news_from_its_loop() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let got = runtime.spawn(async move {
        let pool = Pool::builder(address).max_connections(1).build();
        let held = pool.get().await.unwrap();
        let others = pool.clone();
        let mut moved: Pin<Box<dyn Future<Output = _> + Send>> =
            Box::pin(async move { others.get().await });
        assert!(poll_fn(|cx| Poll::Ready(moved.as_mut().poll(cx).is_pending())).await);
        let next =
            spawn_local(
                async move { timeout(Duration::from_secs(10), pool.get()).await.map(drop) },
            );
        // While this loop stands still, the slot comes back on another thread, and the wait is
        // looked at there.
        let (done, end) = mpsc::channel();
        thread::spawn(move || {
            drop(held);
            let elsewhere = Builder::new_current_thread().enable_all().build().unwrap();
            elsewhere.block_on(poll_fn(|cx| {
                drop(moved.as_mut().poll(cx));
                Poll::Ready(())
            }));
            done.send(()).unwrap();
        });
        end.recv().unwrap();
        next.await.unwrap()
    });
    runtime.block_on(got).unwrap().expect("the slot was lost");
}
