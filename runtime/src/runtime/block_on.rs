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

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, Wake, Waker};

use super::context::{self, Driving, PolledTask, RunningLoop};
use super::{Handle, Shared};
use crate::primitive::sync::{Arc, Mutex, StdArc, order_of_wakers};
use crate::task::{self, JoinHandle, coop};
use crate::worker::{Local, Message, Remote, Role};

/// Runs the future on a main loop of its own; inside `block_in_place` on the loop of this thread,
/// whose tasks run meanwhile.
#[track_caller]
pub(super) fn on_main_loop<F: Future>(handle: &Handle, future: F) -> F::Output {
    let _driving = Driving::begin();
    let _entered = handle.enter();
    let mut future = Some(Box::pin(future));
    let output = context::with_local(|local| match local {
        Some(local) if Arc::ptr_eq(local.shared(), handle.shared()) => {
            drive(local, AfterRoot::KeepLocalTasks, &mut future, || false)
        }
        _ => {
            let main_loop = MainLoop::take(handle.shared());
            drive(
                main_loop.local(),
                AfterRoot::EndLocalTasks,
                &mut future,
                || false,
            )
        }
    });
    output.expect("only another loop interrupts")
}

/// The loop of a current-thread runtime, and who waits to drive it.
#[derive(Debug)]
pub(super) struct Core {
    seat: Mutex<Seat>,
    after_root: AfterRoot,
}

#[derive(Debug)]
struct Seat {
    // None while somebody drives it, and after the end.
    local: Option<Local>,
    is_closed: bool,
    waiting: VecDeque<Arc<Remote>>,
}

/// What becomes of local tasks when the root future is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterRoot {
    EndLocalTasks,
    KeepLocalTasks,
}

impl Core {
    pub(super) fn new(local: Local, after_root: AfterRoot) -> Self {
        let seat = Seat {
            local: Some(local),
            is_closed: false,
            waiting: VecDeque::new(),
        };
        Self {
            seat: Mutex::new(seat),
            after_root,
        }
    }

    #[track_caller]
    pub(super) fn block_on<F: Future>(&self, handle: &Handle, future: F) -> F::Output {
        let _driving = Driving::begin();
        let _entered = handle.enter();
        let mut future = Some(Box::pin(future));
        loop {
            if let Some(taken) = self.try_take() {
                let output = drive(taken.local(), self.after_root, &mut future, || false);
                return output.expect("nothing interrupts who drives the core");
            }
            if let Some(output) = self.run_beside(handle, &mut future) {
                return output;
            }
        }
    }

    /// Spawns onto the core on this thread, whether or not this thread drives it now.
    #[track_caller]
    pub(super) fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let seat = self.seat.lock();
        let Some(local) = &seat.local else {
            drop(seat);
            return task::spawn_local(future);
        };
        let _running = RunningLoop::enter(local);
        task::spawn_local(future)
    }

    fn try_take(&self) -> Option<Taken<'_>> {
        let local = self.seat.lock().local.take()?;
        Some(Taken {
            core: self,
            local: Some(local),
        })
    }

    /// Runs the future on a main loop for as long as another thread drives the core. None when the
    /// core is free.
    fn run_beside<F: Future>(
        &self,
        handle: &Handle,
        future: &mut Option<PinnedRoot<F>>,
    ) -> Option<F::Output> {
        let main_loop = MainLoop::take(handle.shared());
        let remote = main_loop.local().remote();
        self.seat.lock().waiting.push_back(Arc::clone(remote));
        let is_free = || self.seat.lock().local.is_some();
        let output = drive(main_loop.local(), AfterRoot::EndLocalTasks, future, is_free);
        let mut seat = self.seat.lock();
        seat.waiting.retain(|waiting| !Arc::ptr_eq(waiting, remote));
        if output.is_some() && seat.local.is_some() {
            // The seat may have been offered to this thread, which needs it no more.
            seat.offer();
        }
        output
    }

    /// Ends all tasks on this thread.
    pub(super) fn close(&self, handle: &Handle) {
        handle.shared().begin_shutdown();
        let local = {
            let mut seat = self.seat.lock();
            seat.is_closed = true;
            seat.local.take()
        };
        let Some(local) = local else { return };
        let _entered = handle.enter();
        let running = RunningLoop::enter(&local);
        local.close();
        drop(running);
        handle.shared().close_spare_loops();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.seat.lock().is_closed
    }
}

impl Seat {
    /// Tells the first who waits that the core is free.
    fn offer(&mut self) {
        while let Some(remote) = self.waiting.pop_front() {
            if remote.send(Message::WakeRoot).is_ok() {
                return;
            }
        }
    }
}

/// The core while this thread drives it; goes back to its seat when dropped.
struct Taken<'a> {
    core: &'a Core,
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
        let mut seat = self.core.seat.lock();
        seat.local = self.local.take();
        seat.offer();
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
        // Timers that have left this thread are to find themselves another loop.
        if let Some(local) = &self.local {
            let _running = RunningLoop::enter(local);
            local.timers.clear_on_exit();
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

/// A root future in its place.
type PinnedRoot<F> = Pin<Box<F>>;

/// Polls the root future on this loop, turn by turn, until it is done or `interrupted`. The future
/// is dropped inside, while its loop still runs.
fn drive<F: Future>(
    local: &Local,
    after_root: AfterRoot,
    root: &mut Option<PinnedRoot<F>>,
    interrupted: impl Fn() -> bool,
) -> Option<F::Output> {
    let _running = RunningLoop::enter(local);
    let _root = local.begin_root();
    let _end = (after_root == AfterRoot::EndLocalTasks).then(|| EndLocalTasks(local));
    let waker = RootWaker::of(local);
    let mut cx = Context::from_waker(&waker);
    loop {
        if local.take_root_woken() {
            if interrupted() {
                return None;
            }
            let _polled = PolledTask::enter(None, &waker);
            let _budget = coop::begin();
            let future = root
                .as_mut()
                .expect("a root future that is done is not driven again");
            if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                *root = None;
                return Some(output);
            }
        }
        local.turn();
    }
}

/// Also when the root future panics: nothing that is not `Send` stays behind.
struct EndLocalTasks<'a>(&'a Local);

impl Drop for EndLocalTasks<'_> {
    fn drop(&mut self) {
        self.0.end_local_tasks();
    }
}

/// Wakes the root future: a flag on its own thread, one message from others.
struct RootWaker {
    remote: Arc<Remote>,
}

impl RootWaker {
    fn of(local: &Local) -> Waker {
        let remote = Arc::clone(local.remote());
        order_of_wakers();
        Waker::from(StdArc::new(Self { remote }))
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
            _ => {
                // Refused: the `block_on` is over, and its loop with it.
                let _ = self.remote.send(Message::WakeRoot);
            }
        });
    }
}
