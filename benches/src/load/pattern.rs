//! What connections send: streams of bytes without order that begin at different places of one
//! pattern.
//!
//! # Why it is so
//! Any part of a stream is a slice, so messages need not be made before they are sent, nor kept
//! until they are back. The period is a prime: a message that is lost, doubled or swapped with
//! another is at a place where other bytes are expected.

#[derive(Debug)]
pub(super) struct Pattern(Vec<u8>);

impl Pattern {
    /// Parts of up to `part_bytes` can be had.
    pub(super) fn new(part_bytes: usize) -> Self {
        let words = (0..PERIOD.div_ceil(size_of::<u64>())).scan(1_u64, |word, _| {
            *word = word.wrapping_mul(MULTIPLIER).wrapping_add(1);
            Some(word.to_ne_bytes())
        });
        let period: Vec<u8> = words.flatten().take(PERIOD).collect();
        Self(
            period
                .into_iter()
                .cycle()
                .take(PERIOD + part_bytes)
                .collect(),
        )
    }

    /// The `bytes` bytes of a stream that begin at `at`.
    pub(super) fn part(&self, stream: usize, at: u64, bytes: usize) -> &[u8] {
        let begin = (stream * STREAMS_APART + (at % PERIOD as u64) as usize) % PERIOD;
        &self.0[begin..][..bytes]
    }
}

/// A prime.
const PERIOD: usize = 8191;
/// Neighbours differ, and so do connections that lie far apart: it has no factor in common with the
/// period.
const STREAMS_APART: usize = 61;
/// Of Knuth's linear congruential generator.
const MULTIPLIER: u64 = 6_364_136_223_846_793_005;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_continue_each_other() {
        let pattern = Pattern::new(PERIOD * 2);
        let whole = pattern.part(3, 100, PERIOD * 2).to_vec();
        for at in [0, 1, 4000, PERIOD - 1, PERIOD, PERIOD + 7] {
            let part = pattern.part(3, 100 + at as u64, 64);
            assert_eq!(part, &whole[at..][..64], "at {at}");
        }
    }

    #[test]
    fn neighbours_and_messages_that_follow_each_other_differ() {
        let pattern = Pattern::new(64 << 10);
        for bytes in [64, 1 << 10, 64 << 10] {
            let message = |stream, number: u64| pattern.part(stream, number * bytes as u64, bytes);
            assert_ne!(message(0, 0), message(1, 0));
            assert_ne!(message(0, 0), message(0, 1));
            assert_ne!(message(0, 1), message(0, 2));
        }
    }
}
