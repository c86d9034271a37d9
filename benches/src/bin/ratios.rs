//! What is too small to be seen end to end: tasks, wake-ups and timers of oneloop beside its peers in
//! interleaved rounds, medians and ratios as Markdown. End to end it is `compare`.
//!
//! Nothing else may run beside it. `ratios --help` tells the options.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "the tables are what it is for")]

use std::env;
use std::io;
use std::time::Duration;

use oneloop_benches::footprint;
use oneloop_benches::goals::{self, Found, Goal};
use oneloop_benches::process::apart;
use oneloop_benches::report::{Samples, Table, ratio};
use oneloop_benches::runtimes::{
    Oneloop, OneloopMulti, Runtime, Smol, SmolGlobal, TokioCurrent, TokioMulti,
};
use oneloop_benches::workloads::{self as work, CROWD, EventfdWait, MANY};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let Some(bytes) = footprint::run_as_child(&arguments)? {
        println!("{bytes}");
        return Ok(());
    }
    let Some(options) = Options::parse(&arguments)? else {
        print!("{HELP}");
        return Ok(());
    };
    let found = micro(&options)?;
    if let Some(table) = goals::table(&GOALS, &found) {
        println!("{}", table.as_str());
    }
    Ok(())
}

struct Options {
    rounds: usize,
    is_quick: bool,
    only: String,
    runtime: String,
}

