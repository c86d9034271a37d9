//! The loop's side of timers, without a loop: the tests say what time it is.

use std::task::Wake;

use super::*;
use crate::primitive::sync::Mutex;

/// Tells in which order it was woken, and that it was dropped.
struct Traced {
    name: u32,
    trace: Arc<Mutex<Vec<u32>>>,
}

impl Wake for Traced {
    fn wake(self: Arc<Self>) {
        self.trace.lock().push(self.name);
    }
}

#[derive(Default, Clone)]
struct Trace(Arc<Mutex<Vec<u32>>>);

impl Trace {
    fn waker(&self, name: u32) -> Waker {
        let trace = Arc::clone(&self.0);
        Waker::from(Arc::new(Traced { name, trace }))
    }

    /// Who was woken since the last call.
    fn take(&self) -> Vec<u32> {
        mem::take(&mut self.0.lock())
    }

    /// Wakers that exist.
    fn wakers(&self) -> usize {
        Arc::strong_count(&self.0) - 1
    }
}

fn timers() -> Timers {
    Timers::new(Arc::new(Clock::new(true, false)))
}

fn us(n: u64) -> Duration {
    Duration::from_micros(n)
}

const NS: Duration = Duration::from_nanos(1);

#[test]
fn fires_in_order_and_not_before_the_deadline() {
    let (timers, trace) = (timers(), Trace::default());
    let start = timers.start;
    for (name, after) in [(3, 900), (1, 10), (2, 10), (4, 5_000_000)] {
        timers.arm(start, start + us(after), trace.waker(name));
    }
    assert_eq!(timers.len(), 4);
    assert_eq!(timers.next_deadline(), Some(start + us(10)));
    assert_eq!(timers.fire_due_at(start + us(10) - NS), 0);
    assert_eq!(timers.fire_due_at(start + us(10)), 2);
    assert_eq!(trace.take(), [1, 2]);
    assert_eq!(timers.next_deadline(), Some(start + us(900)));
    assert_eq!(timers.fire_due_at(start + us(10_000_000)), 2);
    assert_eq!(trace.take(), [3, 4]);
    assert_eq!(timers.next_deadline(), None);
    assert_eq!(trace.wakers(), 0);
}

#[test]
fn deadlines_within_a_tick_are_rounded_up() {
    let (timers, trace) = (timers(), Trace::default());
    let start = timers.start;
    for nanos in [1, 500, 999, 1000] {
        timers.arm(start, start + Duration::from_nanos(nanos), trace.waker(0));
    }
    assert_eq!(timers.next_deadline(), Some(start + us(1)));
    assert_eq!(timers.fire_due_at(start + us(1) - NS), 0);
    assert_eq!(timers.fire_due_at(start + us(1)), 4);
}

#[test]
fn deadlines_past_zero_and_huge() {
    let (timers, trace) = (timers(), Trace::default());
    let start = timers.start;
    let far = (0..63)
        .rev()
        .find_map(|bits| start.checked_add(Duration::from_secs(1 << bits)));
    let far = timers.arm(start, far.unwrap(), trace.waker(9));
    assert_eq!(timers.next_deadline(), None, "never");
    timers.arm(start, start, trace.waker(1));
    if let Some(past) = start.checked_sub(us(1_000)) {
        timers.arm(start, past, trace.waker(2));
    }
    timers.fire_due_at(start);
    assert!(trace.take().starts_with(&[1]));
    assert_eq!(timers.fire_due_at(start + us(u64::MAX >> 20)), 0);
    timers.disarm(far);
    assert_eq!(trace.wakers(), 0);
}

#[test]
fn disarmed_timers_do_not_fire() {
    let (timers, trace) = (timers(), Trace::default());
    let start = timers.start;
    let key = timers.arm(start, start + us(10), trace.waker(1));
    timers.arm(start, start + us(10), trace.waker(2));
    timers.disarm(key);
    timers.disarm(key);
    assert_eq!(trace.wakers(), 1);
    timers.fire_due_at(start + us(10));
    assert_eq!(trace.take(), [2]);
    timers.on_message(Message::Disarm(key));
    assert!(!timers.set_waker(key, &trace.waker(3)));
    assert!(!timers.rearm(key, start));
    assert_eq!(timers.len(), 0);
}

