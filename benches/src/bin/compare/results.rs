//! What was measured, and what was not.

use oneloop_benches::contest::{Figures, Metric};
use oneloop_benches::http;
use oneloop_benches::servers::Server;

use crate::cells::Cell;

/// One cell and the servers that took part, in the order of the tables.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) cell: Cell,
    pub(crate) rows: Vec<(Server, Figures)>,
}

impl Measured {
    pub(crate) fn figures(&self, server: Server) -> Option<&Figures> {
        let row = self.rows.iter().find(|(other, _)| *other == server);
        row.map(|(_, figures)| figures)
    }

    pub(crate) fn median(&self, server: Server, metric: Metric) -> Option<f64> {
        self.figures(server)?.median(metric)
    }

    /// The best median of these servers, and whose it is.
    pub(crate) fn best(
        &self,
        metric: Metric,
        is_meant: impl Fn(Server) -> bool,
    ) -> Option<(Server, f64)> {
        let meant = self.rows.iter().filter(|(server, _)| is_meant(*server));
        let medians =
            meant.filter_map(|(server, figures)| Some((*server, figures.median(metric)?)));
        medians.min_by(|(_, one), (_, other)| match metric.is_cost() {
            true => one.total_cmp(other),
            false => other.total_cmp(one),
        })
    }
}

#[derive(Debug, Default)]
pub(crate) struct Results {
    pub(crate) cells: Vec<Measured>,
    /// Servers and cells that could not be measured, each with the reason.
    pub(crate) skipped: Vec<String>,
    pub(crate) http: http::Report,
}

impl Results {
    pub(crate) fn cell(&self, name: &str) -> Option<&Measured> {
        self.cells
            .iter()
            .find(|measured| measured.cell.name == name)
    }

    pub(crate) fn skip(&mut self, line: String) {
        if !self.skipped.contains(&line) {
            self.skipped.push(line);
        }
    }
}

/// Results as if they had been measured.
#[cfg(test)]
pub(crate) fn made_up(cell: &str, figures: &[(Server, Metric, f64)]) -> Results {
    let cell = crate::cells::all(false)
        .into_iter()
        .find(|other| other.name == cell)
        .expect("it is a cell");
    let mut rows: Vec<(Server, Figures)> = Vec::new();
    for &(server, metric, figure) in figures {
        let at = rows.iter().position(|(other, _)| *other == server);
        let at = at.unwrap_or_else(|| {
            rows.push((server, Figures::default()));
            rows.len() - 1
        });
        rows[at].1.push(metric, figure);
    }
    Results {
        cells: vec![Measured { cell, rows }],
        ..Results::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_is_the_cheapest_or_the_fastest() {
        let results = made_up(
            "64 B x 1",
            &[
                (Server::Smol, Metric::CpuMicros, 2.0),
                (Server::Limit, Metric::CpuMicros, 1.0),
                (Server::Smol, Metric::RequestsPerSecond, 2.0),
                (Server::Limit, Metric::RequestsPerSecond, 1.0),
            ],
        );
        let measured = results.cell("64 B x 1").unwrap();
        let best = |metric| measured.best(metric, |_| true);
        assert_eq!(best(Metric::CpuMicros), Some((Server::Limit, 1.0)));
        assert_eq!(best(Metric::RequestsPerSecond), Some((Server::Smol, 2.0)));
        assert_eq!(best(Metric::P99Micros), None);
        let limited = measured.best(Metric::CpuMicros, |server| server != Server::Limit);
        assert_eq!(limited, Some((Server::Smol, 2.0)));
    }

    #[test]
    fn what_is_skipped_is_told_once() {
        let mut results = Results::default();
        results.skip("a".to_owned());
        results.skip("a".to_owned());
        assert_eq!(results.skipped, ["a"]);
    }
}
