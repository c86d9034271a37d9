//! Which live connections leave a loop that has more to do than another.
//!
//! Place: called by each loop's serving task at every interval, about its own connections.
//!
//! # Invariants
//! - A loop gives connections away and never takes any: what belongs to another loop is not touched.
//! - No move makes the gap between the two loops wider, and one that turns it around at least
//!   halves it. So a connection that is heavier than the gap stays, and moves die out.
//!
//! # Why it is so
//! Tasks are not stolen, because a task may hold on to its loop in ways that nobody sees. A
//! connection at a checkpoint is different: its handler has said that the stream and one value are
//! all there is. The gap is measured in processor time, not in connections, because eight busy ones
//! weigh more than eight hundred idle ones. A gap is acted upon only if it is there in four
//! intervals in a row: one is short enough for a single request to look like a load. On a
//! machine whose processors are wanted by others too, time says less: a connection that comes back
//! therefore stays longer each time, so that moves die out whatever the figures say. One that was
//! told to leave and reaches no checkpoint before the next look is passed over until it has reached
//! one and another has left in its place: it would be the best to leave every time, and none would
//! go.

use std::time::Duration;

/// When and how fast live connections are moved to loops that have less to do: options for
/// [`Listeners::serve_movable`](super::Listeners::serve_movable).
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct Rebalance {
    pub(super) interval: Duration,
    pub(super) residency_min: Duration,
    pub(super) moves_per_second_max: u32,
    pub(super) gap_percent_min: u32,
}

impl Rebalance {
    /// The defaults.
    pub const fn new() -> Self {
        Self {
            interval: Duration::from_millis(250),
            residency_min: Duration::from_secs(1),
            moves_per_second_max: 16,
            gap_percent_min: 10,
        }
    }

    /// How often a loop compares itself with the others. Default: 250 ms; between 10 ms
    /// and an hour.
    pub fn with_interval(self, interval: Duration) -> Self {
        let interval = interval.clamp(INTERVAL_MIN, INTERVAL_MAX);
        Self { interval, ..self }
    }

    /// How long a connection stays on a loop at least, before it may be moved. Default: 1 s.
    /// Each move doubles it for that connection, up to 64 times; a stay of eight times what was
    /// due forgets the moves before.
    pub fn with_residency_min(self, residency_min: Duration) -> Self {
        Self {
            residency_min,
            ..self
        }
    }

    /// What is due after so many moves.
    pub(super) fn residency(&self, moves: u32) -> Duration {
        self.residency_min
            .saturating_mul(1 << moves.min(DOUBLINGS_MAX))
    }

    /// The moves that count, after one that ended a stay.
    pub(super) fn moves_after(&self, moves: u32, stay: Duration) -> u32 {
        let is_long = stay >= self.residency(moves).saturating_mul(FORGOTTEN_AFTER);
        if is_long { 1 } else { moves.saturating_add(1) }
    }

    /// How many connections a loop moves away in a second at most. Default: 16. 0 switches moves
    /// off.
    pub fn with_moves_per_second_max(self, moves_per_second_max: u32) -> Self {
        Self {
            moves_per_second_max,
            ..self
        }
    }

    /// By how much of a processor's time a loop has to be busier than another before it moves
    /// anything, in percent. Default: 10.
    pub fn with_gap_percent_min(self, gap_percent_min: u32) -> Self {
        Self {
            gap_percent_min,
            ..self
        }
    }
}

impl Default for Rebalance {
    fn default() -> Self {
        Self::new()
    }
}

/// A share of a processor's time, in parts per million.
pub(super) type Share = u64;

pub(super) const WHOLE: Share = 1_000_000;

/// What part of a period a time is.
pub(super) fn share(time: Duration, period: Duration) -> Share {
    let whole = u128::from(WHOLE) * time.as_nanos();
    let share = whole.checked_div(period.as_nanos()).unwrap_or(0);
    u64::try_from(share).map_or(WHOLE, |share| share.min(WHOLE))
}

/// The moves that even out the loops: pairs of a position in `connections` and one in `others`.
///
/// `own` and `others` are shares of the loops, `connections` those of the connections that may
/// leave.
pub(super) fn moves(
    mut own: Share,
    others: &mut [Share],
    connections: &[Share],
    gap_min: Share,
    moves_max: usize,
) -> Vec<(usize, usize)> {
    let mut left: Vec<usize> = (0..connections.len()).collect();
    let mut moves = Vec::new();
    while moves.len() < moves_max {
        let Some(to) = (0..others.len()).min_by_key(|&at| others[at]) else {
            break;
        };
        let gap = own.saturating_sub(others[to]);
        let fits = |share: Share| share > 0 && share <= gap / 4 * 3;
        let best = (0..left.len())
            .filter(|&at| fits(connections[left[at]]))
            .min_by_key(|&at| connections[left[at]].abs_diff(gap / 2));
        let (true, Some(best)) = (gap >= gap_min.max(1), best) else {
            break;
        };
        let connection = left.swap_remove(best);
        own -= connections[connection].min(own);
        others[to] += connections[connection];
        moves.push((connection, to));
    }
    moves
}

/// What a loop may still move: fills up with time, holds a second's worth at most.
#[derive(Debug)]
pub(super) struct Budget {
    per_second: u32,
    /// In parts of a move: a nanosecond brings `per_second` of them, a move costs a second's.
    saved: u128,
}

