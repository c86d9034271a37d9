//! HTTP under wrk, by itself: `http [--rounds N] [--quick]`. Nothing else may run beside it.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "the tables are what it is for")]

use std::env;
use std::io;

use oneloop_benches::child::run_as_child;
use oneloop_benches::http::{Options, run};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if run_as_child(&arguments)? {
        return Ok(());
    }
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (rounds, is_quick) = match words[..] {
        [] => (7, false),
        ["--quick"] => (1, true),
        ["--rounds", rounds] => (rounds.parse().map_err(io::Error::other)?, false),
        _ => return Err(io::Error::other("usage: http [--rounds N] [--quick]")),
    };
    let report = run(&env::current_exe()?, &Options { rounds, is_quick })?;
    for line in &report.skipped {
        println!("{line}");
    }
    for table in &report.tables {
        println!("{}", table.as_str());
    }
    for goal in &report.goals {
        let kept = if goal.is_met { "met" } else { "not met" };
        println!("{}: {:.2}, {}: {kept}", goal.name, goal.ratio, goal.promise);
    }
    Ok(())
}
