//! The bounds that oneloop has to keep, and whether it does.
//!
//! A goal is a figure of one run: a ratio of medians, or a median itself. Where leases are judged,
//! connections with their own buffers are told beside them.

use oneloop_benches::contest::Metric;
use oneloop_benches::kind::Kind;
use oneloop_benches::report::Table;
use oneloop_benches::servers::Server;

use crate::cells::{BUSY_POLL, MEMORY, OWN_BUFFERS, PIPELINED, TWO_LOOPS_100, TWO_LOOPS_5000};
use crate::results::{Measured, Results};

#[derive(Debug, Clone)]
struct Goal {
    cell: &'static str,
    ours: Server,
    metric: Metric,
    over: Over,
    bound: Bound,
}

/// What a median is put over.
#[derive(Debug, Clone, Copy)]
enum Over {
    /// The best of these servers.
    Servers(&'static [Server]),
    /// The best server of these kinds.
    Kinds(&'static [Kind]),
    /// Another metric of the same server.
    Metric(Metric),
    /// Nothing: it is the figure.
    One,
}

#[derive(Debug, Clone, Copy)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
    Below(f64),
}

impl Bound {
    fn is_kept(self, figure: f64) -> bool {
        match self {
            Self::AtMost(bound) => figure <= bound,
            Self::AtLeast(bound) => figure >= bound,
            Self::Below(bound) => figure < bound,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtMost(bound) => format!("at most {bound}"),
            Self::AtLeast(bound) => format!("at least {bound}"),
            Self::Below(bound) => format!("below {bound}"),
        }
    }
}

/// What became of a goal.
#[derive(Debug, PartialEq)]
struct Reached {
    figure: f64,
    /// Whose figure ours was put over.
    over: String,
}

impl Goal {
    /// Nothing if it was not measured.
    fn reached(&self, results: &Results, ours: Server) -> Option<Reached> {
        let measured = results.cell(self.cell)?;
        let figure = measured.median(ours, self.metric)?;
        let (over, base) = self.base(measured, ours)?;
        let figure = figure / base;
        Some(Reached { figure, over })
    }

    fn base(&self, measured: &Measured, ours: Server) -> Option<(String, f64)> {
        let best = |is_meant: &dyn Fn(Server) -> bool| {
            let (server, figure) = measured.best(self.metric, is_meant)?;
            Some((server.name().to_owned(), figure))
        };
        match self.over {
            Over::Servers(servers) => best(&|server| servers.contains(&server)),
            Over::Kinds(kinds) => best(&|server| kinds.contains(&Kind::of(server))),
            Over::Metric(metric) => {
                let base = measured.median(ours, metric)?;
                Some((format!("its {}", metric.name()), base))
            }
            Over::One => Some((String::new(), 1.0)),
        }
    }

