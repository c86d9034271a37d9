//! Who goes after whom: all that are compared take turns, each time in another order.
//!
//! Place: called by the program that compares and by [`http`](crate::http), once for each slice or
//! round.
//!
//! # Why it is so
//! What a server leaves in the caches, and how warm it leaves the core, is met by the next one. In a
//! fixed order that is always the same one. To begin each time with another is not enough: in a
//! circle each stays behind its neighbour. So the order goes to and fro between both sides of the one
//! that begins (Williams 1949), which puts each behind each other one equally often.

use std::io;

/// Lets each one act, in the order of this turn. One that fails is taken out and handed over at once,
/// with its error; the others stay as they were placed.
pub fn take_turns<T>(
    all: &mut Vec<T>,
    turn: usize,
    mut act: impl FnMut(&mut T) -> io::Result<()>,
    mut failed: impl FnMut(T, io::Error),
) {
    let mut places: Vec<Option<T>> = all.drain(..).map(Some).collect();
    for at in order(places.len(), turn) {
        let place = &mut places[at];
        if let Some(Err(error)) = place.as_mut().map(&mut act)
            && let Some(out) = place.take()
        {
            failed(out, error);
        }
    }
    all.extend(places.into_iter().flatten());
}

/// The places from the one that begins: the next, the one before, the second next, and so on. An odd
/// number of places needs the mirror image too, so it comes after all have begun.
fn order(count: usize, turn: usize) -> impl Iterator<Item = usize> {
    let is_mirrored = count != 0 && (turn / count) % 2 == 1;
    (0..count).map(move |step| {
        let distance = step.div_ceil(2);
        let is_after = (step % 2 == 1) != is_mirrored;
        match is_after {
            true => (turn % count + distance) % count,
            false => (turn % count + count - distance) % count,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_at_each_place_and_behind_each_other_one_equally_often() {
        for count in 1..=16 {
            let mut at_place = vec![vec![0; count]; count];
            let mut behind = vec![vec![0; count]; count];
            for turn in 0..2 * count {
                let order: Vec<_> = order(count, turn).collect();
                assert_eq!(order[0], turn % count);
                for (place, &one) in order.iter().enumerate() {
                    at_place[one][place] += 1;
                }
                for pair in order.windows(2) {
                    behind[pair[1]][pair[0]] += 1;
                }
            }
            for one in 0..count {
                assert_eq!(at_place[one], vec![2; count], "{one} of {count}");
                for other in (0..count).filter(|&other| other != one) {
                    assert_eq!(behind[one][other], 2, "{one} behind {other} of {count}");
                }
            }
        }
    }

    #[test]
    fn one_that_fails_is_out_and_the_others_stay_in_place() {
        let mut all = vec!["a", "b", "c", "d"];
        let (mut acted, mut out) = (Vec::new(), Vec::new());
        take_turns(
            &mut all,
            1,
            |one| {
                acted.push(*one);
                match *one {
                    "c" => Err(io::Error::other("refused")),
                    _ => Ok(()),
                }
            },
            |one, error| out.push(format!("{one}: {error}")),
        );
        assert_eq!(acted, ["b", "c", "a", "d"]);
        assert_eq!(all, ["a", "b", "d"]);
        assert_eq!(out, ["c: refused"]);
    }

    #[test]
    fn nobody_takes_no_turn() {
        take_turns::<()>(&mut Vec::new(), 3, |()| unreachable!(), |(), _| ());
    }
}
