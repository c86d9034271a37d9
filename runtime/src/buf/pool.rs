//! The loop's blocks: given out last in, first out, up to a cap.
//!
//! Place: [`Pool`] is part of `worker::Local` and is touched by its thread alone; [`PoolHome`] is
//! what other threads may touch; [`BufferPool`] is the user's handle.
//!
//! # Invariants
//! I2. The lists and counts are plain memory. I5. No waker is woken or dropped under their borrow.
//! Bytes of blocks, lent out and free, are never above `Limits::bytes_max`, those of free ones never
//! above `Limits::free_bytes_max`. While somebody waits, nobody overtakes: `take` gives nothing, and
//! the home is marked as wanted before the loop goes on (`serve`), so that a block that comes from
//! another thread is told of.

use std::cell::{Cell, RefCell, RefMut};
use std::collections::VecDeque;
use std::fmt;

use super::acquire::Waiter;
use super::arena::Arenas;
use super::block::{Block, BlockChain, BlockHome, BlockNode, CLASSES, Class, Limits};
use super::home::Arrival;
use super::{Acquire, AcquireError, Lease};
use crate::context;
use crate::primitive::sync::{Arc, Mutex};
use crate::worker::{LoopId, Message, Remote};

/// The buffers of the loop that runs on this thread.
///
/// Blocks have a power of two of bytes, from 2 KiB to 1 MiB. The one that came back last is given
/// out first, since it is still in the cache. The bytes of all blocks of a loop are capped
/// ([`Builder::buffer_bytes_max`]): at the cap [`acquire`](Self::acquire) waits, which is memory's
/// own backpressure. Free blocks are kept up to [`Builder::buffer_free_bytes_max`].
///
/// # Threads
///
/// A handle is of no loop in particular: it means the one on whose thread it is used, so that it may
/// be kept in a task that is `Send`. On a thread that runs no loop (of the blocking pool, or one of
/// the application's own) it gives out plain memory, without a cap, which is freed when the lease is
/// dropped.
///
/// # Examples
///
/// ```
/// # let runtime = oneloop_runtime::runtime::Builder::new_current_thread().build()?;
/// use oneloop_runtime::buf::BufferPool;
///
/// # runtime.block_on(async {
/// let mut lease = BufferPool::current().acquire(64 * 1024).await?;
/// lease.extend_from_slice(b"hello");
/// assert_eq!(&lease[..], b"hello");
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// [`Builder::buffer_bytes_max`]: crate::runtime::Builder::buffer_bytes_max
/// [`Builder::buffer_free_bytes_max`]: crate::runtime::Builder::buffer_free_bytes_max
#[derive(Debug, Clone, Copy)]
pub struct BufferPool(());

impl BufferPool {
    /// The pool of the loop that runs on the thread where it is used.
    #[must_use]
    #[inline]
    pub fn current() -> Self {
        Self(())
    }

    /// Waits for a block that holds `bytes`, behind those who wait already.
    ///
    /// Who holds leases while he waits for another may wait for ever, if all do so: take what is
    /// needed at once, or let a [`timeout`](crate::time::timeout) end the wait.
    ///
    /// # Errors
    ///
    /// [`is_too_large`](AcquireError::is_too_large) at once if `bytes` is above
    /// [`lease_bytes_max`](Self::lease_bytes_max);
    /// [`is_out_of_memory`](AcquireError::is_out_of_memory).
    ///
    /// # Cancel safety
    ///
    /// Safe: the place in the queue is lost, and no block.
    ///
    /// # Threads
    ///
    /// It waits on the loop where it is polled. If it is polled on another later, it goes to the end
    /// of the queue there.
    pub fn acquire(self, bytes: usize) -> Acquire {
        Acquire::new(bytes)
    }

    /// Takes a block that holds `bytes`, if there is one.
    ///
    /// # Errors
    ///
    /// [`is_full`](AcquireError::is_full) at the cap and while others wait; otherwise as
    /// [`acquire`](Self::acquire).
    #[inline]
    pub fn try_acquire(self, bytes: usize) -> Result<Lease, AcquireError> {
        let Some(class) = Class::for_bytes(bytes) else {
            return Err(AcquireError::too_large(bytes, usize::MAX));
        };
        match context::with_local(|local| local?.pool.take_last(class)) {
            Some(lease) => Ok(lease),
            None => acquire_by_books(class, bytes),
        }
    }

    /// The largest lease that this loop gives out, in bytes: 1 MiB, or less if its cap is lower.
    #[must_use]
    pub fn lease_bytes_max(self) -> usize {
        let cap = context::with_local(|local| local.map(|local| local.pool.limits.bytes_max));
        Class::within(cap.unwrap_or(usize::MAX)).bytes()
    }

