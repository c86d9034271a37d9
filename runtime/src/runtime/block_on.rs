//! Driving a future on the calling thread.
//!
//! Place: called by `Runtime::block_on` and `Handle::block_on`; runs on the calling thread, which
//! is a loop meanwhile.
//!
//! # Invariants
//! I1. A current-thread runtime's loop moves from one `block_on` to the next, and between threads;
//! so tasks that are not `Send` are ended before `block_on` returns, and only a [`LocalRuntime`],
//! which cannot leave its thread, keeps them.
//!
//! [`LocalRuntime`]: super::LocalRuntime

use std::pin::Pin;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use super::context::{self, Driving, EnterGuard, PolledTask, RunningLoop};
use super::shutdown::WorkerExit;
use super::{Handle, Shared};
use crate::contain::contained;
use crate::primitive::atomic::{AtomicBool, Ordering};
use crate::primitive::sync::{Arc, Mutex, StdArc, order_of_wakers};
use crate::primitive::thread;
use crate::worker::{Local, Message, Remote, Role};

/// Runs the future on a main loop of its own; inside `block_in_place` on the loop of this thread,
/// whose tasks run meanwhile.
#[track_caller]
pub(super) fn on_main_loop<F: Future>(handle: &Handle, future: F) -> F::Output {
    handle.shared().assert_not_forked();
    let _driving = Driving::begin();
    let _entered = handle.enter();
    let root = Box::pin(future);
    context::with_local(|local| match local {
        Some(local)
            if Arc::ptr_eq(local.shared(), handle.shared()) && local.roots() < NESTED_MAX =>
        {
            drive(local, AfterRoot::KeepLocalTasks, root)
        }
        _ => drive_main_loop(handle, root),
    })
}

#[track_caller]
fn drive_main_loop<F: Future>(handle: &Handle, root: PinnedRoot<F>) -> F::Output {
    let main_loop = MainLoop::take(handle.shared());
    drive(main_loop.local(), AfterRoot::EndLocalTasks, root)
}

/// The loop of a current-thread runtime, and who drives it: a `block_on`, or a stand-in while there
/// are only such that came when another drove it already, and run their futures beside.
///
/// # Why it is so
/// A root future does not change its loop while it runs: its local tasks could not follow (I1).
#[derive(Debug)]
pub(super) struct Core {
    seat: Arc<Seat>,
    after_root: AfterRoot,
}

#[derive(Debug)]
struct Seat {
    state: Mutex<State>,
    // The core's, to end the stand-in's wait.
    remote: Arc<Remote>,
}

#[derive(Debug)]
struct State {
    // None while somebody drives it, and after the end.
    local: Option<Local>,
    /// Calls of `block_on` that run beside.
    beside: usize,
    has_stand_in: bool,
    is_closed: bool,
}

/// What becomes of local tasks when the root future is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterRoot {
    EndLocalTasks,
    KeepLocalTasks,
}

impl Core {
    pub(super) fn new(local: Local, after_root: AfterRoot) -> Self {
        let remote = Arc::clone(local.remote());
        let state = State {
            local: Some(local),
            beside: 0,
            has_stand_in: false,
            is_closed: false,
        };
        let state = Mutex::new(state);
        Self {
            seat: Arc::new(Seat { state, remote }),
            after_root,
        }
    }

    #[track_caller]
    pub(super) fn block_on<F: Future>(&self, handle: &Handle, future: F) -> F::Output {
        handle.shared().assert_not_forked();
        let _driving = Driving::begin();
        let _entered = handle.enter();
        let root = Box::pin(future);
        match self.take_or_go_beside(handle) {
            Ok(taken) => drive(taken.local(), self.after_root, root),
            Err(_beside) => drive_main_loop(handle, root),
        }
    }

    fn take_or_go_beside<'a>(&'a self, handle: &'a Handle) -> Result<Taken<'a>, Beside<'a>> {
        let mut state = self.seat.state.lock();
        match state.local.take() {
            Some(local) => Ok(Taken {
                seat: &self.seat,
                handle,
                local: Some(local),
            }),
            None => {
                state.beside += 1;
                Err(Beside(&self.seat))
            }
        }
    }

    /// Ends all tasks on this thread. If a stand-in drives the core beyond the deadline, it ends
    /// them on its own.
    pub(super) fn close(&self, handle: &Handle, deadline: Option<Instant>) {
        handle.shared().begin_shutdown();
        self.seat.state.lock().is_closed = true;
        self.seat.end_stand_in();
        handle.shared().alive.wait(deadline);
        let _entered = handle.enter();
        self.seat.close();
        handle.shared().close_spare_loops();
    }

    /// Leaves the loop and its tasks as they are for ever.
    #[expect(
        clippy::mem_forget,
        reason = "their drops would reach into the parent of a fork"
    )]
    pub(super) fn leak(&self) {
        std::mem::forget(Arc::clone(&self.seat));
    }

    pub(super) fn is_closed(&self) -> bool {
        self.seat.state.lock().is_closed
    }
}

