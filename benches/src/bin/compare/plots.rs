//! Which plots there are: each metric against connections and against the size of messages.

use std::fs;
use std::io;
use std::path::Path;

use oneloop_benches::contest::Metric;
use oneloop_benches::kind::Kind;
use oneloop_benches::servers::Server;
use plotters::style::RGBColor;

use crate::cells::{Cell, Part, size};
use crate::chart::{Axis, Figure, Line, Panel, svg};
use crate::results::Results;

/// Writes the plots. Answers their files and captions.
pub(crate) fn write(folder: &Path, results: &Results) -> io::Result<Vec<(String, String)>> {
    let mut written = Vec::new();
    for (name, figure) in figures(results) {
        if let Some(text) = svg(&figure)? {
            let file = format!("{name}.svg");
            fs::write(folder.join(&file), text)?;
            written.push((file, figure.title));
        }
    }
    Ok(written)
}

fn figures(results: &Results) -> Vec<(String, Figure)> {
    let mut figures = Vec::new();
    for (name, title, metrics) in METRICS {
        let by_connections = metrics
            .iter()
            .map(|&metric| by_connections(results, metric));
        figures.push((
            format!("{name}_by_connections"),
            Figure {
                title: format!("{title} by connections, messages of 64 B"),
                panels: by_connections.collect(),
            },
        ));
        let crowds = [100, 1000].into_iter();
        let by_size = crowds.flat_map(|connections| {
            metrics
                .iter()
                .map(move |&metric| by_size(results, metric, connections))
        });
        figures.push((
            format!("{name}_by_size"),
            Figure {
                title: format!("{title} by size of messages"),
                panels: by_size.collect(),
            },
        ));
    }
    figures
}

fn by_connections(results: &Results, metric: Metric) -> Panel {
    let is_meant = |cell: &Cell| {
        // What a process has anyway would be told as a cost of a few connections.
        let is_crowd = metric != Metric::BytesEach || cell.shape.connections >= CROWD;
        cell.is_of_scaling() && is_crowd
    };
    Panel {
        title: String::new(),
        x: Axis {
            title: "connections",
            base: 10.0,
            format: count,
        },
        y: axis(metric),
        lines: lines(results, metric, is_meant, |cell| cell.shape.connections),
    }
}

fn by_size(results: &Results, metric: Metric, connections: usize) -> Panel {
    let is_meant = |cell: &Cell| {
        let shape = cell.shape;
        cell.part == Part::Echo && shape.connections == connections && shape.depth == 1
    };
    Panel {
        title: format!("{connections} connections"),
        x: Axis {
            title: "bytes of a message",
            base: 4.0,
            format: |bytes| size(bytes as usize),
        },
        y: axis(metric),
        lines: lines(results, metric, is_meant, |cell| cell.shape.message_bytes),
    }
}

fn axis(metric: Metric) -> Axis {
    Axis {
        title: metric.name(),
        base: 10.0,
        format: count,
    }
}

/// A line for each server: its medians in the cells that are meant.
fn lines(
    results: &Results,
    metric: Metric,
    is_meant: impl Fn(&Cell) -> bool,
    x: impl Fn(&Cell) -> usize,
) -> Vec<Line> {
    let line = |server: Server| {
        let cells = results.cells.iter().filter(|it| is_meant(&it.cell));
        let mut points: Vec<(f64, f64)> = cells
            .filter_map(|it| Some((x(&it.cell) as f64, it.median(server, metric)?)))
            .filter(|&(_, y)| y > 0.0)
            .collect();
        points.sort_by(|one, other| one.0.total_cmp(&other.0));
        (!points.is_empty()).then(|| Line {
            name: server.name(),
            color: color(server),
            width: if Kind::of(server) == Kind::Oneloop {
                3
            } else {
                2
            },
            points,
        })
    };
    Part::Echo.servers().into_iter().filter_map(line).collect()
}

/// The same in every plot: ours are red, relatives resemble each other.
fn color(server: Server) -> RGBColor {
    match server.name() {
        "oneloop" => RGBColor(214, 39, 40),
        "oneloop leases" => RGBColor(255, 127, 14),
        "oneloop per loop" => RGBColor(152, 0, 67),
        "epoll by hand" => RGBColor(0, 0, 0),
        "tokio current_thread" => RGBColor(31, 119, 180),
        "tokio multi_thread" => RGBColor(100, 170, 230),
        "smol" => RGBColor(44, 160, 44),
        "monoio epoll" => RGBColor(118, 83, 170),
        "monoio io_uring" => RGBColor(180, 150, 215),
        "compio polling" => RGBColor(0, 110, 110),
        "compio io_uring" => RGBColor(23, 190, 207),
        "glommio" => RGBColor(140, 86, 75),
        "go" => RGBColor(188, 170, 34),
        _ => RGBColor(127, 127, 127),
    }
}

/// A number in few letters: `250k`.
fn count(figure: f64) -> String {
    match figure {
        0.0..1e3 => format!("{figure}"),
        1e3..1e6 => format!("{}k", figure / 1e3),
        _ => format!("{}M", figure / 1e6),
    }
}

/// Below this number of connections their memory is not told.
const CROWD: usize = 100;
/// Name of the file, title, and what has a panel.
const METRICS: [(&str, &str, &[Metric]); 4] = [
    ("throughput", "Throughput", &[Metric::RequestsPerSecond]),
    ("cpu", "CPU for a request", &[Metric::CpuMicros]),
    (
        "latency",
        "Latency",
        &[Metric::P50Micros, Metric::P99Micros, Metric::P999Micros],
    ),
    (
        "memory",
        "Memory of a connection with its buffer",
        &[Metric::BytesEach],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::made_up;

    #[test]
    fn lines_connect_the_medians_from_left_to_right() {
        let cell = |name, figure| {
            let figures = [(Server::Smol, Metric::CpuMicros, figure)];
            made_up(name, &figures).cells.remove(0)
        };
        let results = Results {
            cells: vec![
                cell("64 B x 1000", 3.0),
                cell("64 B x 100", 2.0),
                cell("64 KiB x 100", 9.0),
                cell("64 B x 30", 1.0),
                cell("64 B x 10 by 16", 0.1),
            ],
            ..Results::default()
        };
        let panel = by_connections(&results, Metric::CpuMicros);
        assert_eq!(panel.lines.len(), 1);
        assert_eq!(
            panel.lines[0].points,
            [(30.0, 1.0), (100.0, 2.0), (1000.0, 3.0)]
        );
        let panel = by_size(&results, Metric::CpuMicros, 100);
        assert_eq!(panel.lines[0].points, [(64.0, 2.0), (65_536.0, 9.0)]);
        let drawn = figures(&results)
            .into_iter()
            .filter(|(_, figure)| svg(figure).unwrap().is_some());
        let names: Vec<_> = drawn.map(|(name, _)| name).collect();
        assert_eq!(names, ["cpu_by_connections", "cpu_by_size"]);
    }

    #[test]
    fn numbers_in_few_letters() {
        assert_eq!(count(0.5), "0.5");
        assert_eq!(count(250.0), "250");
        assert_eq!(count(15_000.0), "15k");
        assert_eq!(count(2e6), "2M");
    }
}
