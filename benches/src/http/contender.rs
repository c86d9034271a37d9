//! One server, what it is asked for, and what was measured of it under each generator.
//!
//! Place: made by the module above, which gives it its turns.

use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use super::processes::{CpuTimes, ServerProcess, ask};
use super::wrk::{self, Place};
use super::{HELLO, is_there, peers};
use crate::child::LoadProcess;
use crate::contest::{Figures, Metric};
use crate::load::Until;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Generator {
    /// wrk with one thread, on the core that the server does not use.
    Wrk,
    /// wrk with two threads on both cores: requests always wait for the server.
    WrkOnBothCores,
    /// Our own, on the core that the server does not use.
    Own,
}

impl Generator {
    pub(super) const ALL: [Self; 3] = [Self::Wrk, Self::WrkOnBothCores, Self::Own];

    /// Those that can be started here.
    pub(super) fn present() -> Vec<Self> {
        let is_wrk_there = is_there("wrk", "--version");
        let mut present = Self::ALL.to_vec();
        present.retain(|&generator| is_wrk_there || generator == Self::Own);
        present
    }

    /// Turns of each server in one round, and how long one takes. wrk knows whole seconds only.
    pub(super) fn turns(self, is_quick: bool) -> (usize, Duration) {
        match self {
            Self::Own if is_quick => (1, Duration::from_millis(100)),
            Self::Own => (4, Duration::from_millis(250)),
            Self::Wrk | Self::WrkOnBothCores => (1, Duration::from_secs(1)),
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resource {
    /// A few bytes that are in memory.
    Hello,
    /// A small file.
    File,
}

impl Resource {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::File => "4 KiB file",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        let mut all = [Self::Hello, Self::File].into_iter();
        all.find(|resource| resource.name() == name)
    }

    /// What it is answered with.
    pub(super) fn body(self) -> Vec<u8> {
        match self {
            Self::Hello => HELLO.into(),
            Self::File => peers::file(),
        }
    }
}

/// A server and something to ask it for.
#[derive(Debug)]
pub(super) struct Contender {
    pub(super) name: &'static str,
    pub(super) resource: Resource,
    path: &'static str,
    process: Rc<ServerProcess>,
    figures: [Figures; Generator::ALL.len()],
}

impl Contender {
    pub(super) fn new(
        name: &'static str,
        resource: Resource,
        path: &'static str,
        process: Rc<ServerProcess>,
    ) -> Self {
        Self {
            name,
            resource,
            path,
            process,
            figures: Default::default(),
        }
    }

    /// What was found under a generator.
    pub(super) fn under(&self, generator: Generator) -> &Figures {
        &self.figures[generator as usize]
    }

    pub(super) fn under_mut(&mut self, generator: Generator) -> &mut Figures {
        &mut self.figures[generator as usize]
    }

    /// Fails unless the answer is the one that all servers are to give.
    pub(super) fn check(&self) -> io::Result<()> {
        let (status, answer) = ask(self.process.address(), self.path)?;
        if status != "HTTP/1.1 200 OK" || answer != self.resource.body() {
            let problem = format!("{} answers {status:?}, {} bytes", self.name, answer.len());
            return Err(io::Error::other(problem));
        }
        Ok(())
    }

    /// Asks for so long, and nothing counts.
    pub(super) fn warm_up(&self, program: &Path, time: Duration) -> io::Result<()> {
        self.connect(program)?.run(Until::Elapsed(time)).map(drop)
    }

    /// A generator of our own.
    fn connect(&self, program: &Path) -> io::Result<LoadProcess> {
        let (address, what) = (self.process.address(), self.resource.name());
        LoadProcess::start_http(program, address, self.path, what)
    }

    /// Lets a generator ask for so long. `program` is our own.
    pub(super) fn measure(
        &mut self,
        generator: Generator,
        program: &Path,
        time: Duration,
    ) -> io::Result<()> {
        match generator {
            Generator::Wrk => self.measure_wrk(generator, Place::SecondCore, time),
            Generator::WrkOnBothCores => self.measure_wrk(generator, Place::BothCores, time),
            Generator::Own => self.measure_own(program, time),
        }
    }

    fn measure_wrk(
        &mut self,
        generator: Generator,
        place: Place,
        time: Duration,
    ) -> io::Result<()> {
        let before = self.process.cpu_times()?;
        let slice = wrk::run(self.process.address(), self.path, place, time.as_secs())?;
        let used = self.process.cpu_times()?.since(&before);
        let requests = slice.requests as f64;
        let percent =
            |cpu: Duration| 100.0 * cpu.as_secs_f64() * slice.requests_per_second / requests;
        for (metric, figure) in [
            (Metric::RequestsPerSecond, slice.requests_per_second),
            (Metric::CpuMicros, used.as_secs_f64() * 1e6 / requests),
            (Metric::P99Micros, slice.p99.as_secs_f64() * 1e6),
            (Metric::ServerBusyPercent, percent(used)),
            (Metric::LoadBusyPercent, percent(slice.cpu)),
        ] {
            self.under_mut(generator).push(metric, figure);
        }
        Ok(())
    }

    /// The generator connects anew each time, as wrk does. A tenth of the time does not count.
    fn measure_own(&mut self, program: &Path, time: Duration) -> io::Result<()> {
        let mut load = self.connect(program)?;
        let sample = || self.process.cpu_times();
        let used = |before: &CpuTimes, after: &CpuTimes| after.since(before);
        let (outcome, used) = load.look(time / 10, time, sample, used)?;
        self.under_mut(Generator::Own).push_slice(&outcome, used);
        Ok(())
    }
}
