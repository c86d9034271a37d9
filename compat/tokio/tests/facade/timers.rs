//! Timers as tokio-util's `DelayQueue` uses them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::time::{Instant, sleep, sleep_until};

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_sleep_that_is_reset_into_the_past_wakes_within_the_call() {
    let mut builder = Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let begun = Instant::now();
        let flag = Arc::new(Flag::default());
        let waker = Arc::clone(&flag).into();
        let mut cx = Context::from_waker(&waker);
        let mut wait = Box::pin(sleep(Duration::from_millis(100)));
        assert!(wait.as_mut().poll(&mut cx).is_pending());

        sleep_until(begun + Duration::from_millis(80)).await;
        assert!(!flag.0.load(Ordering::Relaxed));
        wait.as_mut().reset(begun + Duration::from_millis(64));
        assert!(flag.0.load(Ordering::Relaxed));
        assert!(wait.as_mut().poll(&mut cx).is_ready());
    });
}
