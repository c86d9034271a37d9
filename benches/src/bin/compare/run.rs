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

use crate::cells::{Cell, Part};
use crate::options::Options;
use crate::results::{Measured, Results};

/// Adds a cell to the results. A server that cannot be measured there is skipped.
pub(crate) fn measure(program: &Path, cell: Cell, options: &Options, results: &mut Results) {
    let servers = cell.part.servers().into_iter();
    let mut rows: Vec<(Server, Figures)> = Vec::new();
    for server in servers.filter(|&server| options.wants(server)) {
        match server.missing() {
            Some(reason) => results.skip(format!("{}: {reason}", server.name())),
            None => rows.push((server, Figures::default())),
        }
    }
    for _ in 0..cell.rounds(options.rounds) {
        match cell.part {
            Part::Memory => idle_round(program, &cell, &mut rows, results),
            _ => round(program, &cell, options.is_quick, &mut rows, results),
        }
    }
    if !rows.is_empty() {
        results.cells.push(Measured { cell, rows });
    }
}

/// One round: starts all, lets them take turns, and looks at their memory.
fn round(
    program: &Path,
    cell: &Cell,
    is_quick: bool,
    rows: &mut Vec<(Server, Figures)>,
    results: &mut Results,
) {
    let mut contests = Vec::new();
    keep(rows, cell, results, |server, _| {
        contests.push(Contest::start(
            program,
            server,
            &cell.serve_options(),
            cell.shape,
            cell.part.cores(),
            cell.slice(is_quick),
        )?);
        Ok(())
    });
    for _ in 0..cell.slices(is_quick) {
        let mut turns = Vec::new();
        let mut waiting = contests.into_iter();
        keep(rows, cell, results, |_, figures| {
            let mut contest: Contest = waiting.next().expect("one for each row");
            contest.slice(figures)?;
            turns.push(contest);
            Ok(())
        });
        contests = turns;
    }
    let mut waiting = contests.into_iter();
    keep(rows, cell, results, |_, figures| {
        waiting.next().expect("one for each row").end(figures)
    });
}

/// One round of idle connections, each server alone.
fn idle_round(
    program: &Path,
    cell: &Cell,
    rows: &mut Vec<(Server, Figures)>,
    results: &mut Results,
) {
    keep(rows, cell, results, |server, figures| {
        let bytes = idle_bytes(program, server, cell)?;
        figures.push(Metric::BytesEach, bytes);
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

/// Does something with each row; the rows where it fails are taken out, with a line that says so.
fn keep(
    rows: &mut Vec<(Server, Figures)>,
    cell: &Cell,
    results: &mut Results,
    mut act: impl FnMut(Server, &mut Figures) -> io::Result<()>,
) {
    rows.retain_mut(|(server, figures)| match act(*server, figures) {
        Ok(()) => true,
        Err(error) => {
            results.skip(format!("{} at {}: {error}", server.name(), cell.name));
            false
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells;

    #[test]
    fn a_server_that_fails_is_skipped_with_the_reason() {
        let cell = cells::all(false).swap_remove(0);
        let mut rows = vec![
            (Server::Oneloop, Figures::default()),
            (Server::Smol, Figures::default()),
        ];
        let mut results = Results::default();
        keep(&mut rows, &cell, &mut results, |server, _| match server {
            Server::Smol => Err(io::Error::other("refused")),
            _ => Ok(()),
        });
        assert_eq!(rows.len(), 1);
        assert_eq!(results.skipped, ["smol at 64 B x 1: refused"]);
    }
}
