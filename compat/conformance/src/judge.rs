//! Whether a run is good enough, beside that no test failed that should not.
//!
//! Place: called by `report` with what it has counted.
//!
//! # Why it is so
//! Without a baseline a file that loses its tests (it does not list them, a `cfg` leaves them out, an
//! area is not looked for) would only make the table shorter. Without a share, a list of exceptions
//! could grow until nothing is left.

use std::collections::BTreeMap;

use crate::area::Area;

/// The verdicts of an area, or of all.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) not_applicable: usize,
    /// Left out by the suite itself.
    pub(crate) ignored: usize,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.not_applicable += other.not_applicable;
        self.ignored += other.ignored;
    }

    /// All that ran, whatever came of it.
    pub(crate) fn executed(self) -> usize {
        self.passed + self.failed + self.not_applicable
    }

    /// What passed of all that ran, in hundredths of a per cent, rounded down: 98.00 % are 98 % and
    /// not 97.996 %.
    pub(crate) fn passed_basis_points(self) -> usize {
        (10_000 * self.passed)
            .checked_div(self.executed())
            .unwrap_or_default()
    }
}

/// What falls short, a line for each; nothing if the run is good. `wanted` are the areas that were
/// asked for: those of `Area::ALL` if the run is full, and only then its total is looked at.
pub(crate) fn shortfalls(
    areas: &BTreeMap<Area, Counts>,
    wanted: impl Fn(Area) -> bool,
    is_full: bool,
) -> Vec<String> {
    let mut shortfalls = Vec::new();
    let mut total = Counts::default();
    for area in Area::all().filter(|area| wanted(*area)) {
        let counts = areas.get(&area).copied().unwrap_or_default();
        total.add(counts);
        let (executed, baseline) = (counts.executed(), area.baseline());
        if executed < baseline {
            shortfalls.push(format!(
                "{}: {executed} tests ran, and {baseline} should: some were lost",
                area.name()
            ));
        }
        shortfalls.extend(low_share(area.name(), counts, AREA_BASIS_POINTS_MIN));
    }
    if is_full {
        shortfalls.extend(low_share("all", total, TOTAL_BASIS_POINTS_MIN));
    }
    shortfalls
}

fn low_share(name: &str, counts: Counts, basis_points_min: usize) -> Option<String> {
    let share = counts.passed_basis_points();
    (share < basis_points_min).then(|| {
        format!(
            "{name}: {} passed, and {} should",
            percent(share),
            percent(basis_points_min)
        )
    })
}

/// As it stands in the table.
pub(crate) fn percent(basis_points: usize) -> String {
    format!("{}.{:02} %", basis_points / 100, basis_points % 100)
}

/// The share of all tests that has to pass.
const TOTAL_BASIS_POINTS_MIN: usize = 9_800;
/// The share of each area's tests that has to pass.
const AREA_BASIS_POINTS_MIN: usize = 9_500;

#[cfg(test)]
mod tests {
    use super::*;

    fn all_at_baseline() -> BTreeMap<Area, Counts> {
        let passed = |area: Area| Counts {
            passed: area.baseline(),
            ..Counts::default()
        };
        Area::all().map(|area| (area, passed(area))).collect()
    }

    fn fail(areas: &mut BTreeMap<Area, Counts>, area: Area, tests: usize) {
        let counts = areas.get_mut(&area).unwrap();
        counts.passed -= tests;
        counts.not_applicable += tests;
    }

    fn shortfalls_of_all(areas: &BTreeMap<Area, Counts>) -> Vec<String> {
        shortfalls(areas, |_| true, true)
    }

    #[test]
    fn the_baseline_itself_is_good() {
        assert_eq!(shortfalls_of_all(&all_at_baseline()), [""; 0]);
    }

    #[test]
    fn a_lost_test_is_told_by_its_area() {
        let mut areas = all_at_baseline();
        areas.get_mut(&Area::Signal).unwrap().passed -= 1;
        assert_eq!(
            shortfalls_of_all(&areas),
            ["signal: 10 tests ran, and 11 should: some were lost"]
        );
    }

    #[test]
    fn a_test_that_the_suite_ignores_did_not_run() {
        let mut areas = all_at_baseline();
        let counts = areas.get_mut(&Area::Signal).unwrap();
        counts.passed -= 1;
        counts.ignored += 1;
        assert_eq!(shortfalls_of_all(&areas).len(), 1);
    }

    #[test]
    fn an_area_without_any_file_is_told() {
        let mut areas = all_at_baseline();
        areas.remove(&Area::Process);
        let told = shortfalls_of_all(&areas);
        assert_eq!(
            told,
            [
                "process: 0 tests ran, and 12 should: some were lost",
                "process: 0.00 % passed, and 95.00 % should"
            ]
        );
    }

    #[test]
    fn an_area_below_its_share_is_told_even_if_all_are_listed() {
        let mut areas = all_at_baseline();
        // 28 of 29 are 96.55 %, 27 are 93.10 %.
        fail(&mut areas, Area::NetUdp, 1);
        assert_eq!(shortfalls_of_all(&areas), [""; 0]);
        fail(&mut areas, Area::NetUdp, 1);
        assert_eq!(
            shortfalls_of_all(&areas),
            ["net-udp: 93.10 % passed, and 95.00 % should"]
        );
    }

    #[test]
    fn a_total_below_its_share_is_told_by_a_full_run_alone() {
        let mut areas = all_at_baseline();
        for (area, tests) in [(Area::Sync, 19), (Area::Rt, 15), (Area::Io, 9)] {
            fail(&mut areas, area, tests);
        }
        assert_eq!(
            shortfalls_of_all(&areas),
            ["all: 97.70 % passed, and 98.00 % should"]
        );
        assert_eq!(shortfalls(&areas, |_| true, false), [""; 0]);
    }

    #[test]
    fn areas_that_were_not_asked_for_do_not_count() {
        let mut areas = all_at_baseline();
        areas.retain(|area, _| *area == Area::Fs);
        assert_eq!(shortfalls(&areas, |area| area == Area::Fs, false), [""; 0]);
    }

    #[test]
    fn a_share_is_rounded_down() {
        let counts = Counts {
            passed: 48_998,
            failed: 1_002,
            ..Counts::default()
        };
        assert_eq!(percent(counts.passed_basis_points()), "97.99 %");
        assert_eq!(Counts::default().passed_basis_points(), 0);
    }
}