impl Seat {
    /// Has the stand-in look whether it is still needed.
    fn end_stand_in(&self) {
        // Refused: it has ended.
        let _ = self.remote.send(Message::WakeRoot);
    }

    /// Ends the loop, unless somebody drives it.
    fn close(&self) {
        let local = self.state.lock().local.take();
        if let Some(local) = local {
            close(&local);
        }
    }

    /// Drives the core for as long as there are others beside, on a thread that is marked as driving
    /// and has the runtime entered.
    fn stand_in(&self) {
        loop {
            let local = {
                let mut state = self.state.lock();
                let is_needed = state.beside > 0 && !state.is_closed;
                let local = state.local.take_if(|_| is_needed);
                state.has_stand_in = local.is_some();
                local
            };
            let Some(local) = local else { break };
            let is_over = |_: &mut Context<'_>| {
                let state = self.state.lock();
                if state.beside > 0 && !state.is_closed {
                    return Poll::Pending;
                }
                Poll::Ready(())
            };
            let root = Box::pin(std::future::poll_fn(is_over));
            drive(&local, AfterRoot::EndLocalTasks, root);
            self.state.lock().local = Some(local);
        }
        if self.state.lock().is_closed {
            self.close();
        }
    }
}

/// Counts a `block_on` that runs beside, until dropped.
struct Beside<'a>(&'a Seat);

impl Drop for Beside<'_> {
    fn drop(&mut self) {
        let is_last = {
            let mut state = self.0.state.lock();
            state.beside -= 1;
            state.beside == 0 && state.has_stand_in
        };
        if is_last {
            self.0.end_stand_in();
        }
    }
}

/// The core while this thread drives it; goes back to its seat when dropped.
struct Taken<'a> {
    seat: &'a Arc<Seat>,
    handle: &'a Handle,
    local: Option<Local>,
}

impl Taken<'_> {
    fn local(&self) -> &Local {
        self.local
            .as_ref()
            .expect("it is given back in `drop` alone")
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let needs_stand_in = {
            let mut state = self.seat.state.lock();
            state.local = self.local.take();
            let needs_one = state.beside > 0 && !state.has_stand_in;
            state.has_stand_in |= needs_one;
            needs_one
        };
        if needs_stand_in {
            start_stand_in(self.seat, self.handle);
        }
    }
}

fn start_stand_in(seat: &Arc<Seat>, handle: &Handle) {
    let shared = Arc::clone(handle.shared());
    // The application's function may panic: those beside must not wait for ever for that.
    let mut name = String::new();
    contained(|| name = shared.config.next_thread_name());
    let stack_size = shared.config.stack_size;
    shared.alive.add();
    let seat_of_thread = Arc::clone(seat);
    let started = thread::spawn_named(name, stack_size, move || {
        let _exit = WorkerExit::new(&shared);
        let _entered = EnterGuard::new(Handle::from_shared(Arc::clone(&shared)));
        shared.config.hooks.start();
        {
            let _driving = Driving::begin();
            seat_of_thread.stand_in();
        }
        shared.config.hooks.stop();
    });
    if started.is_err() {
        handle.shared().alive.remove();
        // The system has no thread to give: this one, which drives still, stays until nobody is beside.
        seat.stand_in();
    }
}

/// A loop for the time of one `block_on`; kept for the next one when dropped.
struct MainLoop {
    shared: Arc<Shared>,
    local: Option<Local>,
}

impl MainLoop {
    #[track_caller]
    fn take(shared: &Arc<Shared>) -> Self {
        let spare = shared.spare_loops.lock().as_mut().and_then(Vec::pop);
        let local = spare.unwrap_or_else(|| match Remote::new() {
            Ok(remote) => Local::new(Arc::new(remote), Arc::clone(shared), Role::Main),
            Err(error) => panic!(
                "`block_on` needs four descriptors for its loop, and the system refuses: {error}"
            ),
        });
        local.take_up();
        Self {
            shared: Arc::clone(shared),
            local: Some(local),
        }
    }

