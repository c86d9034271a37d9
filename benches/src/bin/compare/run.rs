//! Measures cells: all servers of a cell take turns.
//!
//! # Why it is so
//! In a round all servers are started anew, because where a process lies in memory is worth some
//! percent. They take turns in slices: the machine's speed drifts within seconds, so what is
//! compared has to lie within less than that.

use std::io;
use std::path::Path;

use oneloop_benches::child::{Cores, ServerProcess};
use oneloop_benches::contest::{Contest, Figures, Metric};
use oneloop_benches::idle::{connect_idle, exchange};
use oneloop_benches::kind::has_own_buffers;
use oneloop_benches::load::{Load, Shape, Until};
use oneloop_benches::servers::Server;
use oneloop_benches::turns::take_turns;

use crate::cells::{Cell, Part};
use crate::options::Options;
use crate::results::{Measured, Results};

/// A server that takes part in the cell.
#[derive(Debug)]
struct Row {
    server: Server,
    figures: Figures,
    /// While a round lasts.
    contest: Option<Contest>,
}

impl Row {
    fn new(server: Server) -> Self {
        Self {
            server,
            figures: Figures::default(),
            contest: None,
        }
    }
}

/// Adds a cell to the results. A server that this system does not have is skipped; one that fails is
/// taken out, and its figures with it.
pub(crate) fn measure(program: &Path, cell: Cell, options: &Options, results: &mut Results) {
    let servers = cell.part.servers().into_iter();
    let mut rows = Vec::new();
    for server in servers.filter(|&server| options.wants(server)) {
        match server.missing() {
            Some(reason) => results.skip(format!("{}: {reason}", server.name())),
            None => rows.push(Row::new(server)),
        }
    }
    for at in 0..cell.rounds(options.rounds) {
        match cell.part {
            Part::Memory => idle_round(program, &cell, at, &mut rows, results),
            _ => round(program, &cell, options.is_quick, at, &mut rows, results),
        }
    }
    if !rows.is_empty() {
        let rows = rows.into_iter().map(|row| (row.server, row.figures));
        let rows = rows.collect();
        results.cells.push(Measured { cell, rows });
    }
}

/// One round: starts all, lets them take turns, and looks at their memory.
fn round(
    program: &Path,
    cell: &Cell,
    is_quick: bool,
    at: usize,
    rows: &mut Vec<Row>,
    results: &mut Results,
) {
    keep(rows, at, cell, results, |row| {
        row.contest = Some(Contest::start(
            program,
            row.server,
            &cell.serve_options(),
            cell.shape,
            cell.part.cores(),
            cell.times(is_quick),
        )?);
        Ok(())
    });
    let slices = cell.slices(is_quick);
    for slice in 0..slices {
        keep(rows, at * slices + slice, cell, results, |row| {
            let contest = row.contest.as_mut().expect(STARTED);
            contest.slice(&mut row.figures)
        });
    }
    keep(rows, at, cell, results, |row| {
        let contest = row.contest.take().expect(STARTED);
        contest.end(&mut row.figures)
    });
}

/// One round of idle connections, each server alone.
fn idle_round(program: &Path, cell: &Cell, at: usize, rows: &mut Vec<Row>, results: &mut Results) {
    keep(rows, at, cell, results, |row| {
        let bytes = idle_bytes(program, row.server, cell)?;
        row.figures.push(Metric::BytesEach, bytes);
        Ok(())
    });
}

/// What an idle connection costs, beside its buffer.
fn idle_bytes(program: &Path, server: Server, cell: &Cell) -> io::Result<f64> {
    let process = ServerProcess::start(program, server, &cell.serve_options(), Cores::Apart)?;
    let warm_up = Shape {
        connections: 100,
        ..cell.shape
    };
    Load::connect(process.address(), warm_up)?.run(Until::Requests(1000))?;
    let before = process.resident_bytes()?;
    let mut idle = connect_idle(process.address(), cell.shape.connections)?;
    let grown = process.resident_bytes()?.saturating_sub(before);
    // All of them are still served.
    idle.iter_mut().try_for_each(exchange)?;
    let buffer_bytes = match has_own_buffers(server) {
        true => cell.buffer_bytes as f64,
        false => 0.0,
    };
    Ok(grown as f64 / cell.shape.connections as f64 - buffer_bytes)
}

/// Does something with each row, in the order of the turn; the rows where it fails are taken out,
/// with a line that says so.
fn keep(
    rows: &mut Vec<Row>,
    turn: usize,
    cell: &Cell,
    results: &mut Results,
    act: impl FnMut(&mut Row) -> io::Result<()>,
) {
    take_turns(rows, turn, act, |row, error| {
        results.fail(&format!("{} at {}: {error}", row.server.name(), cell.name));
    });
}

const STARTED: &str = "rows that did not start are out";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells;

    #[test]
    fn a_server_that_fails_is_out_and_has_failed_with_the_reason() {
        let cell = cells::all(false).swap_remove(0);
        let mut rows = vec![Row::new(Server::Oneloop), Row::new(Server::Smol)];
        let mut results = Results::default();
        keep(&mut rows, 0, &cell, &mut results, |row| match row.server {
            Server::Smol => Err(io::Error::other("refused")),
            _ => Ok(()),
        });
        assert_eq!(rows.len(), 1);
        assert_eq!(results.failed, ["smol at 64 B x 1: refused"]);
        assert!(results.skipped.is_empty());
    }

    #[test]
    fn a_program_that_is_no_server_fails_in_each_row() {
        let cell = cells::all(true).swap_remove(0);
        let arguments = ["--quick", "--servers", "oneloop,epoll by hand"].map(str::to_owned);
        let Ok(crate::options::Asked::Measure(options)) = Options::parse(&arguments) else {
            panic!("it is a measurement");
        };
        let mut results = Results::default();
        measure(Path::new("/bin/true"), cell, &options, &mut results);
        assert_eq!(results.failed.len(), 2, "{:?}", results.failed);
        assert!(results.cells.is_empty());
        assert!(results.verdict().is_err());
    }
}
