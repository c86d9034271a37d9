//! What is too small to be seen end to end: tasks, wake-ups and timers of oneloop beside its peers in
//! interleaved rounds, medians and ratios as Markdown. End to end it is `compare`.
//!
//! Nothing else may run beside it. `ratios --help` tells the options.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "the tables are what it is for")]

use std::env;
use std::io;
use std::time::Duration;

use oneloop_benches::process::apart;
use oneloop_benches::report::{Samples, Table, ratio};
use oneloop_benches::runtimes::{
    Oneloop, OneloopMulti, Runtime, Smol, SmolGlobal, TokioCurrent, TokioMulti,
};
use oneloop_benches::workloads as work;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let Some(options) = Options::parse(&arguments)? else {
        print!("{HELP}");
        return Ok(());
    };
    micro(&options)
}

struct Options {
    rounds: usize,
    is_quick: bool,
    only: String,
}

impl Options {
    /// `None` if help is wanted.
    fn parse(arguments: &[String]) -> io::Result<Option<Self>> {
        let mut this = Self {
            rounds: 7,
            is_quick: false,
            only: String::new(),
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || {
                let missing = || invalid(&format!("{argument} needs a value"));
                arguments.next().ok_or_else(missing)
            };
            match argument.as_str() {
                "--rounds" => {
                    let value = value()?;
                    let rounds = value.parse().ok().filter(|&rounds| rounds > 0);
                    this.rounds = rounds.ok_or_else(|| invalid("--rounds needs a number"))?;
                }
                "--only" => this.only.clone_from(value()?),
                "--quick" => this.is_quick = true,
                "--help" => return Ok(None),
                other => return Err(invalid(&format!("there is no option {other}"))),
            }
        }
        Ok(Some(this))
    }

    fn wants(&self, name: &str) -> bool {
        name.contains(&self.only)
    }

    fn rounds(&self) -> usize {
        if self.is_quick { 1 } else { self.rounds }
    }

    /// Operations of a workload: enough for some tens of milliseconds, or just some.
    fn count(&self, count: u64) -> u64 {
        if self.is_quick {
            (count / 20).max(2)
        } else {
            count
        }
    }
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

/// One workload on one runtime.
struct Contender {
    name: &'static str,
    /// The name of the contender whose figure is put over this one's.
    against: &'static str,
    run: Box<dyn Fn(u64) -> io::Result<Duration>>,
}

/// Operations before the ones that count, on the same runtime.
fn warm_up(count: u64) -> u64 {
    (count / 10).max(1)
}

/// A workload and the runtimes that it is run on.
struct Workload {
    name: &'static str,
    count: u64,
    /// What one of `count` stands for: figures are for one operation.
    operations_each: u64,
    contenders: Vec<Contender>,
}

/// A workload on a list of runtimes, each beside the form of oneloop that it is compared with.
macro_rules! contenders {
    ($work:path, $start:expr, [$($peer:ty => $ours:ty),+ $(,)?]) => {
        vec![$(Contender {
            name: <$peer>::NAME,
            against: <$ours>::NAME,
            run: Box::new(|count| {
                let runtime = $start(<$peer>::start)?;
                $work(&runtime, warm_up(count));
                Ok($work(&runtime, count))
            }),
        }),+]
    };
}

macro_rules! on_all {
    ($work:path, $start:expr) => {
        contenders!($work, $start, [
            Oneloop => Oneloop,
            TokioCurrent => Oneloop,
            Smol => Oneloop,
            OneloopMulti => OneloopMulti,
            TokioMulti => OneloopMulti,
        ])
    };
}

/// Starts a runtime whose threads may run on every core.
fn anywhere<R>(start: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
    start()
}

fn workloads() -> Vec<Workload> {
    let workload = |name, count, operations_each, contenders| Workload {
        name,
        count,
        operations_each,
        contenders,
    };
    let away = contenders!(
        work::spawn_away,
        apart,
        [OneloopMulti => OneloopMulti, TokioMulti => OneloopMulti, SmolGlobal => OneloopMulti]
    );
    let mut wakes = on_all!(work::wake_round_trip, apart);
    wakes.push(Contender {
        name: "eventfd, two threads",
        against: OneloopMulti::NAME,
        run: Box::new(|count| {
            work::eventfd_round_trip(warm_up(count))?;
            work::eventfd_round_trip(count)
        }),
    });
    vec![
        workload(
            "spawn, join",
            100_000,
            1,
            on_all!(work::spawn_join, anywhere),
        ),
        workload(
            "spawn 1000, join",
            200,
            work::MANY,
            on_all!(work::spawn_many, anywhere),
        ),
        workload("spawn on another thread, join", 2000, 1, away),
        workload(
            "yield, 1 task",
            200_000,
            1,
            on_all!(work::yield_alone, anywhere),
        ),
        workload(
            "yield, 100 tasks",
            5000,
            work::CROWD,
            on_all!(work::yield_crowd, anywhere),
        ),
        workload("wake round trip, 2 threads", 2000, 1, wakes),
        workload(
            "timer, arm and drop",
            100_000,
            1,
            on_all!(work::timer_arm_drop, anywhere),
        ),
        workload("timer, 1 ms", 50, 1, on_all!(work::timer_fire, anywhere)),
    ]
}

fn micro(options: &Options) -> io::Result<()> {
    let mut table = Table::new(&["workload", "runtime", "ns", "spread %", "oneloop / it"]);
    let mut is_empty = true;
    for workload in workloads() {
        if !options.wants(workload.name) {
            continue;
        }
        is_empty = false;
        let samples = measure(&workload, options)?;
        for (contender, own) in workload.contenders.iter().zip(&samples) {
            let is_against = |other: &Contender| other.name == contender.against;
            let against = workload.contenders.iter().position(is_against);
            table.row(&[
                workload.name.to_owned(),
                contender.name.to_owned(),
                format!("{:.0}", own.median()),
                format!("{:.0}", own.spread_percent()),
                ratio(against.map(|at| &samples[at]), own),
            ]);
        }
    }
    if !is_empty {
        println!("{}", table.as_str());
    }
    Ok(())
}

/// Nanoseconds of one operation, for each contender. They take turns.
fn measure(workload: &Workload, options: &Options) -> io::Result<Vec<Samples>> {
    let count = options.count(workload.count);
    let mut samples = vec![Samples::default(); workload.contenders.len()];
    for _ in 0..options.rounds() {
        for (contender, samples) in workload.contenders.iter().zip(&mut samples) {
            let elapsed = (contender.run)(count)?;
            let operations = count * workload.operations_each;
            samples.push(elapsed.as_secs_f64() * 1e9 / operations as f64);
        }
    }
    Ok(samples)
}

const HELP: &str = "\
ratios [--rounds N] [--quick] [--only NAME]

Measures tasks, wake-ups and timers of oneloop beside tokio and smol in interleaved rounds and prints
medians, spreads and ratios (oneloop's figure over the peer's) as Markdown. Nothing else may run
beside it.

  --rounds N   rounds, default 7
  --quick      one short round, to see that it works; the figures mean nothing
  --only NAME  the workloads whose name contains NAME
";
