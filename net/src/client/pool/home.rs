//! A loop's part of a pool: how its own thread finds it, and what other threads may tell it.
//!
//! Place: `with_state` on the loop's thread, from `checkout`, `stream` and `reaper`; `Home` on any
//! thread.
//!
//! # Invariants
//! - [`State`] is reached through a local of the loop's thread alone. No borrow of it lasts while
//!   anything of the user's runs (I5).
//! - An entry of the local lives as long as its reaper's future, which is dropped on this thread
//!   before the loop ends (I1).
//!
//! # Why it is so
//! The lock is taken when something is dropped on another thread than its own, when the last handle
//! goes, and by the reaper's turns: never on the way of a checkout or a return.

use std::cell::RefCell;
use std::io;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use oneloop_runtime::runtime::Handle;
use oneloop_runtime::task::spawn_on_this_loop;
use oneloop_runtime::time::Instant;

use super::Shared;
use super::reaper::reap;
use super::state::{Effects, State};

/// What any thread may hold of a loop's part of a pool.
#[derive(Debug)]
pub(super) struct Home {
    pool: u64,
    runtime: NonZeroUsize,
    news: Mutex<News>,
    /// There may be news. Relaxed: a look that misses them is made good by the reaper, which is
    /// woken for them.
    has_news: AtomicBool,
}

/// What other threads have to tell.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Slots whose connection was closed elsewhere.
    freed: usize,
    /// Waiters that went away elsewhere.
    left: Vec<u64>,
    /// The last handle of the pool was dropped.
    pub(super) is_over: bool,
    reaper: Option<Waker>,
}

impl Home {
    fn lock(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, change: impl FnOnce(&mut News)) {
        let mut news = self.lock();
        change(&mut news);
        self.has_news.store(true, Relaxed);
        let reaper = news.reaper.take();
        drop(news);
        if let Some(reaper) = reaper {
            reaper.wake();
        }
    }

    /// A slot was given up on another thread.
    pub(super) fn tell_freed(&self) {
        self.tell(|news| news.freed += 1);
    }

    /// A waiter went away on another thread.
    pub(super) fn tell_left(&self, key: u64) {
        self.tell(|news| news.left.push(key));
    }

    /// Nobody can ask for a connection any more.
    pub(super) fn end(&self) {
        self.tell(|news| news.is_over = true);
    }

    /// Has the reaper look at the state.
    pub(super) fn wake_reaper(&self) {
        self.tell(|_news| {});
    }

    /// Takes the news, to apply them; `reaper` is woken for the next.
    pub(super) fn listen(&self, reaper: &Waker) -> News {
        let mut news = self.lock();
        self.has_news.store(false, Relaxed);
        let is_over = news.is_over;
        let former = news.reaper.replace(reaper.clone());
        let taken = News {
            freed: std::mem::take(&mut news.freed),
            left: std::mem::take(&mut news.left),
            is_over,
            reaper: None,
        };
        drop(news);
        drop(former);
        taken
    }

    /// Takes the news if there are any, on the way of a checkout. Nothing on another thread than its
    /// own, where they could not be applied and would be lost.
    pub(super) fn hear(self: &Arc<Self>) {
        if !self.has_news.load(Relaxed) || with_state(self, |_state| ()).is_none() {
            return;
        }
        let mut news = self.lock();
        self.has_news.store(false, Relaxed);
        let taken = News {
            freed: std::mem::take(&mut news.freed),
            left: std::mem::take(&mut news.left),
            ..News::default()
        };
        drop(news);
        taken.apply(self);
    }
}

impl News {
    /// On the home's thread.
    pub(super) fn apply(self, home: &Arc<Home>) {
        let now = Instant::now();
        for _ in 0..self.freed {
            act(home, |state| state.give_back(None, now));
        }
        for key in self.left {
            act(home, |state| state.leave(key, now));
        }
    }
}

struct Entry {
    home: Arc<Home>,
    state: Rc<RefCell<State>>,
}

thread_local! {
    // One for each pool that the loops of this thread use: few.
    static HOMES: RefCell<Vec<Entry>> = const { RefCell::new(Vec::new()) };
}

/// Calls `f`, which runs nothing of the user's, with the state of a home of this thread. None on
/// other threads, and once the home has ended.
pub(super) fn with_state<R>(home: &Arc<Home>, f: impl FnOnce(&mut State) -> R) -> Option<R> {
    let state = HOMES.try_with(|homes| {
        let homes = homes.borrow();
        let entry = homes.iter().find(|entry| Arc::ptr_eq(&entry.home, home));
        entry.map(|entry| Rc::clone(&entry.state))
    });
    // The error means that the thread is ending: its loops have ended before.
    let state = state.unwrap_or(None)?;
    let mut state = state.borrow_mut();
    Some(f(&mut state))
}

/// Changes the state of a home of this thread, and does what follows from it. Tells whether this is
/// its thread.
pub(super) fn act(home: &Arc<Home>, f: impl FnOnce(&mut State) -> Effects) -> bool {
    let Some(effects) = with_state(home, f) else {
        return false;
    };
    drop(effects.close);
    drop(effects.forget);
    effects.wake.into_iter().for_each(Waker::wake);
    if effects.arm_reaper {
        home.wake_reaper();
    }
    true
}

/// This loop's part of the pool, if it has one.
pub(super) fn find(shared: &Shared) -> Option<Arc<Home>> {
    let runtime = Handle::with_current(Handle::id).ok()?;
    let found = HOMES.try_with(|homes| {
        let homes = homes.borrow();
        let mut homes = homes.iter().map(|entry| &entry.home);
        homes
            .find(|home| home.pool == shared.id && home.runtime == runtime)
            .cloned()
    });
    found.unwrap_or(None)
}

/// This loop's part of the pool, made if there is none.
///
/// # Errors
///
/// The runtime shuts down.
///
/// # Panics
///
/// On a thread that runs no loop.
#[track_caller]
pub(super) fn find_or_make(shared: &Arc<Shared>) -> io::Result<Arc<Home>> {
    if let Some(home) = find(shared) {
        return Ok(home);
    }
    let handle = Handle::current();
    handle.check_running()?;
    let home = Arc::new(Home {
        pool: shared.id,
        runtime: handle.id(),
        news: Mutex::new(News::default()),
        has_news: AtomicBool::new(false),
    });
    let ending = Ending {
        home: Arc::clone(&home),
        shared: Arc::clone(shared),
    };
    let entry = Entry {
        home: Arc::clone(&home),
        state: Rc::new(RefCell::new(State::new(&shared.settings))),
    };
    HOMES.with(|homes| homes.borrow_mut().push(entry));
    shared.homes().push(Arc::clone(&home));
    // Detached: it ends with the pool or with the loop.
    drop(spawn_on_this_loop(reap(ending)));
    Ok(home)
}

/// Ends a loop's part of the pool when dropped. Owned by the reaper.
pub(super) struct Ending {
    pub(super) home: Arc<Home>,
    pub(super) shared: Arc<Shared>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.shared
            .homes()
            .retain(|home| !Arc::ptr_eq(home, &self.home));
        let entry = HOMES.try_with(|homes| {
            let mut homes = homes.borrow_mut();
            let at = homes
                .iter()
                .position(|entry| Arc::ptr_eq(&entry.home, &self.home))?;
            Some(homes.swap_remove(at))
        });
        // Without an entry, the thread is ending.
        if let Some(entry) = entry.unwrap_or(None) {
            let effects = entry.state.borrow_mut().end();
            drop(effects.close);
            effects.wake.into_iter().for_each(Waker::wake);
        }
    }
}
