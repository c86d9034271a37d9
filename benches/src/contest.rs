//! One server and the load on it: what a slice of time says about them.
//!
//! ```text
//!   start --> warm up --> slice --> (other contests) --> slice --> ... --> memory
//! ```

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::child::{Cores, LoadProcess, ServerProcess};
use crate::load::{Outcome, Shape, Until};
use crate::report::Samples;
use crate::servers::{ServeOptions, Server};

/// What is measured of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Requests that were answered in a second.
    RequestsPerSecond,
    /// Processor time of the server for a request, user and system.
    CpuMicros,
    /// The latency that half of the requests exceed.
    P50Micros,
    /// The latency that one request in a hundred exceeds.
    P99Micros,
    /// The latency that one request in a thousand exceeds.
    P999Micros,
    /// Processor time of the server in percent of the time.
    ServerBusyPercent,
    /// Processor time of the load generator in percent of the time.
    LoadBusyPercent,
    /// What the server's anonymous memory has grown by for each connection.
    BytesEach,
}

impl Metric {
    /// All, in the order of their declaration.
    pub const ALL: [Self; 8] = [
        Self::RequestsPerSecond,
        Self::CpuMicros,
        Self::P50Micros,
        Self::P99Micros,
        Self::P999Micros,
        Self::ServerBusyPercent,
        Self::LoadBusyPercent,
        Self::BytesEach,
    ];

    /// The name in tables, with its unit.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RequestsPerSecond => "requests/s",
            Self::CpuMicros => "CPU us/request",
            Self::P50Micros => "p50 us",
            Self::P99Micros => "p99 us",
            Self::P999Micros => "p99.9 us",
            Self::ServerBusyPercent => "server busy %",
            Self::LoadBusyPercent => "load busy %",
            Self::BytesEach => "bytes/connection",
        }
    }

    /// Whether a smaller figure is the better one.
    #[must_use]
    pub fn is_cost(self) -> bool {
        self != Self::RequestsPerSecond
    }
}

/// What was measured of one server: samples for each metric.
#[derive(Debug, Clone, Default)]
pub struct Figures([Samples; Metric::ALL.len()]);

impl Figures {
    /// The samples of a metric.
    #[must_use]
    pub fn of(&self, metric: Metric) -> &Samples {
        &self.0[metric as usize]
    }

    /// Adds a sample.
    pub fn push(&mut self, metric: Metric, figure: f64) {
        self.0[metric as usize].push(figure);
    }

    /// Adds what the load generator found in a slice in which the server has used `cpu`.
    pub fn push_slice(&mut self, outcome: &Outcome, cpu: Duration) {
        let (requests, elapsed) = (outcome.requests as f64, outcome.elapsed.as_secs_f64());
        let micros = |duration: Duration| duration.as_secs_f64() * 1e6;
        let busy_percent = |cpu: Duration| 100.0 * cpu.as_secs_f64() / elapsed;
        for (metric, figure) in [
            (Metric::RequestsPerSecond, requests / elapsed),
            (Metric::CpuMicros, micros(cpu) / requests),
            (Metric::P50Micros, micros(outcome.p50)),
            (Metric::P99Micros, micros(outcome.p99)),
            (Metric::P999Micros, micros(outcome.p999)),
            (Metric::ServerBusyPercent, busy_percent(cpu)),
            (Metric::LoadBusyPercent, busy_percent(outcome.cpu)),
        ] {
            self.push(metric, figure);
        }
    }

    /// The median, if there are samples.
    #[must_use]
    pub fn median(&self, metric: Metric) -> Option<f64> {
        let median = self.of(metric).median();
        median.is_finite().then_some(median)
    }
}

/// A server and the load on it. Both sleep between slices.
#[derive(Debug)]
pub struct Contest {
    server: ServerProcess,
    load: LoadProcess,
    shape: Shape,
    /// The server's memory before the first connection.
    bytes_before: u64,
    /// How long the load takes until it is steady.
    run_in: Duration,
    slice: Duration,
}

impl Contest {
    /// Starts both, connects, and lets them run for as long as a slice.
    /// Each slice begins after a run-in.
    ///
    /// # Errors
    ///
    /// The server does not start or does not serve.
    pub fn start(
        program: &Path,
        server: Server,
        options: &ServeOptions,
        shape: Shape,
        cores: Cores,
        [run_in, slice]: [Duration; 2],
    ) -> io::Result<Self> {
        let server = ServerProcess::start(program, server, options, cores)?;
        let bytes_before = server.resident_bytes()?;
        let load = LoadProcess::start(program, server.address(), shape, cores)?;
        let mut this = Self {
            server,
            load,
            shape,
            bytes_before,
            run_in,
            slice,
        };
        this.load.run(Until::Elapsed(slice))?;
        Ok(this)
    }

    /// Runs for a slice, which begins after the run-in.
    ///
    /// # Errors
    ///
    /// The server or the load generator has failed.
    pub fn slice(&mut self, figures: &mut Figures) -> io::Result<()> {
        let Self { server, load, .. } = self;
        let sample = || server.cpu_time();
        let used = |before: &Duration, after: &Duration| *after - *before;
        let (outcome, cpu) = load.look(self.run_in, self.slice, sample, used)?;
        figures.push_slice(&outcome, cpu);
        Ok(())
    }

    /// Looks at the server's memory, and ends both.
    ///
    /// # Errors
    ///
    /// The server has ended.
    pub fn end(self, figures: &mut Figures) -> io::Result<()> {
        let grown = self
            .server
            .resident_bytes()?
            .saturating_sub(self.bytes_before);
        figures.push(
            Metric::BytesEach,
            grown as f64 / self.shape.connections as f64,
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_have_their_own_samples() {
        let mut figures = Figures::default();
        for (at, metric) in Metric::ALL.into_iter().enumerate() {
            assert_eq!(figures.median(metric), None);
            figures.push(metric, at as f64);
        }
        for (at, metric) in Metric::ALL.into_iter().enumerate() {
            assert_eq!(figures.median(metric), Some(at as f64));
        }
    }
}
