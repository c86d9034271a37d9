//! tokio's own tests on the facade: one command, a table per area, and an exit code.
//!
//! ```text
//!  registry packages --suite--> packages that cargo can test --compile--> executables
//!       executables --run--> a verdict per test --report--> table, failures, exit code
//! ```
//!
//! Nothing of the suites is kept here: they are taken from the registry packages that ship them,
//! and compiled with the facade in the place of tokio. A test that fails must stand in
//! `not-applicable.txt`, with the reason; and the counts are held against a baseline, so that tests
//! cannot be lost.

#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the table is what it is for"
)]

mod area;
mod compile;
mod exceptions;
mod judge;
mod report;
mod run;
mod suite;

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use area::Area;

/// Everything that can go wrong here ends the program with a message.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// What the command line asks for.
struct Options {
    /// Areas to test; empty stands for all.
    areas: Vec<Area>,
    /// With the registry's tokio instead of the facade: the baseline.
    is_real: bool,
    is_help: bool,
}

impl Options {
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut this = Self {
            areas: Vec::new(),
            is_real: false,
            is_help: false,
        };
        for argument in arguments {
            match argument.as_str() {
                "--real" => this.is_real = true,
                "--help" => this.is_help = true,
                option if option.starts_with('-') => {
                    return Err(format!("there is no option {option}; --help lists them").into());
                }
                name => this.areas.push(Area::from_name(name)?),
            }
        }
        Ok(this)
    }

    fn is_full(&self) -> bool {
        self.areas.is_empty()
    }

    fn wants(&self, area: Area) -> bool {
        self.is_full() || self.areas.contains(&area)
    }
}

fn main() -> Result<ExitCode> {
    let options = Options::parse(env::args().skip(1))?;
    if options.is_help {
        print!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    }
    let compat = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()?;
    let work = compat.join("target").join(if options.is_real {
        "conformance-real"
    } else {
        "conformance"
    });
    let facade = (!options.is_real).then(|| compat.join("tokio"));
    let exceptions = exceptions::read(&compat.join("conformance/not-applicable.txt"))?;

    let mut report = report::Report::default();
    for package in suite::prepare(&work, facade.as_deref())? {
        let files = package.files(|area| options.wants(area))?;
        let built = compile::compile(&package, &files, &target_dir(&work))?;
        for file in files {
            let outcome = match built.executable(&file.name) {
                Some(executable) => {
                    let need_not_pass = exceptions::of_file(&exceptions, &file.name);
                    run::run(executable, &package.directory, &need_not_pass)?
                }
                None => run::not_compiled(&file.path)?,
            };
            report.add(&file, outcome, &exceptions);
        }
    }
    report.judge(|area| options.wants(area), options.is_full());
    print!("{}", report.text());
    Ok(if report.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Both forms of the suite share what does not depend on tokio.
fn target_dir(work: &Path) -> PathBuf {
    work.join("build")
}

const HELP: &str = "\
run [--real] [AREA...]

Compiles the tests that tokio, tokio-stream, tokio-test and tokio-util ship in their registry
packages against the facade, runs each file under a limit of 60 s, and prints passed / failed / not
applicable for each area. Fails if a test fails that does not stand in not-applicable.txt, if an area
runs fewer tests than tokio itself or less than 95 % of them pass, and, when all areas run, if less
than 98 % of all pass.

  --real   with tokio itself instead of the facade
  AREA     sync rt io task time macros net-tcp fs net-unix io-driver net-udp net-misc process
           signal misc stream test util; default: all
";