    /// Bytes of the blocks that are lent out now. Those that came back from other threads count as
    /// lent out until the loop's next turn. 0 on a thread without a loop.
    #[must_use]
    pub fn bytes_out(self) -> usize {
        context::with_local(|local| local.map_or(0, |local| local.pool.books().bytes_out))
    }

    /// The loop whose pool this is. None on a thread without a loop.
    #[must_use]
    pub fn loop_id(self) -> Option<LoopId> {
        context::with_local(|local| local.map(|local| local.id()))
    }
}

/// A block of this thread's pool that is not simply the last, or of no pool.
#[inline(never)]
fn acquire_by_books(class: Class, bytes: usize) -> Result<Lease, AcquireError> {
    context::with_local(|local| match local {
        Some(local) => local
            .pool
            .take(class)
            .map_err(|it| it.explain(bytes, &local.pool)),
        None => without_loop(class, bytes),
    })
}

/// Plain memory, for a thread without a loop.
#[cold]
fn without_loop(class: Class, bytes: usize) -> Result<Lease, AcquireError> {
    let block = Block::allocate(class, None);
    block
        .map(Lease::of)
        .ok_or_else(|| AcquireError::out_of_memory(bytes))
}

/// Takes back a block that no lease is left of. Any thread.
#[inline]
pub(super) fn give_back(block: Box<BlockNode>) {
    context::with_local(|local| match (local, &block.home) {
        (Some(local), Some(home)) if Arc::ptr_eq(&local.pool.home, home) => local.pool.put(block),
        _ => send_home(block),
    });
}

#[cold]
fn send_home(block: Box<BlockNode>) {
    // Once it is pushed the block is the loop's, and its reference to the home with it.
    let Some(home) = block.home.clone() else {
        return;
    };
    match home.arrivals.push(block) {
        Arrival::Kept => {}
        Arrival::Tell => home.tell(),
        Arrival::Refused(block) => drop(block),
    }
}

/// What other threads touch of a pool.
#[derive(Debug)]
pub(super) struct PoolHome {
    arrivals: BlockHome,
    /// None once the pool is closed: a lease that outlives its loop does not keep the loop's
    /// descriptors open.
    owner: Mutex<Option<Arc<Remote>>>,
}

impl PoolHome {
    /// Has the loop look at what came home, and at who waits.
    pub(super) fn tell(&self) {
        let owner = self.owner.lock().clone();
        if let Some(owner) = owner {
            // Refused: the loop has ended, and takes all that came home when it closes its pool.
            let _ = owner.send(Message::Buffers);
        }
    }
}

/// Why there is no block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    TooLarge,
    Full,
    OutOfMemory,
}

impl Refusal {
    #[cold]
    pub(super) fn explain(self, bytes: usize, pool: &Pool) -> AcquireError {
        let cap = pool.limits.bytes_max;
        match self {
            Self::TooLarge => AcquireError::too_large(bytes, cap),
            Self::Full => AcquireError::full(bytes, cap),
            Self::OutOfMemory => AcquireError::out_of_memory(bytes),
        }
    }
}

/// A loop's blocks.
pub(crate) struct Pool {
    home: Arc<PoolHome>,
    limits: Limits,
    /// The block that came back last, not yet in the books, where it is still lent out. Empty while
    /// somebody waits, or the pool is closed, and where the books have no room for it.
    last: Cell<Option<Box<BlockNode>>>,
    /// The books. To be reached through [`books`](Self::books), if not only to look who waits.
    state: RefCell<State>,
}

/// What a pool tells about itself.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Gauges {
    pub(crate) bytes_out: usize,
    pub(crate) bytes_free: usize,
    pub(crate) blocks_out: usize,
    pub(crate) waits: u64,
    pub(crate) arena_bytes: usize,
    pub(crate) arena_refusals: u64,
}

impl Pool {
    pub(crate) fn new(owner: Arc<Remote>, limits: Limits) -> Self {
        Self {
            home: Arc::new(PoolHome {
                arrivals: BlockHome::new(),
                owner: Mutex::new(Some(owner)),
            }),
            limits,
            last: Cell::new(None),
            state: RefCell::new(State::new(&limits)),
        }
    }

