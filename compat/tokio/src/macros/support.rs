pub use std::future::{Future, IntoFuture, poll_fn};
pub use std::pin::Pin;
pub use std::task::{Context, Poll};

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

/// Waits while the task has no budget: the branches could only answer "pending".
pub fn poll_budget_available(cx: &mut Context<'_>) -> Poll<()> {
    // Asked for and given back at once.
    oneloop::task::coop::poll_proceed(cx).map(drop)
}

/// A number below `count`: which branch of a `select!` is polled first.
pub fn random_below(count: usize) -> usize {
    thread_local! {
        static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(0_u8) | 1);
    }
    // xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators").
    let next = STATE.try_with(|state| {
        let mut word = state.get();
        word ^= word >> 12;
        word ^= word << 25;
        word ^= word >> 27;
        state.set(word);
        word.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33
    });
    // A thread that is ending polls the first branch first.
    let next = usize::try_from(next.unwrap_or(0)).unwrap_or(0);
    next % count.max(1)
}

/// A future, and after its end its output.
#[derive(Debug)]
pub enum MaybeDone<F: Future> {
    /// It has not ended.
    Running(F),
    /// It has ended.
    Done(F::Output),
    /// Its output was taken.
    Taken,
}

/// A future of a `join!`.
pub fn maybe_done<F: IntoFuture>(future: F) -> MaybeDone<F::IntoFuture> {
    MaybeDone::Running(future.into_future())
}

impl<F: Future> MaybeDone<F> {
    /// Polls the future unless it has ended. True if it has.
    ///
    /// # Panics
    ///
    /// Those of the future.
    pub fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> bool {
        // SAFETY: the future is not moved out: it is polled in its place, and dropped there by the
        // assignment when it has ended. An output is no pinned value.
        let this = unsafe { self.get_unchecked_mut() };
        let Self::Running(future) = this else {
            return true;
        };
        // SAFETY: as above.
        let polled = unsafe { Pin::new_unchecked(future) }.poll(cx);
        let Poll::Ready(output) = polled else {
            return false;
        };
        *this = Self::Done(output);
        true
    }

    fn project(self: Pin<&mut Self>) -> &mut Self {
        // SAFETY: the callers look at outputs alone, which are no pinned values.
        unsafe { self.get_unchecked_mut() }
    }

    /// The output, if it is there.
    pub fn output_mut(self: Pin<&mut Self>) -> Option<&mut F::Output> {
        match self.project() {
            Self::Done(output) => Some(output),
            Self::Running(_) | Self::Taken => None,
        }
    }

    /// Takes the output.
    pub fn take_output(self: Pin<&mut Self>) -> Option<F::Output> {
        let this = self.project();
        if !matches!(this, Self::Done(_)) {
            return None;
        }
        match std::mem::replace(this, Self::Taken) {
            Self::Done(output) => Some(output),
            Self::Running(_) | Self::Taken => None,
        }
    }
}

/// Which future of a `join!` is polled first: each time another one, so that none is kept from its
/// turn by one before it that uses up the budget.
#[derive(Debug, Default)]
pub struct TakingTurns {
    first: u32,
}

/// Which future of a biased `join!` is polled first.
#[derive(Debug, Default)]
pub struct Biased;

/// See [`TakingTurns`].
pub trait Order {
    /// The first of `count` futures in this poll.
    fn first(&mut self, count: usize) -> usize;
}

impl Order for TakingTurns {
    fn first(&mut self, count: usize) -> usize {
        let first = self.first as usize;
        self.first = if first + 1 == count {
            0
        } else {
            self.first + 1
        };
        first
    }
}

impl Order for Biased {
    fn first(&mut self, _count: usize) -> usize {
        0
    }
}