impl Options {
    /// `None` if help is wanted.
    fn parse(arguments: &[String]) -> io::Result<Option<Self>> {
        let mut this = Self {
            rounds: 7,
            is_quick: false,
            only: String::new(),
            runtime: String::new(),
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
                "--runtime" => this.runtime.clone_from(value()?),
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
    /// Does a number of operations, and tells each figure of the workload.
    run: Box<dyn Fn(u64) -> io::Result<Vec<f64>>>,
}

/// Operations before the ones that count, on the same runtime.
fn warm_up(count: u64) -> u64 {
    (count / 10).max(1)
}

/// A workload and the runtimes that it is run on.
struct Workload {
    name: &'static str,
    count: u64,
    /// The figures that it gives.
    units: &'static [&'static str],
    contenders: Vec<Contender>,
}

/// The one figure of a workload that is timed: of one operation.
fn ns_each(elapsed: Duration, operations: u64) -> Vec<f64> {
    vec![elapsed.as_secs_f64() * 1e9 / operations as f64]
}

/// A workload on a list of runtimes, each beside the form of oneloop that it is compared with. One
/// of its `count` stands for `$each` operations.
macro_rules! contenders {
    ($work:path, $each:expr, $start:expr, [$($peer:ty => $ours:ty),+ $(,)?]) => {
        vec![$(Contender {
            name: <$peer>::NAME,
            against: <$ours>::NAME,
            run: Box::new(|count| {
                let runtime = $start(<$peer>::start)?;
                $work(&runtime, warm_up(count));
                Ok(ns_each($work(&runtime, count), count * $each))
            }),
        }),+]
    };
}

macro_rules! on_all {
    ($work:path, $each:expr, $start:expr) => {
        contenders!($work, $each, $start, [
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
    let timed = |name, count, contenders| Workload {
        name,
        count,
        units: &[NS],
        contenders,
    };
    let away = contenders!(
        work::spawn_away,
        1,
        apart,
        [OneloopMulti => OneloopMulti, TokioMulti => OneloopMulti, SmolGlobal => OneloopMulti]
    );
    let in_root = contenders!(
        work::spawn_join_in_root,
        1,
        anywhere,
        [Oneloop => Oneloop, TokioCurrent => Oneloop, Smol => Oneloop]
    );
    let mut wakes = on_all!(work::wake_round_trip, 1, apart);
    wakes.push(bare(EVENTFD, EventfdWait::Read));
    wakes.push(bare("eventfds in epoll, two threads", EventfdWait::Epoll));
    vec![
        timed(SPAWN, 100_000, on_all!(work::spawn_join, 1, anywhere)),
        timed(SPAWN_IN_ROOT, 100_000, in_root),
        timed(SPAWN_MANY, 200, on_all!(work::spawn_many, MANY, anywhere)),
        timed("spawn on another thread, join", 2000, away),
        timed(
            "yield, 1 task",
            200_000,
            on_all!(work::yield_alone, 1, anywhere),
        ),
        timed(YIELD, 5000, on_all!(work::yield_crowd, CROWD, anywhere)),
        timed(WAKE, 2000, wakes),
        timed(TIMER, 100_000, on_all!(work::timer_arm_drop, 1, anywhere)),
        timed("timer, 1 ms", 50, on_all!(work::timer_fire, 1, anywhere)),
        Workload {
            name: SLEEPERS,
            count: 1_000_000,
            units: &[CPU_MS, LATE_MEAN_US, LATE_MAX_US],
            contenders: vec![
                sleepers::<Oneloop>(),
                sleepers::<TokioCurrent>(),
                sleepers::<Smol>(),
            ],
        },
        Workload {
            name: IDLE,
            count: 100_000,
            units: &[BYTES],
            contenders: vec![idle::<Oneloop>(), idle::<TokioCurrent>(), idle::<Smol>()],
        },
    ]
}

/// The round trip without a runtime.
fn bare(name: &'static str, wait: EventfdWait) -> Contender {
    Contender {
        name,
        against: OneloopMulti::NAME,
        run: Box::new(move |count| {
            work::eventfd_round_trip(wait, warm_up(count))?;
            Ok(ns_each(work::eventfd_round_trip(wait, count)?, count))
        }),
    }
}

/// The crowd of sleepers on a current-thread runtime.
fn sleepers<R: Runtime>() -> Contender {
    Contender {
        name: R::NAME,
        against: Oneloop::NAME,
        run: Box::new(|count| {
            let slept = work::sleepers(&R::start()?, count);
            let us = |duration: Duration| duration.as_secs_f64() * 1e6;
            Ok(vec![
                us(slept.cpu) / 1e3,
                us(slept.late_mean),
                us(slept.late_max),
            ])
        }),
    }
}

/// The memory of idle tasks on a current-thread runtime.
fn idle<R: Runtime>() -> Contender {
    Contender {
        name: R::NAME,
        against: Oneloop::NAME,
        run: Box::new(|count| Ok(vec![footprint::idle_task_bytes(R::NAME, count)?])),
    }
}

fn micro(options: &Options) -> io::Result<Found> {
    let mut table = Table::new(&[
        "workload",
        "runtime",
        "median",
        "unit",
        "spread %",
        "oneloop / it",
    ]);
    let mut found = Found::default();
    let mut is_empty = true;
    for mut workload in workloads() {
        let is_wanted = |contender: &Contender| contender.name.contains(&options.runtime);
        workload.contenders.retain(is_wanted);
        if !options.wants(workload.name) {
            continue;
        }
        is_empty = false;
        let samples = measure(&workload, options)?;
        for (which, unit) in workload.units.iter().enumerate() {
            for (contender, own) in workload.contenders.iter().zip(&samples) {
                let is_against = |other: &Contender| other.name == contender.against;
                let against = workload.contenders.iter().position(is_against);
                found.add(workload.name, unit, contender.name, &own[which]);
                table.row(&[
                    workload.name.to_owned(),
                    contender.name.to_owned(),
                    format!("{:.0}", own[which].median()),
                    (*unit).to_owned(),
                    format!("{:.0}", own[which].spread_percent()),
                    ratio(against.map(|at| &samples[at][which]), &own[which]),
                ]);
            }
        }
    }
    if !is_empty {
        println!("{}", table.as_str());
    }
    Ok(found)
}

/// The figures of each contender, in the order of the workload's units. They take turns.
fn measure(workload: &Workload, options: &Options) -> io::Result<Vec<Vec<Samples>>> {
    let count = options.count(workload.count);
    let none = vec![Samples::default(); workload.units.len()];
    let mut samples = vec![none; workload.contenders.len()];
    for _ in 0..options.rounds() {
        for (contender, samples) in workload.contenders.iter().zip(&mut samples) {
            let figures = (contender.run)(count)?;
            for (samples, figure) in samples.iter_mut().zip(figures) {
                samples.push(figure);
            }
        }
    }
    Ok(samples)
}

const SPAWN: &str = "spawn, join";
const SPAWN_IN_ROOT: &str = "spawn, join in the root";
const SPAWN_MANY: &str = "spawn 1000, join";
const YIELD: &str = "yield, 100 tasks";
const WAKE: &str = "wake round trip, 2 threads";
const TIMER: &str = "timer, arm and drop";
const SLEEPERS: &str = "a million sleepers in one second";
const IDLE: &str = "idle task";
const EVENTFD: &str = "eventfd, two threads";

const NS: &str = "ns";
const CPU_MS: &str = "CPU ms";
const LATE_MEAN_US: &str = "late us, mean";
const LATE_MAX_US: &str = "late us, max";
const BYTES: &str = "bytes";

const GOALS: [Goal; 10] = [
    over_tokio(SPAWN, NS, 0.4),
    over_tokio(SPAWN_IN_ROOT, NS, 0.4),
    over_tokio(SPAWN_MANY, NS, 0.6),
    over_tokio(YIELD, NS, 0.95),
    over_tokio(TIMER, NS, 0.4),
    over_tokio(SLEEPERS, CPU_MS, 0.8),
    goal(SLEEPERS, LATE_MEAN_US, Oneloop::NAME, None, 100.0),
    goal(WAKE, NS, Oneloop::NAME, Some(EVENTFD), 1.05),
    goal(WAKE, NS, OneloopMulti::NAME, Some(EVENTFD), 1.05),
    goal(IDLE, BYTES, Oneloop::NAME, None, 136.0),
];

const fn over_tokio(workload: &'static str, unit: &'static str, at_most: f64) -> Goal {
    let tokio = Some(TokioCurrent::NAME);
    goal(workload, unit, Oneloop::NAME, tokio, at_most)
}

const fn goal(
    workload: &'static str,
    unit: &'static str,
    ours: &'static str,
    over: Option<&'static str>,
    at_most: f64,
) -> Goal {
    Goal {
        workload,
        unit,
        ours,
        over,
        at_most,
    }
}

const HELP: &str = "\
ratios [--rounds N] [--quick] [--only NAME] [--runtime NAME]

Measures tasks, wake-ups and timers of oneloop beside tokio and smol in interleaved rounds and prints
medians, spreads and ratios (oneloop's figure over the peer's) as Markdown. Nothing else may run
beside it.

  --rounds N   rounds, default 7
  --quick      one short round, to see that it works; the figures mean nothing
  --only NAME  the workloads whose name contains NAME
  --runtime NAME
               of those, the runtimes whose name contains NAME
";
