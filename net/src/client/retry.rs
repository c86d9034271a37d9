//! How often and after what time something that failed is tried again.
//!
//! Place: used by `connector`, and by tasks for operations of their own; runs where its task is
//! polled.
//!
//! ```text
//!  try - failed - wait base - try - failed - wait base * factor - try - ... - wait cap - try
//! ```
//!
//! # Why it is so
//! The jitter is on by default: a thousand clients that lost one server at once would otherwise
//! all come back at once, again and again.

use std::future::Future;
use std::io;
use std::time::Duration;

use oneloop_runtime::runtime::is_shutdown_error;
use oneloop_runtime::time::{Instant, sleep, timeout_at};
use rustix::io::Errno;

use super::random::Random;

/// How the time between two tries is made random.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Jitter {
    /// Not at all: for tests, and where one client alone comes back.
    None,
    /// From nothing to the whole: spreads best.
    #[default]
    Full,
    /// From the half to the whole: some time passes in any case.
    Equal,
}

/// Exponential back-off: how often something is tried, and how long each try waits.
///
/// The policy itself does nothing. [`delays`](Self::delays) are the waits between the tries;
/// [`run`](Self::run) tries an operation by them; [`connect_with`](super::connect_with) connects.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use oneloop_net::client::{Jitter, RetryPolicy};
///
/// let policy = RetryPolicy::new()
///     .base(Duration::from_millis(100))
///     .cap(Duration::from_millis(350))
///     .attempts_max(5)
///     .jitter(Jitter::None);
/// let waits: Vec<u128> = policy.delays().map(|delay| delay.as_millis()).collect();
/// assert_eq!(waits, [100, 200, 350, 350]);
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct RetryPolicy {
    base: Duration,
    factor: f64,
    cap: Duration,
    jitter: Jitter,
    attempts_max: u32,
    deadline: Option<Duration>,
    retry_if: fn(&io::Error) -> bool,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::new()
    }
}

impl RetryPolicy {
    /// Ten tries, with full jitter on waits of 100 ms that double up to 30 s; no deadline; errors
    /// that [`is_transient`] names.
    pub const fn new() -> Self {
        Self {
            base: Duration::from_millis(100),
            factor: 2.0,
            cap: Duration::from_secs(30),
            jitter: Jitter::Full,
            attempts_max: 10,
            deadline: None,
            retry_if: is_transient,
        }
    }

    /// The wait after the first failure. Default: 100 ms.
    pub const fn base(mut self, base: Duration) -> Self {
        self.base = base;
        self
    }

    /// How much longer than the one before each wait is. Default: 2.
    ///
    /// # Panics
    ///
    /// If it is less than 1, or no number.
    #[track_caller]
    pub const fn factor(mut self, factor: f64) -> Self {
        assert!(factor >= 1.0, "`factor` must be at least 1");
        self.factor = factor;
        self
    }

    /// The longest wait. Default: 30 s.
    pub const fn cap(mut self, cap: Duration) -> Self {
        self.cap = cap;
        self
    }

    /// How the waits are made random. Default: [`Jitter::Full`].
    pub const fn jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// How many tries there are at most, the first one included. Default: 10; 0 counts as 1.
    /// `u32::MAX` is for ever, as far as people are concerned.
    pub const fn attempts_max(mut self, tries: u32) -> Self {
        self.attempts_max = if tries == 0 { 1 } else { tries };
        self
    }

    /// The limit of time on all tries and waits together. Default: none.
    pub const fn deadline(mut self, limit: Duration) -> Self {
        self.deadline = Some(limit);
        self
    }

    /// Which errors another try may mend. Default: [`is_transient`].
    pub const fn retry_if(mut self, predicate: fn(&io::Error) -> bool) -> Self {
        self.retry_if = predicate;
        self
    }

    /// The waits between the tries: one less than there are tries. Their jitter is drawn anew for
    /// each call.
    #[must_use]
    pub fn delays(&self) -> Delays {
        self.delays_by(Random::new())
    }

