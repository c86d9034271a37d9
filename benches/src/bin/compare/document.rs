//! The report as Markdown.

use std::fmt::Write as _;

use oneloop_benches::contest::{Figures, Metric};
use oneloop_benches::report::Table;
use oneloop_benches::servers::Server;

use crate::cells::{Part, size};
use crate::options::Options;
use crate::results::{Measured, Results};
use crate::{facts, goals};

/// All of it. `plots` are the files of the plots, each with its caption.
pub(crate) fn report(results: &Results, options: &Options, plots: &[(String, String)]) -> String {
    let mut text = String::from("# oneloop beside its peers\n");
    section(&mut text, "Measured on", &introduction(options));
    let [kept, missed, unmeasured] = goals::counts(results);
    let goals = format!(
        "{kept} kept, {missed} not kept, {unmeasured} not measured. A ratio is one of medians of this \
         run.\n\n{}",
        goals::table(results).as_str()
    );
    section(&mut text, "Goals", &goals);
    let failures = list(results.failures());
    if !failures.is_empty() {
        section(&mut text, "Failed", &failures);
    }
    if !plots.is_empty() {
        let mut images = String::new();
        for (file, caption) in plots {
            writeln!(images, "![{caption}]({file})").expect(GROWS);
        }
        section(&mut text, "Plots", &images);
    }
    let cells = || results.cells.iter();
    let echo: Vec<&Measured> = cells().filter(|it| it.cell.part == Part::Echo).collect();
    for (metric, decimals, unit) in OVERVIEWS {
        let title = format!("Echo, {} ({unit})", metric.name());
        if let Some(table) = overview(&echo, metric, decimals) {
            section(&mut text, &title, table.as_str());
        }
    }
    if cells().any(|it| it.cell.part == Part::Scaling) {
        let mut scaling: Vec<&Measured> = cells().filter(|it| it.cell.is_of_scaling()).collect();
        scaling.sort_by_key(|it| it.cell.shape.connections);
        let (metric, decimals, unit) = OVERVIEWS[0];
        let title = format!("Scaling, {} ({unit})", metric.name());
        if let Some(table) = overview(&scaling, metric, decimals) {
            section(&mut text, &title, table.as_str());
        }
    }
    for part in Part::ALL {
        let mut cells = String::new();
        for measured in results.cells.iter().filter(|it| it.cell.part == part) {
            let table = match part {
                Part::Memory => memory(measured),
                _ => details(measured),
            };
            writeln!(
                cells,
                "### {}\n\n{}",
                measured.cell.name,
                headline(measured)
            )
            .expect(GROWS);
            writeln!(cells, "{}", table.as_str()).expect(GROWS);
        }
        if !cells.is_empty() {
            section(&mut text, &format!("Part: {}", part.name()), &cells);
        }
    }
    for http in &results.http.sections {
        let tables = http.tables.iter().map(Table::as_str);
        let tables = tables.collect::<Vec<_>>().join("\n");
        let body = format!("{}\n\n{tables}", http.about);
        section(&mut text, &format!("Part: http, {}", http.title), &body);
    }
    section(&mut text, "Not measured", &not_measured(results));
    text
}

fn section(text: &mut String, title: &str, body: &str) {
    write!(text, "\n## {title}\n\n{}\n", body.trim_end()).expect(GROWS);
}

fn introduction(options: &Options) -> String {
    let mut text = facts::table().as_str().to_owned();
    let rounds = options.rounds;
    write!(
        text,
        "\nRounds: {rounds}{}. In a round every server of a cell is started anew in a process of its \
         own, and they take turns in slices. A slice begins after a run-in of 30 ms and 0.3 ms for \
         each connection, a second at most. Servers are on the first core, the load generator on \
         the second, unless a part says otherwise. Medians of all slices; the spread is the distance \
         of the quarter points in percent of the median. CPU is user and system time of the server's \
         process. Every byte that comes back is compared.\n",
        match options.is_quick {
            true => " (quick: the figures mean nothing)",
            false => "; 2 in the parts scaling and memory",
        }
    )
    .expect(GROWS);
    text
}

