//! What was found, as tables and as promises that are kept or not: once for wrk, and once for our
//! own generator.
//!
//! Place: called by the module above after the last round.

use super::contender::{Contender, Generator, Resource};
use super::{GO, Goal, HTTPD, HTTPD_MEMORY, HTTPD_SENDFILE, HYPER_ONELOOP, HYPER_TOKIO};
use super::{NGINX_FILE, NGINX_RETURN, Section};
use crate::contest::Metric;
use crate::report::{Table, ratio};

/// What is told of one generator.
#[derive(Debug, Clone, Copy)]
struct View {
    title: &'static str,
    about: &'static str,
    /// Under which requests are counted.
    rate: Generator,
    /// Under which the server's processor time is judged.
    cost: Generator,
    /// The one and the other in words.
    words: [&'static str; 2],
}

/// A section for each generator that was there, with a table for each thing that is asked for.
pub(super) fn sections(contenders: &[Contender]) -> Vec<Section> {
    let tables = |view| {
        let tables = [
            table(contenders, view, Resource::Hello, NGINX_RETURN),
            table(contenders, view, Resource::File, NGINX_FILE),
        ];
        tables.into_iter().flatten().collect()
    };
    let sections = VIEWS.iter().map(|view| Section {
        title: view.title,
        about: view.about,
        tables: tables(view),
    });
    sections
        .filter(|section| !section.tables.is_empty())
        .collect()
}

/// All that were asked for the same, with ratios to one of them. Nothing if nobody was.
fn table(
    contenders: &[Contender],
    view: &View,
    resource: Resource,
    against: &str,
) -> Option<Table> {
    let mut shown = COLUMNS.map(|metric| (view.rate, metric)).to_vec();
    let mut titles = vec!["server", "asked for"];
    titles.extend(COLUMNS.map(Metric::name));
    if view.cost != view.rate {
        shown.push((view.cost, Metric::CpuMicros));
        titles.push("with a backlog");
    }
    let over = format!("requests/s over {against}");
    titles.extend([&over, "spread %", "CPU over it", "spread %"]);
    let compared = [
        (view.rate, Metric::RequestsPerSecond),
        (view.cost, Metric::CpuMicros),
    ];
    let mut table = Table::new(&titles);
    let against = find(contenders, against, resource);
    let mut rows = 0;
    for own in contenders.iter().filter(|own| own.resource == resource) {
        let mut row = vec![own.name.to_owned(), resource.name().to_owned()];
        for &(generator, metric) in &shown {
            let decimals = usize::from(metric == Metric::CpuMicros) * 2;
            let median = own.under(generator).median(metric);
            row.push(median.map_or_else(String::new, |it| format!("{it:.decimals$}")));
        }
        for (generator, metric) in compared {
            let samples = own.under(generator).of(metric);
            let theirs = against.map(|it| it.under(generator).of(metric));
            row.push(theirs.map_or_else(String::new, |theirs| ratio(Some(samples), theirs)));
            row.push(format!("{:.1}", samples.spread_percent()));
        }
        rows += usize::from(own.under(view.rate).median(Metric::CpuMicros).is_some());
        table.row(&row);
    }
    (rows > 0).then_some(table)
}

fn find<'a>(contenders: &'a [Contender], name: &str, what: Resource) -> Option<&'a Contender> {
    let mut all = contenders.iter();
    all.find(|own| own.name == name && own.resource == what)
}

/// The promises, for the servers that are there, under each generator.
pub(super) fn goals(contenders: &[Contender]) -> Vec<Goal> {
    let mut goals = Vec::new();
    for view in &VIEWS {
        for &(metric, resource, ours, theirs, bound) in &PROMISES {
            let (generator, words) = match metric {
                Metric::RequestsPerSecond => (view.rate, view.words[0]),
                _ => (view.cost, view.words[1]),
            };
            let median = |name| {
                find(contenders, name, resource)?
                    .under(generator)
                    .median(metric)
            };
            let Some((ours_median, theirs_median)) = median(ours).zip(median(theirs)) else {
                continue;
            };
            let ratio = ours_median / theirs_median;
            let (promise, is_met) = match metric.is_cost() {
                true => ("at most", ratio <= bound),
                false => ("at least", ratio >= bound),
            };
            let (what, metric) = (resource.name(), metric.name());
            goals.push(Goal {
                name: format!("HTTP {what}, {metric} {words}, {ours} / {theirs}"),
                ratio,
                promise: format!("{promise} {bound:.2}"),
                is_met,
            });
        }
    }
    goals
}

const VIEWS: [View; 2] = [
    View {
        title: "under wrk",
        about: "Each server on the first core, 100 connections of wrk: on the second core for \
            requests/s and p99, on both for the processor time with a backlog. A server that is \
            not busy waits for wrk: its requests/s are wrk's.",
        rate: Generator::Wrk,
        cost: Generator::WrkOnBothCores,
        words: ["under wrk", "under wrk with a backlog"],
    },
    View {
        title: "under a generator of our own",
        about: "Each server on the first core, 100 connections of a generator on the second that \
            costs less than a server: it compares each answer with the one before, and parses \
            those that differ. It looks for answers and does not sleep, so no server has to wake \
            it up; the time in which it looks in vain is not in how busy it is.",
        rate: Generator::Own,
        cost: Generator::Own,
        words: ["under our own"; 2],
    },
];
const COLUMNS: [Metric; 5] = [
    Metric::RequestsPerSecond,
    Metric::P99Micros,
    Metric::ServerBusyPercent,
    Metric::LoadBusyPercent,
    Metric::CpuMicros,
];
/// What is promised of a figure of one server over that of another.
type Promise = (Metric, Resource, &'static str, &'static str, f64);

const PROMISES: [Promise; 10] = {
    use Metric::{CpuMicros as Cpu, RequestsPerSecond as Rate};
    use Resource::{File, Hello};
    [
        (Cpu, Hello, HYPER_ONELOOP, HYPER_TOKIO, 1.0),
        (Cpu, Hello, HYPER_ONELOOP, NGINX_RETURN, 1.0),
        (Cpu, Hello, HYPER_ONELOOP, GO, 0.5),
        (Cpu, Hello, HTTPD, HYPER_TOKIO, 1.0),
        (Cpu, Hello, HTTPD, NGINX_RETURN, 1.0),
        (Cpu, Hello, HTTPD, GO, 0.5),
        (Rate, File, HTTPD_MEMORY, NGINX_FILE, 1.4),
        (Rate, File, HTTPD_SENDFILE, NGINX_FILE, 1.0),
        (Rate, Hello, HYPER_ONELOOP, GO, 2.0),
        (Rate, Hello, HTTPD, GO, 2.0),
    ]
};