    /// What is put over what.
    fn text(&self) -> String {
        let ours = format!("{}, {}", self.metric.name(), self.ours.name());
        match self.over {
            Over::Servers(servers) => {
                let names: Vec<_> = servers.iter().map(|server| server.name()).collect();
                format!("{ours} / {}", names.join(" or "))
            }
            Over::Kinds(kinds) => {
                let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
                format!("{ours} / best {}", names.join(" or "))
            }
            Over::Metric(metric) => format!("{ours} / its {}", metric.name()),
            Over::One => ours,
        }
    }
}

/// The goals of the cells that were measured, with the figures reached.
pub(crate) fn table(results: &Results) -> Table {
    let mut table = Table::with_words(
        4,
        &[
            "goal",
            "cell",
            "against",
            "bound",
            "reached",
            "own buffers",
            "kept",
        ],
    );
    for goal in goals() {
        if results.cell(goal.cell).is_none() {
            continue;
        }
        let reached = goal.reached(results, goal.ours);
        let own = match goal.ours {
            Server::OneloopLeases => goal.reached(results, Server::Oneloop),
            _ => None,
        };
        let figure = |reached: &Reached| match goal.over {
            Over::One => format!("{:.1}", reached.figure),
            _ => format!("{:.3}", reached.figure),
        };
        let kept = reached.as_ref().map_or("not measured", |reached| {
            match goal.bound.is_kept(reached.figure) {
                true => "yes",
                false => "no",
            }
        });
        table.row(&[
            goal.text(),
            goal.cell.to_owned(),
            reached
                .as_ref()
                .map_or_else(String::new, |it| it.over.clone()),
            goal.bound.text(),
            reached.as_ref().map_or_else(String::new, figure),
            own.as_ref().map_or_else(String::new, figure),
            kept.to_owned(),
        ]);
    }
    table
}

/// How many are kept, how many are not, and how many were not measured.
pub(crate) fn counts(results: &Results) -> [usize; 3] {
    let mut counts = [0; 3];
    for goal in goals() {
        let reached = goal.reached(results, goal.ours);
        let place = reached.map_or(2, |it| usize::from(!goal.bound.is_kept(it.figure)));
        counts[place] += 1;
    }
    counts
}

/// The table of the bounds.
fn goals() -> Vec<Goal> {
    use Bound::{AtLeast, AtMost, Below};
    use Metric::{BytesEach, CpuMicros, P50Micros, P99Micros, RequestsPerSecond};
    use Server::{Limit, Oneloop, OneloopBusyPoll, OneloopLeases, TokioCurrent, TokioMulti};

    let goal = |cell, ours, metric, over, bound| Goal {
        cell,
        ours,
        metric,
        over,
        bound,
    };
    let leases = |cell, metric, over, bound| goal(cell, OneloopLeases, metric, over, bound);
    let in_every_cell = |metric, over, bound| {
        let cells = EVERY_CELL.iter();
        cells.map(move |cell| leases(cell, metric, over, bound))
    };
    let limit = Over::Servers(&[Limit]);
    let (current, multi) = (Over::Servers(&[TokioCurrent]), Over::Servers(&[TokioMulti]));
    let tokio = Over::Servers(&[TokioCurrent, TokioMulti]);
    let peers = Over::Kinds(&[Kind::Epoll, Kind::Uring]);

    let mut goals = vec![
        leases("64 B x 100", CpuMicros, limit, AtMost(1.03)),
        leases("64 B x 1000", CpuMicros, limit, AtMost(1.05)),
        leases("64 B x 5000", CpuMicros, limit, AtMost(1.05)),
        leases("16 KiB x 100", CpuMicros, limit, AtMost(1.05)),
        leases("64 KiB x 100", CpuMicros, limit, AtMost(1.05)),
        leases("64 KiB x 1000", CpuMicros, limit, AtMost(1.05)),
        goal(OWN_BUFFERS, Oneloop, CpuMicros, limit, AtMost(1.08)),
        leases("64 B x 5000", CpuMicros, multi, AtMost(0.88)),
        leases("64 B x 5000", CpuMicros, current, AtMost(0.78)),
        leases("64 KiB x 100", CpuMicros, tokio, AtMost(0.95)),
        leases("64 KiB x 1000", CpuMicros, tokio, AtMost(0.8)),
    ];
    goals.extend(in_every_cell(
        CpuMicros,
        Over::Kinds(&[Kind::Epoll]),
        AtMost(1.02),
    ));
    goals.extend(in_every_cell(
        CpuMicros,
        Over::Kinds(&[Kind::Uring]),
        AtMost(1.06),
    ));
    goals.extend(in_every_cell(P99Micros, peers, AtMost(1.05)));
    goals.extend([
        leases(
            "64 B x 1000",
            P99Micros,
            Over::Metric(P50Micros),
            AtMost(1.6),
        ),
        goal(BUSY_POLL, OneloopBusyPoll, P50Micros, peers, AtMost(0.45)),
        goal(
            TWO_LOOPS_100,
            Oneloop,
            RequestsPerSecond,
            multi,
            AtLeast(0.95),
        ),
        goal(TWO_LOOPS_100, Oneloop, P99Micros, multi, Below(1.0)),
        goal(
            TWO_LOOPS_5000,
            Oneloop,
            RequestsPerSecond,
            multi,
            AtLeast(1.05),
        ),
        goal(TWO_LOOPS_5000, Oneloop, P99Micros, multi, Below(1.0)),
        goal(MEMORY, Oneloop, BytesEach, Over::One, AtMost(450.0)),
        goal(MEMORY, OneloopLeases, BytesEach, Over::One, AtMost(512.0)),
    ]);
    goals
}

const EVERY_CELL: [&str; 11] = [
    "64 B x 1",
    "64 B x 10",
    "64 B x 100",
    "64 B x 1000",
    "64 B x 5000",
    "1 KiB x 1000",
    "4 KiB x 100",
    "16 KiB x 100",
    "64 KiB x 100",
    "64 KiB x 1000",
    PIPELINED,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells;
    use crate::results::made_up;

    /// The rows of goals that were measured.
    fn rows(results: &Results) -> Vec<String> {
        let table = table(results);
        let rows = table.as_str().lines().skip(2);
        let measured = rows.filter(|row| !row.contains("not measured"));
        measured.map(str::to_owned).collect()
    }

    #[test]
    fn every_goal_can_be_measured() {
        let cells = cells::all(false);
        for goal in goals() {
            let cell = cells.iter().find(|cell| cell.name == goal.cell);
            let servers = cell.expect(goal.cell).part.servers();
            assert!(servers.contains(&goal.ours), "{}", goal.text());
            if let Over::Servers(others) = goal.over {
                assert!(others.iter().all(|other| servers.contains(other)));
            }
        }
        assert_eq!(goals().len(), 11 + 3 * EVERY_CELL.len() + 8);
        assert_eq!(counts(&Results::default()), [0, 0, goals().len()]);
    }

    #[test]
    fn cpu_is_put_over_the_limit_and_the_best_peer() {
        let results = made_up(
            "64 B x 100",
            &[
                (Server::OneloopLeases, Metric::CpuMicros, 3.09),
                (Server::Oneloop, Metric::CpuMicros, 3.2),
                (Server::Limit, Metric::CpuMicros, 3.0),
                (Server::TokioCurrent, Metric::CpuMicros, 3.2),
                (Server::TokioMulti, Metric::CpuMicros, 3.0),
                (Server::Smol, Metric::CpuMicros, 6.0),
            ],
        );
        assert_eq!(
            rows(&results),
            [
                "| CPU us/request, oneloop leases / epoll by hand | 64 B x 100 | epoll by hand | \
                 at most 1.03 | 1.030 | 1.067 | yes |",
                "| CPU us/request, oneloop leases / best epoll peer | 64 B x 100 | tokio \
                 multi_thread | at most 1.02 | 1.030 | 1.067 | no |",
            ]
        );
        assert_eq!(counts(&results)[..2], [1, 1]);
    }

    #[test]
    fn throughput_has_to_be_reached_and_p99_to_be_lower() {
        let figures = |throughput, p99| {
            made_up(
                TWO_LOOPS_5000,
                &[
                    (Server::Oneloop, Metric::RequestsPerSecond, throughput),
                    (Server::TokioMulti, Metric::RequestsPerSecond, 100.0),
                    (Server::Oneloop, Metric::P99Micros, p99),
                    (Server::TokioMulti, Metric::P99Micros, 10.0),
                ],
            )
        };
        assert_eq!(counts(&figures(105.0, 9.9))[..2], [2, 0]);
        assert_eq!(counts(&figures(104.0, 10.0))[..2], [0, 2]);
    }

    #[test]
    fn a_tail_is_put_over_the_median_and_memory_stands_alone() {
        let tail = made_up(
            "64 B x 1000",
            &[
                (Server::OneloopLeases, Metric::P50Micros, 10.0),
                (Server::OneloopLeases, Metric::P99Micros, 16.0),
            ],
        );
        assert_eq!(counts(&tail)[..2], [1, 0]);
        let memory = made_up(MEMORY, &[(Server::Oneloop, Metric::BytesEach, 450.4)]);
        assert_eq!(
            rows(&memory),
            ["| bytes/connection, oneloop | idle connections |  | at most 450 | 450.4 |  | no |"]
        );
    }
}