/// One metric: servers by cells.
fn overview(cells: &[&Measured], metric: Metric, decimals: usize) -> Option<Table> {
    let mut columns = vec!["server"];
    columns.extend(cells.iter().map(|it| it.cell.name.as_str()));
    let mut table = Table::with_words(1, &columns);
    let scale = match metric {
        Metric::RequestsPerSecond | Metric::P99Micros => 1e-3,
        _ => 1.0,
    };
    for server in Part::Echo.servers() {
        let medians: Vec<_> = cells.iter().map(|it| it.median(server, metric)).collect();
        if medians.iter().any(Option::is_some) {
            let mut row = vec![server.name().to_owned()];
            row.extend(medians.into_iter().map(|median| {
                median.map_or_else(String::new, |it| format!("{:.*}", decimals, it * scale))
            }));
            table.row(&row);
        }
    }
    (!cells.is_empty()).then_some(table)
}

/// What the load was.
fn headline(measured: &Measured) -> String {
    let (cell, shape) = (&measured.cell, measured.cell.shape);
    let own = size(cell.buffer_bytes);
    if cell.part == Part::Memory {
        return format!(
            "{} connections that have been served once; what the server's anonymous memory grew by, \
             less the {own} of a connection's buffer where it has one.\n",
            shape.connections
        );
    }
    let flight = match shape.depth {
        1 => "one message".to_owned(),
        depth => format!("{depth} messages"),
    };
    let cores = match cell.part {
        Part::TwoLoops => " Two loops, and the load generator on the same two cores.",
        _ => "",
    };
    let mut line = format!(
        "{flight} of {} in flight on each of {} connections; own buffers have {own}.{cores}\n",
        size(shape.message_bytes),
        shape.connections
    );
    if is_bound_by_load(measured) {
        line.push_str("The load generator was busier than a server: requests/s are its limit.\n");
    }
    line
}

/// Whether a server waited for the load generator.
fn is_bound_by_load(measured: &Measured) -> bool {
    let waits = |figures: &Figures| {
        let server = figures.median(Metric::ServerBusyPercent);
        let load = figures.median(Metric::LoadBusyPercent);
        let both = server.zip(load);
        both.is_some_and(|(server, load)| load > BUSY_PERCENT && server < BUSY_PERCENT)
    };
    measured.cell.part != Part::TwoLoops && measured.rows.iter().any(|(_, it)| waits(it))
}

/// All figures of one cell.
fn details(measured: &Measured) -> Table {
    let ours = measured.cell.part.ours();
    let over = |metric: &str| format!("{metric}: {} / it", ours.name());
    let mut columns: Vec<String> = Metric::ALL.iter().map(|it| it.name().to_owned()).collect();
    columns.insert(2, "spread %".to_owned());
    columns.insert(1, "spread %".to_owned());
    columns.insert(0, "server".to_owned());
    columns.push("CPU: it / limit".to_owned());
    columns.extend(["CPU", "p99", "requests/s"].map(over));
    let mut table = Table::with_words(1, &columns);
    for (server, figures) in &measured.rows {
        let mut row = vec![server.name().to_owned()];
        for metric in Metric::ALL {
            let decimals = usize::from(metric == Metric::CpuMicros) * 2;
            row.push(number(figures.median(metric), decimals));
            if matches!(metric, Metric::RequestsPerSecond | Metric::CpuMicros) {
                row.push(number(Some(figures.of(metric).spread_percent()), 0));
            }
        }
        let ratio = |one: Server, other: Server, metric| {
            let one = measured.median(one, metric)?;
            Some(one / measured.median(other, metric)?)
        };
        row.push(number(ratio(*server, Server::Limit, Metric::CpuMicros), 2));
        for metric in [
            Metric::CpuMicros,
            Metric::P99Micros,
            Metric::RequestsPerSecond,
        ] {
            row.push(number(ratio(ours, *server, metric), 2));
        }
        table.row(&row);
    }
    table
}

fn memory(measured: &Measured) -> Table {
    let mut table = Table::with_words(1, &["server", "bytes each", "spread %"]);
    for (server, figures) in &measured.rows {
        let samples = figures.of(Metric::BytesEach);
        table.row(&[
            server.name().to_owned(),
            number(figures.median(Metric::BytesEach), 0),
            number(Some(samples.spread_percent()), 0),
        ]);
    }
    table
}

fn number(figure: Option<f64>, decimals: usize) -> String {
    let figure = figure.filter(|figure| figure.is_finite());
    figure.map_or_else(String::new, |figure| format!("{figure:.decimals$}"))
}

fn not_measured(results: &Results) -> String {
    let mut text = list(results.skipped.iter().chain(&results.http.skipped));
    if Server::PEERS.is_empty() {
        text.push_str(&list([WITHOUT_PEERS]));
    }
    text.push_str(&list(NEVER_MEASURED));
    text
}

