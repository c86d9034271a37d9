//! The arguments of an example.
//!
//! Place: read once, at the start of `main`; the values are asked for before anything is started.
//!
//! An example says its usage, and what the usage names is what it takes:
//!
//! ```text
//! echo [--addr 127.0.0.1:7777] [--loops N] [--leases]     idle_kick [ADDR=127.0.0.1:7777]
//!       an option, its default  no default  a switch       a word without an option, its default
//! ```

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write as _};
use std::num::{NonZeroU32, NonZeroUsize};
use std::process::exit;
use std::str::FromStr;
use std::time::Duration;

use oneloop::runtime::{Builder, Runtime};

/// A name in the usage, and the value beside it: none for a switch.
type Known = (&'static str, Option<&'static str>);

/// What the process was given.
#[derive(Debug)]
pub(crate) struct Arguments {
    usage: &'static str,
    known: Vec<Known>,
    given: Vec<(&'static str, String)>,
}

impl Arguments {
    /// The process's arguments. `--help` prints the usage and ends the process; what the usage
    /// does not name ends it with exit code 2.
    pub(crate) fn read(usage: &'static str) -> Self {
        let mut arguments = Self {
            usage,
            known: known(usage),
            given: Vec::new(),
        };
        let mut words = std::env::args_os().skip(1).map(OsString::into_string);
        while let Some(word) = words.next() {
            let word = word.unwrap_or_else(|word| arguments.refuse(&format!("{word:?}: no UTF-8")));
            if word == "--help" || word == "-h" {
                println!("usage: {usage}");
                exit(0);
            }
            let Some((name, value)) = arguments.named(&word) else {
                arguments.refuse(&format!("unknown option {word:?}"));
            };
            let value = match value {
                None => String::new(),
                Some(_) if !name.starts_with('-') => word,
                Some(_) => match words.next() {
                    Some(Ok(value)) if !value.is_empty() => value,
                    _ => arguments.refuse(&format!("{name} needs a value")),
                },
            };
            arguments.given.push((name, value));
        }
        arguments
    }

    /// The option that is called so, or the next word without an option.
    fn named(&self, word: &str) -> Option<Known> {
        let is_given = |name| self.given.iter().any(|&(given, _)| given == name);
        let fits = |&(name, _): &Known| match name.starts_with('-') {
            true => name == word,
            false => !word.starts_with('-') && !is_given(name),
        };
        self.known.iter().copied().find(|known| fits(known))
    }

    /// Whether a switch is given.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.given.iter().any(|&(given, _)| given == name)
    }

    /// The value that is given last. One that cannot be used ends the process.
    pub(crate) fn given<T: FromStr<Err: Display>>(&self, name: &str) -> Option<T> {
        let given = self.given.iter().rfind(|&&(given, _)| given == name);
        given.map(|(_, value)| self.parsed(name, value))
    }

    /// The value that is given, or the default in the usage: the first if there are several.
    pub(crate) fn value<T: FromStr<Err: Display>>(&self, name: &str) -> T {
        self.given(name).unwrap_or_else(|| {
            let known = self.known.iter().find(|&&(known, _)| known == name);
            let values = known.and_then(|&(_, value)| value).unwrap_or_default();
            self.parsed(name, values.split('|').next().unwrap_or_default())
        })
    }

    /// The value that is given. Its absence ends the process.
    pub(crate) fn required<T: FromStr<Err: Display>>(&self, name: &str) -> T {
        let given = self.given(name);
        given.unwrap_or_else(|| self.refuse(&format!("{name} is missing")))
    }

    /// A number above 0.
    pub(crate) fn number(&self, name: &str) -> usize {
        self.value::<NonZeroUsize>(name).get()
    }

    /// Whole seconds above 0.
    pub(crate) fn seconds(&self, name: &str) -> Duration {
        Duration::from_secs(self.value::<NonZeroU32>(name).get().into())
    }

    fn parsed<T: FromStr<Err: Display>>(&self, name: &str, value: &str) -> T {
        let refuse = |problem| self.refuse(&format!("{name} {value:?}: {problem}"));
        value.parse().unwrap_or_else(refuse)
    }

    /// Builder of a multi-thread runtime with the loops that `--loops` asks for: one for each core
    /// unless given.
    pub(crate) fn builder(&self) -> Builder {
        let mut builder = Builder::new_multi_thread();
        if let Some(loops) = self.given::<NonZeroUsize>("--loops") {
            builder.worker_threads(loops.get());
        }
        builder
    }

    /// The runtime of that builder.
    pub(crate) fn runtime(&self) -> Runtime {
        let started = self.builder().build();
        started
            .unwrap_or_else(|error| self.fail(&format!("the runtime cannot be started: {error}")))
    }

    /// Ends the process if there was an error, with exit code 1.
    pub(crate) fn end(&self, outcome: io::Result<()>) {
        if let Err(error) = outcome {
            self.fail(&error.to_string());
        }
    }

    /// Ends the process with what went wrong, and exit code 1.
    pub(crate) fn fail(&self, problem: &str) -> ! {
        self.leave(problem, 1)
    }

    /// Ends the process with what is wrong about its arguments, and exit code 2.
    pub(crate) fn refuse(&self, problem: &str) -> ! {
        self.leave(&format!("{problem}\nusage: {}", self.usage), 2)
    }

    fn leave(&self, problem: &str, code: i32) -> ! {
        let name = self.usage.split(' ').next().unwrap_or_default();
        // If nobody reads it, the code still tells.
        let _ = writeln!(io::stderr(), "{name}: {problem}");
        exit(code)
    }
}

/// What a usage names, in its order.
fn known(usage: &'static str) -> Vec<Known> {
    let bare = |word: &'static str| word.trim_matches(['[', ']']);
    let mut words = usage.split(' ').skip(1).peekable();
    let mut known = Vec::new();
    while let Some(word) = words.next() {
        let name = bare(word);
        if let Some((name, default)) = name.split_once('=') {
            known.push((name, Some(default)));
            continue;
        }
        let value = words.next_if(|next| !word.ends_with(']') && !next.starts_with(['[', '-']));
        known.push((name, value.map(bare)));
    }
    known
}
