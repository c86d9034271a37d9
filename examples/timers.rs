//! Timers: sleeping, ticking, giving up, and cancelling by dropping.
//! `cargo run --example timers`.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example talks to a person")]

mod common;

use std::time::Duration;

use common::arguments::Arguments;
use oneloop::time::{Instant, interval, sleep, timeout};

fn main() {
    Arguments::read("timers");
    oneloop::block_on(async {
        let started = Instant::now();
        let at = || format!("{:>4} ms", started.elapsed().as_millis());

        sleep(Duration::from_millis(20)).await;
        println!("{}: slept", at());

        let mut ticks = interval(Duration::from_millis(10));
        for tick in 0..3 {
            // The first tick is at once.
            ticks.tick().await;
            println!("{}: tick {tick}", at());
        }

        let slow = sleep(Duration::from_secs(3600));
        let given_up = timeout(Duration::from_millis(15), slow).await;
        println!("{}: {}", at(), given_up.expect_err("an hour is longer"));

        // A task that sleeps is cancelled with its timer.
        let sleeper = oneloop::spawn(sleep(Duration::from_secs(3600)));
        sleeper.abort();
        println!("{}: {}", at(), sleeper.await.expect_err("it was aborted"));
    });
}
