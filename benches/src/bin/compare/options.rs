//! What is asked of a run.

use std::io;
use std::path::PathBuf;

use oneloop_benches::servers::Server;

use crate::cells::{self, Cell};

#[derive(Debug)]
pub(crate) struct Options {
    /// How often each server is started anew for a cell.
    pub(crate) rounds: usize,
    pub(crate) is_quick: bool,
    /// Only these, if any are named.
    cells: Vec<String>,
    servers: Vec<Server>,
    /// Where the report and its plots go, beside the standard output.
    pub(crate) report: Option<PathBuf>,
}

/// What to do.
#[derive(Debug)]
pub(crate) enum Asked {
    Help,
    List,
    Measure(Options),
}

impl Options {
    pub(crate) fn parse(arguments: &[String]) -> io::Result<Asked> {
        let mut this = Self {
            rounds: ROUNDS,
            is_quick: false,
            cells: Vec::new(),
            servers: Vec::new(),
            report: None,
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || {
                let missing = || invalid(format!("{argument} needs a value"));
                arguments.next().ok_or_else(missing)
            };
            match argument.as_str() {
                "--rounds" => {
                    let rounds = value()?.parse().ok().filter(|&rounds| rounds > 0);
                    this.rounds =
                        rounds.ok_or_else(|| invalid("--rounds needs a number".to_owned()))?;
                }
                "--cells" => this.cells = cell_names(value()?)?,
                "--servers" => this.servers = servers(value()?)?,
                "--report" => this.report = Some(value()?.into()),
                "--quick" => this.is_quick = true,
                "--list" => return Ok(Asked::List),
                "--help" | "-h" => return Ok(Asked::Help),
                other => return Err(invalid(format!("there is no option {other}; see --help"))),
            }
        }
        if this.is_quick {
            this.rounds = 1;
        }
        Ok(Asked::Measure(this))
    }

    /// The cells to be measured, in the order of [`cells::all`].
    pub(crate) fn cells(&self) -> Vec<Cell> {
        let mut all = cells::all(self.is_quick);
        all.retain(|cell| {
            let is_named = |name: &String| *name == cell.name || name == cell.part.name();
            self.cells.is_empty() || self.cells.iter().any(is_named)
        });
        all
    }

    /// Whether HTTP servers are measured too.
    pub(crate) fn wants_http(&self) -> bool {
        let is_named = || self.cells.iter().any(|name| name == HTTP);
        match self.cells.is_empty() {
            true => self.servers.is_empty(),
            false => is_named(),
        }
    }

    pub(crate) fn wants(&self, server: Server) -> bool {
        self.servers.is_empty() || self.servers.contains(&server)
    }
}

/// Names of cells, or of parts of the report.
fn cell_names(list: &str) -> io::Result<Vec<String>> {
    let all = cells::all(false);
    let names = list.split(',').map(str::trim);
    names
        .map(|name| {
            let is_known = |cell: &Cell| cell.name == name || cell.part.name() == name;
            match name == HTTP || all.iter().any(is_known) {
                true => Ok(name.to_owned()),
                false => Err(invalid(format!("no cell is called {name:?}; see --list"))),
            }
        })
        .collect()
}

fn servers(list: &str) -> io::Result<Vec<Server>> {
    let unknown = |name| invalid(format!("no server is called {name:?}; see --list"));
    let names = list.split(',').map(str::trim);
    names
        .map(|name| Server::from_name(name).ok_or_else(|| unknown(name)))
        .collect()
}

/// The part that has no cells: its servers and its load generator are programs of others.
pub(crate) const HTTP: &str = "http";

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

const ROUNDS: usize = 5;
pub(crate) const HELP: &str = "\
compare [--quick] [--rounds N] [--cells NAME,...] [--servers NAME,...] [--report DIR]
compare --list

Measures echo servers on oneloop, on its peers and without a runtime, each in a process of its own,
in interleaved rounds, and writes a report in Markdown. Nothing else may run beside it.

  --quick             one short round, to see that it works; the figures mean nothing
  --rounds N          how often each server is started anew, default 5
  --cells NAME,...    only these cells, or parts of the report; `http` is a part
  --servers NAME,...  only these servers
  --report DIR        also writes DIR/report.md, with plots
  --list              shows the names of cells and servers
";

#[cfg(test)]
mod tests {
    use oneloop_benches::kind::contenders;

    use super::*;

    fn parse(arguments: &[&str]) -> io::Result<Asked> {
        let arguments: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
        Options::parse(&arguments)
    }

    fn options(arguments: &[&str]) -> Options {
        match parse(arguments) {
            Ok(Asked::Measure(options)) => options,
            other => panic!("{other:?}"),
        }
    }

    fn names(arguments: &[&str]) -> Vec<String> {
        let cells = options(arguments).cells();
        cells.into_iter().map(|cell| cell.name).collect()
    }

    #[test]
    fn without_arguments_everything_is_measured() {
        let options = options(&[]);
        assert_eq!(options.rounds, 5);
        assert_eq!(options.cells().len(), cells::all(false).len());
        assert!(contenders().all(|server| options.wants(server)));
        assert!(options.report.is_none());
    }

    #[test]
    fn names_select_cells_and_parts_and_servers() {
        assert_eq!(names(&["--cells", "64 B x 1"]), ["64 B x 1"]);
        assert_eq!(
            names(&["--cells", "1 KiB x 1000, 64 B x 10"]),
            ["64 B x 10", "1 KiB x 1000"]
        );
        let two_loops = names(&["--cells", "two loops"]);
        assert_eq!(two_loops, ["two loops x 100", "two loops x 5000"]);
        let options = options(&["--servers", "oneloop,epoll by hand"]);
        assert!(options.wants(Server::Oneloop) && options.wants(Server::Limit));
        assert!(!options.wants(Server::OneloopLeases));
    }

    #[test]
    fn http_is_a_part_of_everything_and_has_a_name() {
        assert!(options(&[]).wants_http());
        assert!(options(&["--cells", "http,memory"]).wants_http());
        assert!(names(&["--cells", "http"]).is_empty());
        assert!(!options(&["--cells", "memory"]).wants_http());
        assert!(!options(&["--servers", "oneloop"]).wants_http());
    }

    #[test]
    fn quick_is_one_round() {
        assert_eq!(options(&["--quick", "--rounds", "9"]).rounds, 1);
        assert_eq!(options(&["--rounds", "9"]).rounds, 9);
        assert_eq!(options(&["--report", "a"]).report, Some("a".into()));
    }

    #[test]
    fn mistakes_are_named() {
        for (arguments, message) in [
            (&["--cells", "64 B"][..], "no cell is called \"64 B\""),
            (&["--servers", "oneloop,x"], "no server is called \"x\""),
            (&["--rounds", "0"], "--rounds needs a number"),
            (&["--rounds"], "--rounds needs a value"),
            (&["fast"], "there is no option fast"),
        ] {
            let error = parse(arguments).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
        assert!(matches!(parse(&["--list"]), Ok(Asked::List)));
        assert!(matches!(parse(&["--help"]), Ok(Asked::Help)));
    }
}