    /// The books, with all blocks in them.
    fn books(&self) -> RefMut<'_, State> {
        let mut state = self.state.borrow_mut();
        if let Some(block) = self.last.take() {
            state.settle(block, &self.limits);
        }
        state
    }

    pub(super) fn home(&self) -> &Arc<PoolHome> {
        &self.home
    }

    pub(crate) fn gauges(&self) -> Gauges {
        let state = self.books();
        Gauges {
            bytes_out: state.bytes_out,
            bytes_free: state.bytes_free,
            blocks_out: state.blocks_out,
            waits: state.waits,
            arena_bytes: state.arenas.bytes(),
            arena_refusals: state.arenas.refusals(),
        }
    }

    /// The block that came back last, if it is of this class.
    #[inline]
    fn take_last(&self, class: Class) -> Option<Lease> {
        match self.last.take() {
            Some(block) if block.class == class => Some(Lease::of(block)),
            last => {
                self.last.set(last);
                None
            }
        }
    }

    /// A block, unless somebody waits for one.
    fn take(&self, class: Class) -> Result<Lease, Refusal> {
        let mut state = self.books();
        if state.waiters.is_empty()
            && let Some(block) = state.pop(class)
        {
            return Ok(Lease::of(block));
        }
        drop(state);
        self.take_slowly(class)
    }

    #[cold]
    fn take_slowly(&self, class: Class) -> Result<Lease, Refusal> {
        if class.bytes() > self.limits.bytes_max {
            return Err(Refusal::TooLarge);
        }
        self.look_home();
        let mut state = self.books();
        if !state.waiters.is_empty() {
            return Err(Refusal::Full);
        }
        state.pop_or_make(class, self).map(Lease::of)
    }

    /// A block that was lent out.
    #[inline]
    fn put(&self, block: Box<BlockNode>) {
        let last = self.last.take();
        if last.is_none() && self.state.borrow().has_room_for(block.class, &self.limits) {
            return self.last.set(Some(block));
        }
        self.last.set(last);
        self.put_by_books(block);
    }

    #[inline(never)]
    fn put_by_books(&self, block: Box<BlockNode>) {
        let mut state = self.books();
        state.settle(block, &self.limits);
        let is_awaited = !state.waiters.is_empty();
        drop(state);
        if is_awaited {
            self.serve();
        }
    }

    /// Puts somebody at the end of the queue. He may be served before this returns.
    pub(super) fn enqueue(&self, waiter: Arc<Waiter>) {
        let mut state = self.books();
        state.waits += 1;
        if state.waiters.len() >= state.purge_at {
            state.waiters.retain(|waiter| !waiter.is_cancelled());
            state.purge_at = (state.waiters.len() * 2).max(PURGE_AT_MIN);
        }
        state.waiters.push_back(waiter);
        drop(state);
        self.serve();
    }

    /// Gives blocks to those who wait, in their order, as far as there are blocks. When it returns
    /// and somebody waits still, the home is marked as wanted.
    pub(super) fn serve(&self) {
        loop {
            let mut state = self.state.borrow_mut();
            let Some(waiter) = state.waiters.front().cloned() else {
                return;
            };
            if waiter.is_cancelled() {
                state.waiters.pop_front();
                continue;
            }
            match state.pop_or_make(waiter.class(), self) {
                Err(Refusal::Full) => {
                    let arrivals = self.home.arrivals.take_or_want();
                    if arrivals.is_empty() {
                        return;
                    }
                    state.settle_all(arrivals, &self.limits);
                }
                outcome => {
                    state.waiters.pop_front();
                    drop(state);
                    waiter.answer(outcome.map(Lease::of));
                }
            }
        }
    }

    /// Once a turn: what came home from other threads. A loop that has lent nothing out asks no
    /// shared memory.
    #[inline]
    pub(crate) fn collect(&self) {
        if self.state.borrow().blocks_out > 0 && self.home.arrivals.has_arrivals() {
            self.look_home();
        }
    }

    /// Takes what came home, and serves those who wait.
    pub(crate) fn look_home(&self) {
        let mut state = self.books();
        if state.waiters.is_empty() {
            let arrivals = self.home.arrivals.take();
            state.settle_all(arrivals, &self.limits);
        }
        drop(state);
        self.serve();
    }

    /// The loop is not driven for a while: who waits asks again elsewhere, and free memory goes.
    pub(crate) fn put_aside(&self) {
        let mut state = self.books();
        let waiters = std::mem::take(&mut state.waiters);
        state.trim_to(0, None);
        drop(state);
        for waiter in waiters {
            waiter.evict();
        }
    }

    /// The loop ends: what comes home later is freed where it is dropped.
    pub(crate) fn close(&self) {
        let mut state = self.books();
        if !state.is_open {
            return;
        }
        state.is_open = false;
        let owner = self.home.owner.lock().take();
        let arrivals = self.home.arrivals.close();
        state.settle_all(arrivals, &self.limits);
        drop(state);
        drop(owner);
        self.put_aside();
        self.state.borrow_mut().arenas.forget_all();
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.close();
    }
}

#[derive(Debug)]
struct State {
    /// By class.
    free: [BlockChain; CLASSES],
    arenas: Arenas,
    bytes_out: usize,
    bytes_free: usize,
    blocks_out: usize,
    waits: u64,
    /// Bounded by the tasks that there are, and what was cancelled is taken out.
    waiters: VecDeque<Arc<Waiter>>,
    /// The length at which cancelled ones are looked for.
    purge_at: usize,
    is_open: bool,
}

