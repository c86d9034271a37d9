//! The end-to-end comparison: echo servers on oneloop, on other runtimes and without one, each in a
//! process of its own, driven by the project's load generator; one report with the bounds that
//! oneloop has to keep.
//!
//! ```text
//! cargo run --release -p oneloop-benches --bin compare -- --report target/compare
//! cargo run --release -p oneloop-benches --bin compare -- --quick
//! cargo run --release -p oneloop-benches --bin compare -- --cells "64 B x 100,two loops"
//! ```
//!
//! Nothing else may run beside it: all takes about 45 minutes, `--quick` about one. With the feature
//! `peers` also on the runtimes that are not needed otherwise. `compare --list` tells the names of
//! cells and servers; a cell is `SIZE x CONNECTIONS`, and the name of a part stands for its cells.
//! A server that this system does not have is skipped, and the report says so. One that fails, by a
//! wrong byte or by its end, is listed too, and then the program fails once the report is written.
//!
//! ```text
//!   options --> cells --> run --> results --> goals, document, plots
//!                          |
//!                          +--> contest: server process (core 0), load process (core 1)
//!                          +--> http: servers under wrk, and under our own generator
//! ```

#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the report is what it is for, and it takes long enough to tell how far it is"
)]

mod cells;
mod chart;
mod document;
mod facts;
mod goals;
mod options;
mod plots;
mod results;
mod run;

use std::env;
use std::fs;
use std::io;
use std::path::Path;

use oneloop_benches::child::run_as_child;
use oneloop_benches::http;
use oneloop_benches::process::allow_descriptors;

use cells::{Cell, Part};
use options::{Asked, HELP, Options};
use results::Results;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if run_as_child(&arguments)? {
        return Ok(());
    }
    match Options::parse(&arguments)? {
        Asked::Help => print!("{HELP}"),
        Asked::List => list(),
        Asked::Measure(options) => measure(&options)?,
    }
    Ok(())
}

fn list() {
    println!("cells, by part:");
    for part in Part::ALL {
        for cell in cells::all(false).iter().filter(|cell| cell.part == part) {
            println!("  {:<12} {}", part.name(), cell.name);
        }
    }
    println!(
        "  {:<12} nginx, Go and hyper beside ours, under wrk and under our own generator",
        options::HTTP
    );
    println!("servers:");
    for server in Part::BusyPoll.servers() {
        println!("  {}", server.name());
    }
}

fn measure(options: &Options) -> io::Result<()> {
    let cells = options.cells();
    allow_descriptors(
        cells
            .iter()
            .map(Cell::descriptors)
            .max()
            .unwrap_or_default(),
    )?;
    if let Some(folder) = &options.report {
        fs::create_dir_all(folder)?;
    }
    let program = env::current_exe()?;
    let mut results = Results::default();
    let count = cells.len();
    for (at, cell) in cells.into_iter().enumerate() {
        eprintln!("[{}/{count}] {}", at + 1, cell.name);
        run::measure(&program, cell, options, &mut results);
        // What was measured is kept if a later cell does not end.
        if let Some(folder) = &options.report {
            write_report(folder, &results, options)?;
        }
    }
    if options.wants_http() {
        eprintln!("[http]");
        let (rounds, is_quick) = (options.rounds, options.is_quick);
        match http::run(&program, &http::Options { rounds, is_quick }) {
            Ok(report) => results.http = report,
            Err(error) => results.fail(&format!("http: {error}")),
        }
    }
    if let Some(folder) = &options.report {
        write_report(folder, &results, options)?;
    }
    print!("{}", document::report(&results, options, &[]));
    results.verdict()
}

fn write_report(folder: &Path, results: &Results, options: &Options) -> io::Result<()> {
    let plots = plots::write(folder, results)?;
    let text = document::report(results, options, &plots);
    fs::write(folder.join("report.md"), text)
}