    fn local(&self) -> &Local {
        self.local
            .as_ref()
            .expect("it is given back in `drop` alone")
    }
}

impl Drop for MainLoop {
    fn drop(&mut self) {
        if let Some(local) = &self.local {
            let _running = RunningLoop::enter(local);
            local.put_aside();
        }
        let mut spares = self.shared.spare_loops.lock();
        if let Some(spares) = spares
            .as_mut()
            .filter(|spares| spares.len() < SPARE_LOOPS_MAX)
        {
            spares.extend(self.local.take());
        }
        drop(spares);
        if let Some(local) = self.local.take() {
            close(&local);
        }
    }
}

/// Ends a main loop for ever.
fn close(local: &Local) {
    let _running = RunningLoop::enter(local);
    local.close();
}

impl Shared {
    /// The runtime has shut down: no main loop is kept any more.
    pub(super) fn close_spare_loops(&self) {
        let spares = self.spare_loops.lock().take();
        spares.iter().flatten().for_each(close);
    }
}

/// Main loops kept for later calls of `block_on`, each with four descriptors.
const SPARE_LOOPS_MAX: usize = 4;
/// Calls of `block_on` inside each other (by `block_in_place`) that drive the loop of this thread.
/// Each runs tasks that may call it again, on one stack; those beyond hold the loop up instead.
const NESTED_MAX: u32 = 32;

/// A root future in its place.
type PinnedRoot<F> = Pin<Box<F>>;

/// Polls the root future on this loop, turn by turn, until it is done. Also when it panics it is
/// dropped inside, while its loop still runs, and nothing that is not `Send` stays behind.
fn drive<F: Future>(local: &Local, after_root: AfterRoot, root: PinnedRoot<F>) -> F::Output {
    let _running = RunningLoop::enter(local);
    let _driven = local.begin_root();
    let _end = (after_root == AfterRoot::EndLocalTasks).then(|| EndLocalTasks(local));
    let shared_waker = SharedWaker::of(local);
    let waker = shared_waker.waker();
    let mut cx = Context::from_waker(&waker);
    let mut root = root;
    loop {
        if local.take_root_woken() {
            shared_waker.0.begin_poll();
            let _polled = PolledTask::enter(None, &waker);
            if let Poll::Ready(output) = root.as_mut().poll(&mut cx) {
                // The turn ends here.
                local.wake_at_turn_end();
                return output;
            }
        }
        local.turn();
    }
}

struct EndLocalTasks<'a>(&'a Local);

impl Drop for EndLocalTasks<'_> {
    fn drop(&mut self) {
        self.0.end_local_tasks();
    }
}

/// Wakes the root future: a flag on its own thread, one message from others.
///
/// I6. At most one message is on its way for each `drive`, and none after its end.
struct RootWaker {
    remote: Arc<Remote>,
    /// A message is on its way, or the future is no longer driven.
    is_sent: AtomicBool,
}

/// The driver's share of the waker. Dropped, it silences the others.
struct SharedWaker(StdArc<RootWaker>);

impl SharedWaker {
    fn of(local: &Local) -> Self {
        let remote = Arc::clone(local.remote());
        order_of_wakers();
        Self(StdArc::new(RootWaker {
            remote,
            is_sent: AtomicBool::new(false),
        }))
    }

    fn waker(&self) -> Waker {
        Waker::from(StdArc::clone(&self.0))
    }
}

impl Drop for SharedWaker {
    fn drop(&mut self) {
        // Relaxed: a message that is sent all the same finds no root and does nothing.
        self.0.is_sent.store(true, Ordering::Relaxed);
    }
}

impl RootWaker {
    /// From here on a wake-up sends again.
    fn begin_poll(&self) {
        // ORDERING: Acquire pairs with the Release in `wake_by_ref`: who found the flag set sent
        // nothing, so the poll that follows must see what they did before. Before the poll, or a
        // wake-up during it is lost (mutant root_flag_late). Release, so that one chain of swaps
        // orders them all.
        self.is_sent.swap(false, Ordering::AcqRel);
    }
}

impl Wake for RootWaker {
    fn wake(self: StdArc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &StdArc<Self>) {
        order_of_wakers();
        context::with_local(|local| match local {
            Some(local) if local.is(&self.remote) => local.wake_root(),
            // ORDERING: see `begin_poll`.
            _ if self.is_sent.swap(true, Ordering::AcqRel) => {}
            _ => {
                // Refused: the `block_on` is over, and its loop with it.
                let _ = self.remote.send(Message::WakeRoot);
            }
        });
    }
}