fn list(lines: impl IntoIterator<Item = impl std::fmt::Display>) -> String {
    let mut text = String::new();
    for line in lines {
        writeln!(text, "- {line}").expect(GROWS);
    }
    text
}

/// Above this a process has no time left.
const BUSY_PERCENT: f64 = 95.0;
/// Metric, decimals, and the unit that the table is in.
const OVERVIEWS: [(Metric, usize, &str); 3] = [
    (Metric::CpuMicros, 2, "microseconds of the server's process"),
    (Metric::RequestsPerSecond, 0, "thousands"),
    (Metric::P99Micros, 2, "milliseconds"),
];
const WITHOUT_PEERS: &str = "monoio, glommio, compio and Go, so all io_uring peers and some epoll \
    peers: this program was built without the feature `peers`";
const NEVER_MEASURED: [&str; 3] = [
    "a real network: all connections are on loopback, where the kernel does both sides' work",
    "more than two cores, and machines with several sockets",
    "connections that come and go: all are set up before the first slice",
];
const GROWS: &str = "a string grows";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Asked;
    use crate::results::made_up;

    fn options() -> Options {
        match Options::parse(&["--quick".to_owned()]) {
            Ok(Asked::Measure(options)) => options,
            other => panic!("{other:?}"),
        }
    }

    fn results() -> Results {
        made_up(
            "64 B x 100",
            &[
                (Server::Limit, Metric::CpuMicros, 3.0),
                (Server::OneloopLeases, Metric::CpuMicros, 3.3),
                (Server::TokioCurrent, Metric::CpuMicros, 6.6),
                (Server::TokioCurrent, Metric::RequestsPerSecond, 250_400.0),
            ],
        )
    }

    #[test]
    fn ratios_are_over_the_limit_and_over_each_peer() {
        let results = results();
        let table = details(&results.cells[0]);
        let row = |name| {
            let mut lines = table.as_str().lines();
            let line = lines.find(|line| line.starts_with(&format!("| {name} ")));
            let cells = line.expect(name).split('|').map(str::trim);
            cells.map(str::to_owned).collect::<Vec<_>>()
        };
        let tokio = row("tokio current_thread");
        // The last four: CPU over the limit, and ours over it in CPU, p99 and requests.
        assert_eq!(
            tokio[tokio.len() - 5..tokio.len() - 1],
            ["2.20", "0.50", "", ""]
        );
        let titles = row("server");
        assert_eq!(titles.len(), tokio.len());
        assert_eq!(
            tokio[titles.iter().position(|it| it == "requests/s").unwrap()],
            "250400"
        );
        assert_eq!(
            tokio[titles.iter().position(|it| it == "CPU us/request").unwrap()],
            "6.60"
        );
    }

    #[test]
    fn the_overview_has_a_column_for_each_cell() {
        let results = results();
        let cells: Vec<_> = results.cells.iter().collect();
        let table = overview(&cells, Metric::RequestsPerSecond, 0).unwrap();
        assert_eq!(
            table.as_str(),
            "| server | 64 B x 100 |\n| --- | ---: |\n| tokio current_thread | 250 |\n"
        );
        assert!(overview(&[], Metric::CpuMicros, 2).is_none());
    }

    #[test]
    fn the_report_tells_what_was_skipped_and_what_failed() {
        let mut results = results();
        results.skip("go: not installed".to_owned());
        assert!(!report(&results, &options(), &[]).contains("## Failed"));
        results.fail("smol at 64 B x 100: wrong bytes");
        results.http.failed.push("http: nginx: gone".to_owned());
        let plots = [("a.svg".to_owned(), "of a".to_owned())];
        let text = report(&results, &options(), &plots);
        for part in [
            "## Goals",
            "![of a](a.svg)",
            "### 64 B x 100",
            "## Failed\n\n- smol at 64 B x 100: wrong bytes\n- http: nginx: gone\n",
            "- go: not installed",
            "kernel",
            "the figures mean nothing",
        ] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
    }

    #[test]
    fn a_server_that_waits_for_the_load_is_told() {
        let busy = |server, load| {
            let results = made_up(
                "64 B x 100",
                &[
                    (Server::Limit, Metric::ServerBusyPercent, server),
                    (Server::Limit, Metric::LoadBusyPercent, load),
                ],
            );
            is_bound_by_load(&results.cells[0])
        };
        assert!(busy(80.0, 99.0));
        assert!(!busy(99.0, 99.0));
        assert!(!busy(50.0, 50.0));
    }
}