    /// The waits between the tries, with a jitter that is the same for the same seed.
    #[must_use]
    pub fn delays_seeded(&self, seed: u64) -> Delays {
        self.delays_by(Random::from_seed(seed))
    }

    fn delays_by(&self, random: Random) -> Delays {
        Delays {
            left: self.attempts_max - 1,
            next: self.base.min(self.cap),
            factor: self.factor,
            cap: self.cap,
            jitter: self.jitter,
            random,
        }
    }

    /// Calls `operation` until it succeeds, its error cannot be mended, or the policy has no more
    /// tries or time.
    ///
    /// A wait that would last beyond the deadline is not begun; a try that does is cut off.
    ///
    /// # Errors
    ///
    /// That of the last try that ended; `TimedOut` if the first one was cut off by the deadline.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// The try that is under way is dropped with the future.
    pub async fn run<T, F, Fut>(&self, mut operation: F) -> io::Result<T>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = io::Result<T>>,
    {
        let deadline = self
            .deadline
            .and_then(|limit| Instant::now().checked_add(limit));
        let mut delays = self.delays();
        let mut last = None;
        loop {
            let outcome = match deadline {
                None => operation().await,
                Some(deadline) => match timeout_at(deadline, operation()).await {
                    Ok(outcome) => outcome,
                    Err(_elapsed) => return Err(last.unwrap_or_else(out_of_time)),
                },
            };
            let error = match outcome {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            if !(self.retry_if)(&error) {
                return Err(error);
            }
            let Some(delay) = delays.next() else {
                return Err(error);
            };
            let left = deadline.map(|it| it.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left <= delay) {
                return Err(error);
            }
            last = Some(error);
            sleep(delay).await;
        }
    }
}

/// The waits between the tries of a [`RetryPolicy`].
#[derive(Debug, Clone)]
pub struct Delays {
    left: u32,
    /// Before jitter.
    next: Duration,
    factor: f64,
    cap: Duration,
    jitter: Jitter,
    random: Random,
}

impl Iterator for Delays {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        let whole = self.next;
        // The error is an overflow.
        let longer = Duration::try_from_secs_f64(whole.as_secs_f64() * self.factor);
        self.next = longer.unwrap_or(Duration::MAX).min(self.cap);
        Some(match self.jitter {
            Jitter::None => whole,
            Jitter::Full => self.part_of(whole),
            Jitter::Equal => whole / 2 + self.part_of(whole - whole / 2),
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(self.left);
        (left.unwrap_or(usize::MAX), left.ok())
    }
}

impl Delays {
    /// From nothing to `whole`, to the nanosecond. 584 years are the most.
    fn part_of(&mut self, whole: Duration) -> Duration {
        let nanos = u64::try_from(whole.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.random.up_to(nanos))
    }
}

/// Whether trying again may mend the error of a connection: the peer refused, reset or did not
/// answer, there was no way to it, its name was not found, or this machine was out of descriptors,
/// ports or memory.
///
/// It does not where the caller has to change something: input that is invalid, a permission that
/// is missing, what the system does not support; nor once the runtime shuts down.
#[must_use]
pub fn is_transient(error: &io::Error) -> bool {
    let unsupported = [Errno::AFNOSUPPORT, Errno::PROTONOSUPPORT];
    let is_unsupported = unsupported
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()));
    let is_final = matches!(
        error.kind(),
        io::ErrorKind::InvalidInput
            | io::ErrorKind::InvalidData
            | io::ErrorKind::InvalidFilename
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::AlreadyExists
            | io::ErrorKind::NotFound
            | io::ErrorKind::Unsupported
    );
    !is_final && !is_unsupported && !is_shutdown_error(error)
}

fn out_of_time() -> io::Error {
    io::Error::new(
        io::ErrorKind::TimedOut,
        "no try ended before the deadline of the retry policy",
    )
}
