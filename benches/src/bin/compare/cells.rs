//! What is measured: each cell is one load on a list of servers.

use std::time::Duration;

use oneloop_benches::child::Cores;
use oneloop_benches::kind::contenders;
use oneloop_benches::load::Shape;
use oneloop_benches::servers::{ServeOptions, Server};

/// A part of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Message sizes and numbers of connections.
    Echo,
    /// Small buffers of the connections' own, and large ones that a message just fits in.
    OwnBuffers,
    /// A loop that spins before it sleeps, beside servers that sleep.
    BusyPoll,
    /// Two loops and the load generator on two cores.
    TwoLoops,
    /// More numbers of connections, for the plots.
    Scaling,
    /// Memory of idle connections.
    Memory,
}

impl Part {
    pub(crate) const ALL: [Self; 6] = [
        Self::Echo,
        Self::OwnBuffers,
        Self::BusyPoll,
        Self::TwoLoops,
        Self::Scaling,
        Self::Memory,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::OwnBuffers => "own buffers",
            Self::BusyPoll => "busy_poll",
            Self::TwoLoops => "two loops",
            Self::Scaling => "scaling",
            Self::Memory => "memory",
        }
    }

    pub(crate) fn servers(self) -> Vec<Server> {
        let all = contenders();
        match self {
            Self::BusyPoll => [Server::OneloopBusyPoll].into_iter().chain(all).collect(),
            Self::TwoLoops => all.filter(|server| server.scales()).collect(),
            Self::Echo | Self::OwnBuffers | Self::Scaling | Self::Memory => all.collect(),
        }
    }

    /// Loops of each server.
    pub(crate) fn loops(self) -> usize {
        if self == Self::TwoLoops { 2 } else { 1 }
    }

    /// The form of oneloop whose figures are put over the others'.
    pub(crate) fn ours(self) -> Server {
        match self {
            Self::Echo | Self::Scaling => Server::OneloopLeases,
            Self::OwnBuffers | Self::TwoLoops | Self::Memory => Server::Oneloop,
            Self::BusyPoll => Server::OneloopBusyPoll,
        }
    }

    pub(crate) fn cores(self) -> Cores {
        match self {
            Self::TwoLoops => Cores::Shared,
            _ => Cores::Apart,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Cell {
    pub(crate) name: String,
    pub(crate) part: Part,
    pub(crate) shape: Shape,
    /// Of each connection, where a server has such.
    pub(crate) buffer_bytes: usize,
}

impl Cell {
    fn new(part: Part, message_bytes: usize, connections: usize) -> Self {
        Self {
            name: format!("{} x {connections}", size(message_bytes)),
            part,
            shape: Shape {
                connections,
                message_bytes,
                depth: 1,
            },
            // A message fits with room to spare: a read that fills its buffer is followed by another
            // one that finds nothing, and leases are larger than the message, too.
            buffer_bytes: (message_bytes + SPARE_BYTES).max(4096),
        }
    }

    fn called(self, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..self
        }
    }

    /// The run-in, long enough that the burst of the begin is forgotten, and the slice, in which each
    /// connection has several turns.
    pub(crate) fn times(&self, is_quick: bool) -> [Duration; 2] {
        if is_quick {
            return [QUICK_SLICE / 10, QUICK_SLICE];
        }
        let connections = self.shape.connections as u32;
        let run_in = RUN_IN + RUN_IN_PER_CONNECTION * connections;
        let slice = SLICE + SLICE_PER_CONNECTION * connections;
        [run_in.min(RUN_IN_MAX), slice]
    }

    pub(crate) fn slices(&self, is_quick: bool) -> usize {
        match self.part {
            _ if is_quick => 1,
            Part::Scaling => 2,
            _ => 3,
        }
    }

    pub(crate) fn rounds(&self, rounds: usize) -> usize {
        match self.part {
            Part::Scaling | Part::Memory => rounds.min(ROUNDS_OF_PLOTS),
            _ => rounds,
        }
    }

    pub(crate) fn serve_options(&self) -> ServeOptions {
        ServeOptions {
            buffer_bytes: self.buffer_bytes,
            loops: self.part.loops(),
        }
    }

    /// Whether it is a point of the plots against connections.
    pub(crate) fn is_of_scaling(&self) -> bool {
        let is_part = matches!(self.part, Part::Echo | Part::Scaling);
        is_part && self.shape.message_bytes == SMALL && self.shape.depth == 1
    }

    /// Files that one process has open at once.
    pub(crate) fn descriptors(&self) -> usize {
        self.shape.connections + DESCRIPTORS_BESIDE
    }
}

/// All cells, in the order of the report.
pub(crate) fn all(is_quick: bool) -> Vec<Cell> {
    let mut cells: Vec<Cell> = ECHO
        .iter()
        .map(|&(bytes, connections)| Cell::new(Part::Echo, bytes, connections))
        .collect();
    let mut pipelined = Cell::new(Part::Echo, SMALL, 10).called(PIPELINED);
    pipelined.shape.depth = 16;
    let mut own_buffers = Cell::new(Part::OwnBuffers, SMALL, 5000).called(OWN_BUFFERS);
    own_buffers.buffer_bytes = OWN_BUFFER_BYTES;
    let mut exact = Cell::new(Part::OwnBuffers, 64 * KIB, 1000).called(EXACT_BUFFERS);
    exact.buffer_bytes = exact.shape.message_bytes;
    cells.extend([
        pipelined,
        own_buffers,
        exact,
        Cell::new(Part::BusyPoll, SMALL, 1).called(BUSY_POLL),
        Cell::new(Part::TwoLoops, SMALL, 100).called(TWO_LOOPS_100),
        Cell::new(Part::TwoLoops, SMALL, 5000).called(TWO_LOOPS_5000),
    ]);
    let scaling = SCALING.into_iter();
    let scaling = scaling.filter(|&count| !is_quick || count <= QUICK_CONNECTIONS);
    cells.extend(scaling.map(|count| Cell::new(Part::Scaling, SMALL, count)));
    let idle = if is_quick { QUICK_CONNECTIONS } else { IDLE };
    let mut memory = Cell::new(Part::Memory, SMALL, idle).called(MEMORY);
    memory.buffer_bytes = OWN_BUFFER_BYTES;
    cells.push(memory);
    cells
}

/// Bytes in words.
pub(crate) fn size(bytes: usize) -> String {
    match bytes % 1024 {
        0 if bytes > 0 => format!("{} KiB", bytes / 1024),
        _ => format!("{bytes} B"),
    }
}

pub(crate) const PIPELINED: &str = "64 B x 10 by 16";
pub(crate) const OWN_BUFFERS: &str = "64 B x 5000 own 2 KiB";
/// A read fills the buffer, so that another one follows and finds nothing.
pub(crate) const EXACT_BUFFERS: &str = "64 KiB x 1000 own 64 KiB";
pub(crate) const BUSY_POLL: &str = "64 B x 1 busy_poll";
pub(crate) const TWO_LOOPS_100: &str = "two loops x 100";
pub(crate) const TWO_LOOPS_5000: &str = "two loops x 5000";
pub(crate) const MEMORY: &str = "idle connections";

const SMALL: usize = 64;
const KIB: usize = 1024;
const ECHO: [(usize, usize); 10] = [
    (SMALL, 1),
    (SMALL, 10),
    (SMALL, 100),
    (SMALL, 1000),
    (SMALL, 5000),
    (KIB, 1000),
    (4 * KIB, 100),
    (16 * KIB, 100),
    (64 * KIB, 100),
    (64 * KIB, 1000),
];
/// Beside those of [`ECHO`].
const SCALING: [usize; 5] = [30, 300, 2000, 10_000, 15_000];
const IDLE: usize = 10_000;
const SPARE_BYTES: usize = 64;
const OWN_BUFFER_BYTES: usize = 2 * KIB;
const RUN_IN: Duration = Duration::from_millis(30);
/// Ten turns of 64 KiB, at 30 us each.
const RUN_IN_PER_CONNECTION: Duration = Duration::from_micros(300);
const RUN_IN_MAX: Duration = Duration::from_secs(1);
const SLICE: Duration = Duration::from_millis(150);
const SLICE_PER_CONNECTION: Duration = Duration::from_micros(60);
/// Of what no ratio is told of.
const ROUNDS_OF_PLOTS: usize = 2;
const QUICK_SLICE: Duration = Duration::from_millis(20);
const QUICK_CONNECTIONS: usize = 1000;
/// Pipes, listeners, what a runtime has.
const DESCRIPTORS_BESIDE: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cell_has_its_own_name() {
        for is_quick in [true, false] {
            let mut names: Vec<_> = all(is_quick).into_iter().map(|cell| cell.name).collect();
            let count = names.len();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), count);
        }
    }

    #[test]
    fn ours_takes_part() {
        for part in Part::ALL {
            assert!(part.servers().contains(&part.ours()), "{part:?}");
        }
    }

    #[test]
    fn sizes_in_words() {
        assert_eq!(size(64), "64 B");
        assert_eq!(size(1024), "1 KiB");
        assert_eq!(size(1100), "1100 B");
        assert_eq!(size(64 << 10), "64 KiB");
    }
}