impl Budget {
    pub(super) fn new(per_second: u32) -> Self {
        Self {
            per_second,
            saved: 0,
        }
    }

    pub(super) fn fill(&mut self, time: Duration) {
        let more = time.as_nanos() * u128::from(self.per_second);
        let most = MOVE * u128::from(self.per_second);
        self.saved = self.saved.saturating_add(more).min(most);
    }

    /// Moves that may be made now.
    pub(super) fn moves(&self) -> usize {
        usize::try_from(self.saved / MOVE).unwrap_or(usize::MAX)
    }

    pub(super) fn spend(&mut self) {
        self.saved = self.saved.saturating_sub(MOVE);
    }

    /// A move that was decided did not come about.
    pub(super) fn refund(&mut self) {
        self.saved += MOVE;
        self.fill(Duration::ZERO);
    }
}

const MOVE: u128 = Duration::from_secs(1).as_nanos();
/// Moves that lengthen a connection's stay.
const DOUBLINGS_MAX: u32 = 6;
/// Stays as long as so many that were due forget the moves before.
const FORGOTTEN_AFTER: u32 = 8;
const INTERVAL_MIN: Duration = Duration::from_millis(10);
const INTERVAL_MAX: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    const PERCENT: Share = WHOLE / 100;

    #[test]
    fn equal_connections_are_spread_evenly() {
        for share in [5, 12] {
            let connections = [share * PERCENT; 8];
            let mut others = [0];
            let moves = moves(
                8 * share * PERCENT,
                &mut others,
                &connections,
                5 * PERCENT,
                100,
            );
            assert_eq!(moves.len(), 4, "{share} %");
            assert_eq!(others, [4 * share * PERCENT]);
        }
    }

    #[test]
    fn connections_go_where_there_is_least_to_do() {
        let mut others = [30 * PERCENT, 0, 10 * PERCENT];
        let made = moves(80 * PERCENT, &mut others, &[10 * PERCENT; 8], PERCENT, 100);
        assert_eq!(made.len(), 5);
        assert_eq!(others, [30 * PERCENT; 3]);
    }

    #[test]
    fn nothing_flaps_when_loops_are_nearly_even_or_a_connection_is_too_heavy() {
        let even = moves(
            45 * PERCENT,
            &mut [40 * PERCENT],
            &[5 * PERCENT; 9],
            10 * PERCENT,
            9,
        );
        assert_eq!(even, []);
        // The one heavy connection would only move the trouble.
        let heavy = moves(90 * PERCENT, &mut [0], &[90 * PERCENT], 10 * PERCENT, 9);
        assert_eq!(heavy, []);
        let idle = moves(90 * PERCENT, &mut [0], &[0; 5], 10 * PERCENT, 9);
        assert_eq!(idle, []);
    }

    #[test]
    fn every_sequence_of_moves_comes_to_rest() {
        // Two loops take turns; what one gives away the other may give back.
        let mut loops = [vec![31, 17, 17, 9, 5, 3, 2, 2, 1], vec![]];
        let mut rounds = 0;
        loop {
            let mut moved = 0;
            for from in [0, 1] {
                let sums = [0, 1].map(|at: usize| loops[at].iter().sum::<u64>() * PERCENT);
                let shares: Vec<Share> = loops[from].iter().map(|it| it * PERCENT).collect();
                let mut others = [sums[1 - from]];
                let mut made = moves(sums[from], &mut others, &shares, 5 * PERCENT, 2);
                made.sort_unstable();
                for (connection, _) in made.into_iter().rev() {
                    let weight = loops[from].remove(connection);
                    loops[1 - from].push(weight);
                    moved += 1;
                }
            }
            rounds += 1;
            if moved == 0 {
                break;
            }
            assert!(rounds < 20, "{loops:?}");
        }
        let sums = loops.map(|it| it.iter().sum::<u64>());
        assert!(sums[0].abs_diff(sums[1]) <= 5, "{sums:?}");
    }

    #[test]
    fn who_moves_often_stays_longer_until_a_long_stay() {
        let options = Rebalance::new().with_residency_min(Duration::from_millis(100));
        let due = |moves| options.residency(moves).as_millis();
        assert_eq!(
            [due(0), due(1), due(3), due(6), due(60)],
            [100, 200, 800, 6400, 6400]
        );
        let short = Duration::from_millis(799);
        assert_eq!(options.moves_after(0, short), 1);
        assert_eq!(options.moves_after(5, short), 6);
        assert_eq!(options.moves_after(u32::MAX, short), u32::MAX);
        assert_eq!(options.moves_after(5, 8 * options.residency(5)), 1);
    }

    #[test]
    fn budget_holds_a_second_at_most() {
        let mut budget = Budget::new(4);
        budget.fill(Duration::from_millis(249));
        assert_eq!(budget.moves(), 0);
        budget.fill(Duration::from_millis(1));
        assert_eq!(budget.moves(), 1);
        budget.fill(Duration::from_secs(100));
        assert_eq!(budget.moves(), 4);
        budget.spend();
        assert_eq!(budget.moves(), 3);
        budget.refund();
        budget.refund();
        assert_eq!(budget.moves(), 4);
    }
}
