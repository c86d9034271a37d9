//! What was measured, and what was not.

use std::io;

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
    /// What this system does not have, each with the reason.
    pub(crate) skipped: Vec<String>,
    /// What was there and did not serve as it has to: it did not start, ended, was too slow, or sent
    /// other bytes back.
    pub(crate) failed: Vec<String>,
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

    /// Adds a failure, in one line.
    pub(crate) fn fail(&mut self, text: &str) {
        self.failed.push(text.replace('\n', " "));
    }

    /// All failures, those of HTTP too.
    pub(crate) fn failures(&self) -> impl Iterator<Item = &String> {
        self.failed.iter().chain(&self.http.failed)
    }

    /// An error if anything has failed: the figures of the others are good, but the run is not.
    pub(crate) fn verdict(&self) -> io::Result<()> {
        match self.failures().count() {
            0 => Ok(()),
            count => {
                let lines: Vec<_> = self.failures().map(String::as_str).collect();
                let lines = lines.join("; ");
                Err(io::Error::other(format!("{count} failed: {lines}")))
            }
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
    fn what_is_skipped_is_no_failure_and_what_fails_is() {
        let mut results = Results::default();
        results.skip("go: not installed".to_owned());
        results.http.skipped.push("http: no wrk".to_owned());
        results.verdict().unwrap();
        results.fail("smol:\ndied");
        results.http.failed.push("http: nginx: gone".to_owned());
        let verdict = results.verdict().unwrap_err().to_string();
        assert_eq!(verdict, "2 failed: smol: died; http: nginx: gone");
    }

    #[test]
    fn a_failure_of_http_alone_is_one() {
        let mut results = Results::default();
        results.http.failed.push("http: nginx: gone".to_owned());
        assert!(results.verdict().is_err());
    }

    #[test]
    fn what_is_skipped_is_told_once() {
        let mut results = Results::default();
        results.skip("a".to_owned());
        results.skip("a".to_owned());
        assert_eq!(results.skipped, ["a"]);
    }
}