#[test]
fn the_last_waker_is_woken() {
    let (timers, trace) = (timers(), Trace::default());
    let start = timers.start;
    let first = trace.waker(1);
    let key = timers.arm(start, start + us(10), first.clone());
    assert!(timers.set_waker(key, &first));
    assert!(timers.set_waker(key, &trace.waker(2)));
    timers.fire_due_at(start + us(10));
    assert_eq!(trace.take(), [2]);
}

#[test]
fn rearming_moves_and_keeps_the_waker() {
    let (timers, trace) = (timers(), Trace::default());
    let start = timers.start;
    let key = timers.arm(start, start + us(10), trace.waker(1));
    assert!(timers.rearm(key, start + us(70)));
    assert_eq!(timers.fire_due_at(start + us(59)), 0);
    assert!(timers.rearm(key, start + us(60)));
    timers.fire_due_at(start + us(69));
    assert_eq!(trace.take(), [1]);
}

#[test]
fn rearming_into_the_past_fires_at_once() {
    let (timers, trace) = (timers(), Trace::default());
    let start = timers.start;
    let key = timers.arm(start, start + us(100), trace.waker(1));
    timers.fire_due_at(start + us(80));
    assert!(!timers.rearm(key, start + us(80)));
    assert_eq!(trace.take(), [1]);
    assert_eq!((timers.len(), timers.stats().fired), (0, 1));
    assert!(!timers.rearm(key, start + us(80)), "it has fired");
    assert_eq!(trace.take(), []);
}

#[test]
fn one_turn_fires_a_limited_number() {
    let (timers, trace) = (timers(), Trace::default());
    let start = timers.start;
    let count = FIRED_PER_TURN_MAX + BATCH + 1;
    for name in 0..count {
        timers.arm(start, start + us(10), trace.waker(name as u32));
    }
    assert_eq!(timers.fire_due_at(start + us(10)), FIRED_PER_TURN_MAX);
    assert!(
        timers.next_deadline().unwrap() <= start + us(10),
        "the next turn comes at once"
    );
    assert_eq!(timers.fire_due_at(start + us(10)), BATCH + 1);
    assert_eq!(trace.take(), (0..count as u32).collect::<Vec<_>>());
}

#[test]
fn lateness_is_counted() {
    let (timers, trace) = (timers(), Trace::default());
    let start = timers.start;
    timers.arm(start, start + us(10), trace.waker(1));
    timers.arm(start, start + us(16), trace.waker(2));
    timers.fire_due_at(start + us(17));
    let stats = timers.stats();
    assert_eq!(
        (stats.fired, stats.late_total, stats.late_max),
        (2, us(8), us(7))
    );
}

// ---- wakers that do things ----

thread_local! {
    static TIMERS: Timers = timers();
}

/// Runs a function when woken, and one when dropped.
struct Acting {
    on_wake: fn(),
    on_drop: fn(),
}

impl Wake for Acting {
    fn wake(self: Arc<Self>) {
        (self.on_wake)();
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        (self.on_drop)();
    }
}

fn acting(on_wake: fn(), on_drop: fn()) -> Waker {
    Waker::from(Arc::new(Acting { on_wake, on_drop }))
}

fn nothing() {}

/// Arms one timer that is due at once, and one that is disarmed at once.
fn use_timers() {
    TIMERS.with(|timers| {
        timers.arm(timers.start, timers.start, acting(nothing, nothing));
        let key = timers.arm(timers.start, timers.start, acting(nothing, nothing));
        assert!(timers.set_waker(key, &acting(nothing, nothing)));
        timers.disarm(key);
    });
}

