//! Signal handlers.

use std::ffi::c_int;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use signal_hook_registry::{FORBIDDEN, SigId};

use super::pipes;
use crate::primitive::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use crate::primitive::sync::Mutex;

pub(crate) use libc::{
    SIGALRM, SIGCHLD, SIGHUP, SIGINT, SIGIO, SIGPIPE, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH,
};

/// A byte for each occurrence of a signal, until dropped.
///
/// The first byte is there at once if the signal came [just before](GAP) and nobody listened: who
/// drops a listener and makes another one misses nothing in between.
#[derive(Debug)]
pub(crate) struct Handler {
    action: SigId,
    missed: &'static Missed,
}

impl Handler {
    /// Installs it, with a pipe that it alone writes to.
    pub(crate) fn install(signal: c_int, pipe: OwnedFd) -> io::Result<Self> {
        let missed = usize::try_from(signal).ok().and_then(|it| MISSED.get(it));
        let Some(missed) = missed.filter(|_| signal > 0 && !FORBIDDEN.contains(&signal)) else {
            let text = format!("Refusing to register signal {signal}: it cannot be caught");
            return Err(io::Error::other(text));
        };
        missed.watch(signal)?;
        // Two ends of one pipe: the first byte may have to be written here.
        let first = pipe.try_clone()?;
        let tell = move || {
            // A full pipe tells of the signal as well.
            let _ = pipes::write(&pipe, &[1]);
        };
        // SAFETY: the action does what is safe in a signal handler (signal-safety(7)): one write(2)
        // to a descriptor that it owns; it does not allocate, lock or panic.
        let action = unsafe { signal_hook_registry::register(signal, tell) }?;
        if missed.add_listener() {
            let _ = pipes::write(&first, &[1]);
        }
        Ok(Self { action, missed })
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        self.missed.listeners.fetch_sub(1, Relaxed);
        signal_hook_registry::unregister(self.action);
    }
}

/// When a signal last came that nobody listened to.
///
/// All is relaxed: a signal comes at no particular time, and one that is taken for a missed one as
/// well counts once all the same.
#[derive(Debug)]
struct Missed {
    listeners: AtomicU32,
    /// Milliseconds since the first signal was watched, plus one; 0 for none.
    at: AtomicU64,
    is_watched: Mutex<bool>,
}

impl Missed {
    const fn new() -> Self {
        Self {
            listeners: AtomicU32::new(0),
            at: AtomicU64::new(0),
            is_watched: Mutex::new(false),
        }
    }

    /// Notes from now on when the signal comes and nobody listens.
    fn watch(&'static self, signal: c_int) -> io::Result<()> {
        let mut is_watched = self.is_watched.lock();
        if !*is_watched {
            let start = *START.get_or_init(Instant::now);
            let note = move || {
                if self.listeners.load(Relaxed) == 0 {
                    self.at.store(millis_since(start), Relaxed);
                }
            };
            // SAFETY: the action does what is safe in a signal handler (signal-safety(7)): it reads
            // the clock with clock_gettime(2) and accesses two atomics; it does not allocate, lock
            // or panic.
            unsafe { signal_hook_registry::register(signal, note) }?;
            *is_watched = true;
        }
        Ok(())
    }

    /// One more listens. True if a signal has just been missed.
    fn add_listener(&self) -> bool {
        self.listeners.fetch_add(1, Relaxed);
        let at = self.at.swap(0, Relaxed);
        let now = START.get().map_or(0, |&start| millis_since(start));
        at != 0 && u128::from(now.saturating_sub(at)) <= GAP.as_millis()
    }
}

fn millis_since(start: Instant) -> u64 {
    let millis = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    millis.saturating_add(1)
}

static START: OnceLock<Instant> = OnceLock::new();
/// By number: Linux has signals up to 64, others fewer.
static MISSED: [Missed; 65] = [const { Missed::new() }; 65];
/// How long ago a signal may have come to be given to the next listener: more than the time between
/// the end of one listener and the start of the next in one task, less than a person notices.
const GAP: Duration = Duration::from_millis(100);
