//! A sudoku solver: sets of digits as bits, the cell with the fewest of them first.

/// Digits tried at most for one board: a second's work or so. A board made to be hard for this
/// order of cells would otherwise occupy a thread for hours.
const TRIES_MAX: u64 = 20_000_000;

/// All nine digits.
const ALL: u16 = 0b1_1111_1111;

/// A board, cells row by row: 0 is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Board {
    cells: [u8; 81],
    /// The digits that a row, a column, a box has, as bits.
    rows: [u16; 9],
    columns: [u16; 9],
    boxes: [u16; 9],
}

#[derive(Debug)]
pub(crate) enum Outcome {
    Solved(Board),
    Impossible,
    /// Not within the limit of tries.
    GaveUp,
}

impl Board {
    /// Reads 81 digits. `None` if they are not, or if a digit stands twice where it must not.
    pub(crate) fn parse(digits: &[u8]) -> Option<Self> {
        let digits: &[u8; 81] = digits.try_into().ok()?;
        let mut board = Self {
            cells: [0; 81],
            rows: [0; 9],
            columns: [0; 9],
            boxes: [0; 9],
        };
        for (cell, &digit) in digits.iter().enumerate() {
            match digit {
                b'.' | b'0' => {}
                b'1'..=b'9' => {
                    let digit = digit - b'0';
                    if board.possible(cell) & bit(digit) == 0 {
                        return None;
                    }
                    board.set(cell, digit);
                }
                _ => return None,
            }
        }
        Some(board)
    }

    pub(crate) fn digits(&self) -> [u8; 81] {
        self.cells.map(|digit| digit + b'0')
    }

    /// Fills all cells.
    pub(crate) fn solve(mut self) -> Outcome {
        let mut tries = TRIES_MAX;
        match self.fill(&mut tries) {
            true => Outcome::Solved(self),
            false if tries == 0 => Outcome::GaveUp,
            false => Outcome::Impossible,
        }
    }

    /// Fills the rest. Not deeper than there are cells.
    fn fill(&mut self, tries: &mut u64) -> bool {
        let Some((cell, mut possible)) = self.tightest() else {
            return true;
        };
        while possible != 0 && *tries > 0 {
            *tries -= 1;
            let lowest = possible & possible.wrapping_neg();
            possible ^= lowest;
            let digit = u8::try_from(lowest.trailing_zeros() + 1).unwrap_or(0);
            self.set(cell, digit);
            if self.fill(tries) {
                return true;
            }
            self.clear(cell);
        }
        false
    }

    /// The empty cell with the fewest possible digits, and those.
    fn tightest(&self) -> Option<(usize, u16)> {
        let empty = (0..81).filter(|&cell| self.cells[cell] == 0);
        let mut best: Option<(usize, u16)> = None;
        for cell in empty {
            let possible = self.possible(cell);
            if best.is_none_or(|(_, least)| possible.count_ones() < least.count_ones()) {
                best = Some((cell, possible));
                if possible.count_ones() <= 1 {
                    break;
                }
            }
        }
        best
    }

    fn possible(&self, cell: usize) -> u16 {
        let (row, column) = (cell / 9, cell % 9);
        ALL & !(self.rows[row] | self.columns[column] | self.boxes[box_of(cell)])
    }

    fn set(&mut self, cell: usize, digit: u8) {
        self.cells[cell] = digit;
        self.flip(cell, digit);
    }

    fn clear(&mut self, cell: usize) {
        self.flip(cell, self.cells[cell]);
        self.cells[cell] = 0;
    }

    fn flip(&mut self, cell: usize, digit: u8) {
        self.rows[cell / 9] ^= bit(digit);
        self.columns[cell % 9] ^= bit(digit);
        self.boxes[box_of(cell)] ^= bit(digit);
    }
}

fn box_of(cell: usize) -> usize {
    cell / 27 * 3 + cell % 9 / 3
}

fn bit(digit: u8) -> u16 {
    1 << (digit - 1)
}
