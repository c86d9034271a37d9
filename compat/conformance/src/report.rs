//! Counting verdicts, and saying what they come to.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::area::Area;
use crate::exceptions::Exceptions;
use crate::judge::{self, Counts, percent};
use crate::run::{Outcome, Verdict};
use crate::suite::File;

/// The verdicts of all files so far.
#[derive(Default)]
pub(crate) struct Report {
    areas: BTreeMap<Area, Counts>,
    /// Failed, and not on the list.
    failures: Vec<String>,
    passed_alone: Vec<String>,
    /// On the list, and passed all the same.
    needless: Vec<String>,
    /// What falls short of the baseline.
    shortfalls: Vec<String>,
}

impl Report {
    pub(crate) fn add(&mut self, file: &File, outcome: Outcome, exceptions: &Exceptions) {
        let counts = self.areas.entry(file.area).or_default();
        for (name, verdict) in outcome {
            let name = format!("{}::{name}", file.name);
            let is_listed = exceptions.contains_key(&name);
            match verdict {
                Verdict::Passed | Verdict::PassedAlone => {
                    counts.passed += 1;
                    if is_listed {
                        self.needless.push(name.clone());
                    }
                    if verdict == Verdict::PassedAlone {
                        self.passed_alone.push(name);
                    }
                }
                Verdict::Ignored => counts.ignored += 1,
                Verdict::Failed if is_listed => counts.not_applicable += 1,
                Verdict::Failed => {
                    counts.failed += 1;
                    self.failures.push(name);
                }
            }
        }
    }

    /// Holds the counts against the baseline. What falls short is told by [`text`](Self::text).
    pub(crate) fn judge(&mut self, wanted: impl Fn(Area) -> bool, is_full: bool) {
        self.shortfalls = judge::shortfalls(&self.areas, wanted, is_full);
    }

    /// Whether nothing failed that should not, and nothing falls short.
    pub(crate) fn is_good(&self) -> bool {
        self.failures.is_empty() && self.shortfalls.is_empty()
    }

    /// The table, and the lists of what stands out.
    pub(crate) fn text(&self) -> String {
        let mut text = String::from(
            "| area | passed | failed | not applicable | share passed | ignored by the suite |\n",
        );
        text += "| --- | ---: | ---: | ---: | ---: | ---: |\n";
        let mut sum = Counts::default();
        for (area, counts) in &self.areas {
            row(&mut text, area.name(), *counts);
            sum.add(*counts);
        }
        row(&mut text, "all", sum);
        for (title, tests) in [
            ("Failed", &self.failures),
            ("Falls short", &self.shortfalls),
            ("Passed only when run alone", &self.passed_alone),
            ("Passed although listed as not applicable", &self.needless),
        ] {
            if !tests.is_empty() {
                write!(text, "\n{title}:\n  {}\n", tests.join("\n  ")).expect(GROWS);
            }
        }
        text
    }
}

fn row(text: &mut String, name: &str, counts: Counts) {
    let Counts {
        passed,
        failed,
        not_applicable,
        ignored,
    } = counts;
    let share = percent(counts.passed_basis_points());
    writeln!(
        text,
        "| {name} | {passed} | {failed} | {not_applicable} | {share} | {ignored} |"
    )
    .expect(GROWS);
}

const GROWS: &str = "a string grows";