#[test]
fn wakers_may_use_the_timers_when_woken_and_dropped() {
    TIMERS.with(|timers| {
        let start = timers.start;
        let key = timers.arm(start, start + us(5), acting(nothing, use_timers));
        timers.disarm(key);
        assert_eq!(timers.len(), 1, "armed by the drop");

        let key = timers.arm(start, start + us(5), acting(nothing, use_timers));
        assert!(timers.set_waker(key, &acting(use_timers, nothing)));
        assert_eq!(timers.len(), 3, "armed by the drop of the replaced one");

        assert_eq!(timers.fire_due_at(start + us(5)), 3);
        assert_eq!(timers.len(), 1, "armed by the wake: for the next turn");
        assert_eq!(timers.fire_due_at(start + us(5)), 1);
    });
}

#[test]
fn a_waker_that_panics_does_not_stop_the_others() {
    fn fail() {
        // Not `panic!`: the panic hook would print.
        std::panic::resume_unwind(Box::new("the waker's own"));
    }
    let (timers, trace) = (timers(), Trace::default());
    let start = timers.start;
    timers.arm(start, start, trace.waker(1));
    timers.arm(start, start, acting(fail, nothing));
    timers.arm(start, start, acting(nothing, fail));
    let key = timers.arm(start, start + us(1), acting(nothing, fail));
    timers.arm(start, start, trace.waker(2));
    assert_eq!(timers.fire_due_at(start), 4);
    assert_eq!(trace.take(), [1, 2]);
    timers.disarm(key);
    assert_eq!(timers.len(), 0);
}

// ---- messages ----

#[test]
fn timers_armed_by_message() {
    let (timers, trace) = (timers(), Trace::default());
    let start = timers.start;
    let arm = |id, after, name| {
        timers.on_message(Message::Arm {
            id,
            deadline: start + us(after),
            waker: trace.waker(name),
        });
    };
    let [first, second, third] = [(); 3].map(|()| ForeignId::next());
    arm(first, 10, 1);
    arm(second, 10, 2);
    arm(third, 10, 3);
    arm(first, 20, 4);
    assert_eq!(
        (timers.len(), trace.wakers()),
        (3, 3),
        "the first was replaced"
    );
    timers.on_message(Message::DisarmForeign(second));
    timers.on_message(Message::Rearm {
        id: third,
        deadline: start + us(30),
    });
    timers.fire_due_at(start + us(20));
    assert_eq!(trace.take(), [4]);
    timers.fire_due_at(start + us(30));
    assert_eq!(trace.take(), [3]);

    timers.on_message(Message::Rearm {
        id: third,
        deadline: start + us(40),
    });
    assert_eq!(timers.len(), 0, "it has fired");
    timers.on_message(Message::DisarmForeign(first));
    timers.on_message(Message::DisarmForeign(third));
    timers.on_message(Message::DisarmForeign(third));
    assert!(timers.state.borrow().foreign.is_empty());
}

#[test]
fn a_timer_reset_elsewhere_goes_on_under_an_id() {
    let (timers, trace) = (timers(), Trace::default());
    let start = timers.start;
    let adopt = |key, id| {
        timers.on_message(Message::Adopt {
            key,
            id,
            deadline: start + us(20),
        });
    };
    let key = timers.arm(start, start + us(10), trace.waker(1));
    let id = ForeignId::next();
    adopt(key, id);
    assert!(!timers.rearm(key, start), "the key is stale");
    assert_eq!(timers.fire_due_at(start + us(19)), 0);
    assert_eq!(timers.fire_due_at(start + us(20)), 1);
    assert_eq!(trace.take(), [1]);

    adopt(key, ForeignId::next());
    assert_eq!(
        timers.len(),
        0,
        "it had fired: there is no waker to go on with"
    );
}

#[test]
fn what_is_left_at_the_end_is_woken_and_freed() {
    let trace = Trace::default();
    let timers = timers();
    let start = timers.start;
    timers.arm(start, start + us(1 << 40), trace.waker(1));
    timers.on_message(Message::Arm {
        id: ForeignId::next(),
        deadline: start + us(10),
        waker: trace.waker(2),
    });
    timers.clear_on_exit();
    let mut woken = trace.take();
    woken.sort_unstable();
    assert_eq!((woken, timers.len()), (vec![1, 2], 0));

    timers.arm(start, start + us(10), trace.waker(3));
    drop(timers);
    assert_eq!(trace.take(), [3], "also without a call");
    assert_eq!(trace.wakers(), 0);
}
