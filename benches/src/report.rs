//! Medians of rounds, and Markdown tables of ratios.

use std::fmt::Write;

/// What was measured in each round.
#[derive(Debug, Clone, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Adds the figure of one more round.
    pub fn push(&mut self, figure: f64) {
        self.0.push(figure);
    }

    /// The figure in the middle; between the two in the middle, if there are two. No figures, no
    /// number.
    #[must_use]
    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => f64::NAN,
            count if count % 2 == 1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        }
    }

    /// How far the quarter points are apart, in percent of the median: half of the figures lie
    /// within.
    #[must_use]
    pub fn spread_percent(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let quarter = sorted.len() / 4;
        let ends = sorted.get(quarter).zip(sorted.iter().nth_back(quarter));
        ends.map_or(f64::NAN, |(low, high)| 100.0 * (high - low) / self.median())
    }
}

/// A Markdown table.
#[derive(Debug, Clone)]
pub struct Table {
    text: String,
}

impl Table {
    /// A table with these columns; the first two are words, the others numbers.
    #[must_use]
    pub fn new(columns: &[&str]) -> Self {
        Self::with_words(2, columns)
    }

    /// A table with these columns; the first `words` are words, the others numbers.
    #[must_use]
    pub fn with_words(words: usize, columns: &[impl AsRef<str>]) -> Self {
        let mut this = Self {
            text: String::new(),
        };
        this.row(columns);
        let rulers = (0..columns.len()).map(|column| match column < words {
            true => "---",
            false => "---:",
        });
        this.row(&rulers.collect::<Vec<_>>());
        this
    }

    /// Adds a row.
    pub fn row(&mut self, cells: &[impl AsRef<str>]) {
        for cell in cells {
            write!(self.text, "| {} ", cell.as_ref()).expect(GROWS);
        }
        writeln!(self.text, "|").expect(GROWS);
    }

    /// The table as Markdown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// A ratio of two medians, or nothing if there is none.
#[must_use]
pub fn ratio(ours: Option<&Samples>, theirs: &Samples) -> String {
    ours.map_or_else(String::new, |ours| {
        format!("{:.2}", ours.median() / theirs.median())
    })
}

const GROWS: &str = "a string grows";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_and_spread() {
        let samples = Samples(vec![3.0, 1.0, 2.0]);
        assert_eq!(samples.median(), 2.0);
        assert_eq!(samples.spread_percent(), 100.0);
        assert_eq!(
            Samples(vec![90.0, 4.0, 1.0, 5.0, 6.0]).spread_percent(),
            40.0
        );
        assert_eq!(Samples(vec![4.0, 1.0, 2.0, 3.0]).median(), 2.5);
    }

    #[test]
    fn ratio_is_ours_over_theirs() {
        let (ours, theirs) = (Samples(vec![1.0]), Samples(vec![2.0]));
        assert_eq!(ratio(Some(&ours), &theirs), "0.50");
        assert_eq!(ratio(None, &theirs), "");
    }

    #[test]
    fn table_is_markdown() {
        let mut table = Table::new(&["a", "b", "c"]);
        table.row(&["x", "y", "1"]);
        assert_eq!(
            table.as_str(),
            "| a | b | c |\n| --- | --- | ---: |\n| x | y | 1 |\n"
        );
    }
}