impl State {
    fn new(limits: &Limits) -> Self {
        Self {
            free: [const { BlockChain::new() }; CLASSES],
            arenas: Arenas::new(limits.huge_pages),
            bytes_out: 0,
            bytes_free: 0,
            blocks_out: 0,
            waits: 0,
            waiters: VecDeque::new(),
            purge_at: PURGE_AT_MIN,
            is_open: true,
        }
    }

    /// The block of this class that came back last.
    #[inline]
    fn pop(&mut self, class: Class) -> Option<Box<BlockNode>> {
        let block = self.free[class.index()].pop()?;
        self.bytes_free -= class.bytes();
        self.bytes_out += class.bytes();
        self.blocks_out += 1;
        Some(block)
    }

    /// A free block, or a new one if there is room under the cap. Free blocks of other classes make
    /// room.
    fn pop_or_make(&mut self, class: Class, pool: &Pool) -> Result<Box<BlockNode>, Refusal> {
        if let Some(block) = self.pop(class) {
            return Ok(block);
        }
        let left = pool.limits.bytes_max.saturating_sub(self.bytes_out);
        let Some(others) = left.checked_sub(class.bytes()) else {
            return Err(Refusal::Full);
        };
        self.trim_to(others, None);
        let home = Arc::clone(&pool.home);
        let block = match self.arenas.take(class) {
            Some(place) => Block::within(place, class, home),
            None => Block::allocate(class, Some(home)).ok_or(Refusal::OutOfMemory)?,
        };
        self.bytes_out += class.bytes();
        self.blocks_out += 1;
        Ok(block)
    }

    /// Whether a block that comes back would simply be kept.
    #[inline]
    fn has_room_for(&self, class: Class, limits: &Limits) -> bool {
        self.is_open
            && self.waiters.is_empty()
            && self.bytes_free + class.bytes() <= limits.free_bytes_max
    }

    /// A block that was lent out is free. If there are too many, colder ones of other sizes go.
    #[inline]
    fn settle(&mut self, block: Box<BlockNode>, limits: &Limits) {
        let class = block.class;
        self.bytes_out -= class.bytes();
        self.blocks_out -= 1;
        if self.bytes_free + class.bytes() > limits.free_bytes_max || !self.is_open {
            match limits.free_bytes_max.checked_sub(class.bytes()) {
                Some(others) if self.is_open => self.trim_to(others, Some(class)),
                _ => return self.discard(block),
            }
        }
        self.free[class.index()].push(block);
        self.bytes_free += class.bytes();
    }

    fn settle_all(&mut self, mut blocks: BlockChain, limits: &Limits) {
        while let Some(block) = blocks.pop() {
            self.settle(block, limits);
        }
    }

    /// Frees free blocks until they have at most `bytes`: large ones first, those of class `keep`
    /// last.
    #[cold]
    fn trim_to(&mut self, bytes: usize, keep: Option<Class>) {
        let keep = keep.map(Class::index);
        let others = (0..CLASSES).rev().filter(|&index| Some(index) != keep);
        for index in others.chain(keep) {
            while self.bytes_free > bytes
                && let Some(block) = self.free[index].pop()
            {
                self.bytes_free -= block.class.bytes();
                self.discard(block);
            }
        }
    }

    /// Frees a block, and its arena with the last of its blocks.
    #[cold]
    fn discard(&mut self, block: Box<BlockNode>) {
        let arena = block.arena().cloned();
        drop(block);
        if let Some(arena) = arena {
            self.arenas.forget_if_vacant(&arena);
        }
    }
}

const PURGE_AT_MIN: usize = 64;

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn cancelled_waiters_do_not_pile_up() {
        let limits = Limits {
            bytes_max: 4096,
            ..Limits::default()
        };
        let pool = Pool::new(Arc::new(Remote::new().unwrap()), limits);
        let class = Class::for_bytes(4096).unwrap();
        let held = pool.take(class).unwrap();
        // It stands first, so that the others are not simply passed over.
        let first = Waiter::new(class, &pool, Waker::noop());
        pool.enqueue(Arc::clone(&first));
        for _ in 0..1000 {
            let other = Waiter::new(class, &pool, Waker::noop());
            pool.enqueue(Arc::clone(&other));
            other.cancel();
        }
        assert!(pool.state.borrow().waiters.len() <= PURGE_AT_MIN + 1);
        drop(held);
        pool.look_home();
        assert!(pool.state.borrow().waiters.is_empty());
        assert_eq!(pool.gauges().blocks_out, 1, "it was answered to the first");
    }
}
