//! What the small figures are to be: bounds, and whether a run is within them.
//!
//! Place: fed and printed by `ratios`.

use crate::report::{Samples, Table};

/// The figures of one run.
#[derive(Debug, Default)]
pub struct Found(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    workload: &'static str,
    unit: &'static str,
    runtime: &'static str,
    median: f64,
}

impl Found {
    /// Adds what one runtime needed for one workload.
    pub fn add(
        &mut self,
        workload: &'static str,
        unit: &'static str,
        runtime: &'static str,
        samples: &Samples,
    ) {
        self.0.push(Entry {
            workload,
            unit,
            runtime,
            median: samples.median(),
        });
    }

    fn median(&self, goal: &Goal, runtime: &str) -> Option<f64> {
        let is_it = |entry: &&Entry| {
            (entry.workload, entry.unit, entry.runtime) == (goal.workload, goal.unit, runtime)
        };
        self.0.iter().find(is_it).map(|entry| entry.median)
    }
}

/// A bound on a figure of one runtime, or on its ratio to that of another.
#[derive(Debug)]
pub struct Goal {
    /// The workload's name.
    pub workload: &'static str,
    /// Which of the workload's figures.
    pub unit: &'static str,
    /// Whose figure it is.
    pub ours: &'static str,
    /// Under what it is put. None: it stands for itself.
    pub over: Option<&'static str>,
    /// The most that it may be.
    pub at_most: f64,
}

impl Goal {
    /// The ratio or the figure, if both sides were measured.
    fn figure(&self, found: &Found) -> Option<f64> {
        let ours = found.median(self, self.ours)?;
        match self.over {
            None => Some(ours),
            Some(over) => Some(ours / found.median(self, over)?),
        }
    }
}

/// The goals that a run has figures for, as a table; nothing if there are none.
#[must_use]
pub fn table(goals: &[Goal], found: &Found) -> Option<Table> {
    let mut table = Table::new(&["goal", "of, over", "at most", "is", "met"]);
    let mut is_empty = true;
    for goal in goals {
        let Some(figure) = goal.figure(found) else {
            continue;
        };
        is_empty = false;
        let digits = if goal.over.is_some() { 3 } else { 0 };
        table.row(&[
            format!("{}: {}", goal.workload, goal.unit),
            match goal.over {
                Some(over) => format!("{}, {over}", goal.ours),
                None => goal.ours.to_owned(),
            },
            format!("{:.digits$}", goal.at_most),
            format!("{figure:.digits$}"),
            if figure <= goal.at_most { "yes" } else { "no" }.to_owned(),
        ]);
    }
    (!is_empty).then_some(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(figure: f64) -> Samples {
        let mut samples = Samples::default();
        samples.push(figure);
        samples
    }

    #[test]
    fn ratios_and_figures_are_held_to_their_bounds() {
        let mut found = Found::default();
        found.add("spawn", "ns", "ours", &one(40.0));
        found.add("spawn", "ns", "theirs", &one(100.0));
        found.add("idle", "bytes", "ours", &one(137.0));
        let goal = |workload, unit, over, at_most| Goal {
            workload,
            unit,
            ours: "ours",
            over,
            at_most,
        };
        let goals = [
            goal("spawn", "ns", Some("theirs"), 0.4),
            goal("idle", "bytes", None, 136.0),
            goal("idle", "bytes", Some("theirs"), 1.0),
        ];
        let table = table(&goals, &found).unwrap();
        let rows: Vec<&str> = table.as_str().lines().skip(2).collect();
        assert_eq!(
            rows,
            [
                "| spawn: ns | ours, theirs | 0.400 | 0.400 | yes |",
                "| idle: bytes | ours | 136 | 137 | no |",
            ]
        );
        assert!(super::table(&goals, &Found::default()).is_none());
    }
}
