//! The bounds that oneloop has to keep, and whether it does.
//!
//! A goal is a figure of one run: a ratio of medians, or a median itself. Where leases are judged,
//! connections with their own buffers are told beside them. A best one is told with the number of
//! those that it is the best of: it says little if most of them are missing.

use oneloop_benches::contest::Metric::{
    self, BytesEach, CpuMicros, P50Micros, P99Micros, RequestsPerSecond,
};
use oneloop_benches::kind::Kind;
use oneloop_benches::report::Table;
use oneloop_benches::servers::Server::{
    self, Limit, Oneloop, OneloopBusyPoll, OneloopLeases, TokioCurrent, TokioMulti,
};

use crate::cells::{
    BUSY_POLL, EXACT_BUFFERS, MEMORY, OWN_BUFFERS, PIPELINED, TWO_LOOPS_100, TWO_LOOPS_5000,
};
use crate::results::{Measured, Results};
use Bound::{AtLeast, AtMost, Below};

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
        match self.over {
            Over::Servers(servers) => {
                let is_meant = |server| servers.contains(&server);
                let (server, figure) = measured.best(self.metric, is_meant)?;
                Some((server.name().to_owned(), figure))
            }
            Over::Kinds(kinds) => {
                let is_meant = |server| kinds.contains(&Kind::of(server));
                let (server, figure) = measured.best(self.metric, is_meant)?;
                let field = self.field(measured, is_meant);
                Some((format!("{} ({field})", server.name()), figure))
            }
            Over::Metric(metric) => {
                let base = measured.median(ours, metric)?;
                Some((format!("its {}", metric.name()), base))
            }
            Over::One => Some((String::new(), 1.0)),
        }
    }

    /// Of how many the best is the best, and how many of them have no figure.
    fn field(&self, measured: &Measured, is_meant: impl Fn(Server) -> bool) -> String {
        let servers = measured.cell.part.servers().into_iter();
        let (present, missing): (Vec<_>, Vec<_>) = servers
            .filter(|&server| is_meant(server))
            .partition(|&server| measured.median(server, self.metric).is_some());
        let mut field = format!("of {}", present.len());
        if !missing.is_empty() {
            field += &format!(", {} missing", missing.len());
        }
        if Server::PEERS.is_empty() {
            field += ", built without `peers`";
        }
        field
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
            OneloopLeases => goal.reached(results, Oneloop),
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
    for goal in &results.http.goals {
        table.row(&[
            goal.name.clone(),
            "http".to_owned(),
            String::new(),
            goal.promise.clone(),
            format!("{:.3}", goal.ratio),
            String::new(),
            if goal.is_met { "yes" } else { "no" }.to_owned(),
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
    for goal in &results.http.goals {
        counts[usize::from(!goal.is_met)] += 1;
    }
    counts
}

/// The table of the bounds.
fn goals() -> Vec<Goal> {
    let mut goals = cpu_goals();
    let in_every_cell = |metric, over, bound| {
        let cells = EVERY_CELL.iter();
        cells.map(move |cell| leases(cell, metric, over, bound))
    };
    let epoll = Over::Kinds(&[Kind::Epoll]);
    let uring = Over::Kinds(&[Kind::Uring]);
    goals.extend(in_every_cell(CpuMicros, epoll, AtMost(1.02)));
    goals.extend(in_every_cell(CpuMicros, uring, AtMost(1.06)));
    goals.extend(in_every_cell(P99Micros, PEERS, AtMost(1.05)));
    goals.extend(other_goals());
    goals
}

/// Of single cells, against the limit and tokio.
fn cpu_goals() -> Vec<Goal> {
    let limit = Over::Servers(&[Limit]);
    let current = Over::Servers(&[TokioCurrent]);
    let tokio = Over::Servers(&[TokioCurrent, TokioMulti]);
    vec![
        leases("64 B x 100", CpuMicros, limit, AtMost(1.03)),
        leases("64 B x 1000", CpuMicros, limit, AtMost(1.05)),
        leases("64 B x 5000", CpuMicros, limit, AtMost(1.05)),
        leases("16 KiB x 100", CpuMicros, limit, AtMost(1.05)),
        leases("64 KiB x 100", CpuMicros, limit, AtMost(1.05)),
        leases("64 KiB x 1000", CpuMicros, limit, AtMost(1.05)),
        goal(OWN_BUFFERS, Oneloop, CpuMicros, limit, AtMost(1.08)),
        leases("64 B x 5000", CpuMicros, MULTI, AtMost(0.88)),
        leases("64 B x 5000", CpuMicros, current, AtMost(0.78)),
        leases("64 KiB x 100", CpuMicros, tokio, AtMost(0.95)),
        leases("64 KiB x 1000", CpuMicros, tokio, AtMost(0.8)),
        leases(EXACT_BUFFERS, CpuMicros, current, AtMost(0.75)),
        leases(EXACT_BUFFERS, CpuMicros, MULTI, AtMost(0.75)),
    ]
}

/// Of latency, of two loops, and of memory.
fn other_goals() -> Vec<Goal> {
    let (rate, p99, bytes) = (RequestsPerSecond, P99Micros, BytesEach);
    let median = Over::Metric(P50Micros);
    vec![
        leases("64 B x 1000", p99, median, AtMost(1.6)),
        goal(BUSY_POLL, OneloopBusyPoll, P50Micros, PEERS, AtMost(0.45)),
        goal(TWO_LOOPS_100, Oneloop, rate, MULTI, AtLeast(0.95)),
        goal(TWO_LOOPS_100, Oneloop, p99, MULTI, Below(1.0)),
        goal(TWO_LOOPS_5000, Oneloop, rate, MULTI, AtLeast(1.05)),
        goal(TWO_LOOPS_5000, Oneloop, p99, MULTI, Below(1.0)),
        goal(MEMORY, Oneloop, bytes, Over::One, AtMost(450.0)),
        goal(MEMORY, OneloopLeases, bytes, Over::One, AtMost(512.0)),
    ]
}

fn leases(cell: &'static str, metric: Metric, over: Over, bound: Bound) -> Goal {
    goal(cell, OneloopLeases, metric, over, bound)
}

fn goal(cell: &'static str, ours: Server, metric: Metric, over: Over, bound: Bound) -> Goal {
    Goal {
        cell,
        ours,
        metric,
        over,
        bound,
    }
}

const MULTI: Over = Over::Servers(&[TokioMulti]);
const PEERS: Over = Over::Kinds(&[Kind::Epoll, Kind::Uring]);
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
    use oneloop_benches::http;
    use oneloop_benches::kind::contenders;

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
        assert_eq!(goals().len(), 13 + 3 * EVERY_CELL.len() + 8);
        assert_eq!(counts(&Results::default()), [0, 0, goals().len()]);
    }

    #[test]
    fn cpu_is_put_over_the_limit_and_the_best_peer() {
        let results = made_up(
            "64 B x 100",
            &[
                (OneloopLeases, CpuMicros, 3.09),
                (Oneloop, CpuMicros, 3.2),
                (Limit, CpuMicros, 3.0),
                (TokioCurrent, CpuMicros, 3.2),
                (TokioMulti, CpuMicros, 3.0),
                (Server::Smol, CpuMicros, 6.0),
            ],
        );
        assert_eq!(
            rows(&results),
            [
                "| CPU us/request, oneloop leases / epoll by hand | 64 B x 100 | epoll by hand | \
                 at most 1.03 | 1.030 | 1.067 | yes |"
                    .to_owned(),
                format!(
                    "| CPU us/request, oneloop leases / best epoll peer | 64 B x 100 | tokio \
                     multi_thread ({}) | at most 1.02 | 1.030 | 1.067 | no |",
                    of(Kind::Epoll, 3)
                ),
            ]
        );
        assert_eq!(counts(&results)[..2], [1, 1]);
    }

    /// What stands beside the best of a kind, if so many of it were measured.
    fn of(kind: Kind, measured: usize) -> String {
        let all = contenders().filter(|&server| Kind::of(server) == kind);
        let missing = match all.count() - measured {
            0 => String::new(),
            count => format!(", {count} missing"),
        };
        let built = match cfg!(feature = "peers") {
            true => "",
            false => ", built without `peers`",
        };
        format!("of {measured}{missing}{built}")
    }

    #[test]
    fn a_best_is_told_with_the_number_of_those_compared() {
        let ours = [(OneloopLeases, CpuMicros, 3.0)];
        let peers = contenders().filter(|&server| Kind::of(server) == Kind::Epoll);
        let peers: Vec<_> = peers.map(|peer| (peer, CpuMicros, 4.0)).collect();
        let against = |figures: &[(Server, Metric, f64)]| {
            let results = made_up("64 B x 10", &[&ours[..], figures].concat());
            let measured = results.cell("64 B x 10").unwrap();
            let goals = goals().into_iter();
            let mut goals = goals.filter(|goal| {
                goal.cell == "64 B x 10" && goal.text().ends_with("best epoll peer")
            });
            let goal = goals.next().unwrap();
            Some(goal.base(measured, goal.ours)?.0)
        };
        let first = peers[0].0.name();
        let all = of(Kind::Epoll, peers.len());
        assert_eq!(against(&peers), Some(format!("{first} ({all})")));
        assert!(!all.contains("missing"));
        let one = of(Kind::Epoll, 1);
        assert_eq!(against(&peers[..1]), Some(format!("{first} ({one})")));
        assert!(one.contains(&format!(", {} missing", peers.len() - 1)));
        assert_eq!(against(&[]), None);
    }

    #[test]
    fn throughput_has_to_be_reached_and_p99_to_be_lower() {
        let figures = |throughput, p99| {
            made_up(
                TWO_LOOPS_5000,
                &[
                    (Oneloop, RequestsPerSecond, throughput),
                    (TokioMulti, RequestsPerSecond, 100.0),
                    (Oneloop, P99Micros, p99),
                    (TokioMulti, P99Micros, 10.0),
                ],
            )
        };
        assert_eq!(counts(&figures(105.0, 9.9))[..2], [2, 0]);
        assert_eq!(counts(&figures(104.0, 10.0))[..2], [0, 2]);
    }

    #[test]
    fn bounds_of_http_stand_with_the_others() {
        let goal = |is_met| http::Goal {
            name: "HTTP hello".to_owned(),
            ratio: 0.98,
            promise: "at most 1.00".to_owned(),
            is_met,
        };
        let mut results = Results::default();
        results.http.goals = vec![goal(true), goal(false)];
        assert_eq!(counts(&results)[..2], [1, 1]);
        let kept = "| HTTP hello | http |  | at most 1.00 | 0.980 |  | yes |";
        assert_eq!(rows(&results)[0], kept);
    }

    #[test]
    fn a_tail_is_put_over_the_median_and_memory_stands_alone() {
        let tail = made_up(
            "64 B x 1000",
            &[
                (OneloopLeases, P50Micros, 10.0),
                (OneloopLeases, P99Micros, 16.0),
            ],
        );
        assert_eq!(counts(&tail)[..2], [1, 0]);
        let memory = made_up(MEMORY, &[(Oneloop, BytesEach, 450.4)]);
        assert_eq!(
            rows(&memory),
            ["| bytes/connection, oneloop | idle connections |  | at most 450 | 450.4 |  | no |"]
        );
    }
}
