//! How what was lent to other threads comes home.
//!
//! Place: `push` and `Owners` on any thread, where a lease is dropped; all else on the thread of
//! the loop that lends. Protocol file.
//!
//! ```text
//!            push                 push
//!   EMPTY ---------> A -> nil ---------> B -> A -> nil ...      take: all of it, EMPTY stays
//!     ^                                      |
//!     |  take_or_want: all of it, WANTED stays
//!     v                                      v
//!   WANTED --------> A -> nil, and who pushed tells the loop, once
//!
//!   any ---close---> CLOSED: who pushes keeps the node
//! ```
//!
//! # Invariants
//! A node is in one hand: its last owner's, the stack's or the loop's. The head is the only shared
//! word, and every change of it is one read-modify-write: so a push is either in what `take_or_want`
//! and `close` give out, or it finds what they have left, and then it tells the loop or keeps the
//! node.
//!
//! # Why it is so
//! One word needs no fence: a flag "somebody waits" beside the stack would need one on each side,
//! and a flag "closed" beside it leaks the node that is pushed between the flag and the last take.
//! Taking all at once, the stack never meets the A-B-A problem.

#![allow(unreachable_pub, reason = "the models import protocol types")]

use core::ops::Deref;
use core::ptr;

use crate::primitive::atomic::{AtomicPtr, AtomicU32, Ordering, first_guess_of, is_sole};
use crate::primitive::cell::UnsafeCell;

/// A thing that can be lent, with the link by which it comes home.
#[derive(Debug)]
pub struct Node<T> {
    // Belongs to whoever has the node: the pushing thread until its exchange, then the taker.
    next: UnsafeCell<*mut Self>,
    value: T,
}

// SAFETY: `next` is used by the one hand that has the node (see the module's invariants), and
// points to nodes that are in the same hand; `value` is Send.
unsafe impl<T: Send> Send for Node<T> {}

// SAFETY: as above: a shared reference to a node does not lead to `next`, which only `push` and
// `Chain` touch, and they own the node.
unsafe impl<T: Sync> Sync for Node<T> {}

impl<T> Node<T> {
    /// A node that is in the caller's hand.
    pub fn new(value: T) -> Box<Self> {
        Box::new(Self {
            next: UnsafeCell::new(ptr::null_mut()),
            value,
        })
    }

    #[expect(
        clippy::needless_pass_by_ref_mut,
        reason = "being exclusive makes it sound"
    )]
    fn set_next(&mut self, next: *mut Self) {
        // SAFETY: exclusive, by the reference.
        self.next.with_mut(|link| unsafe { *link = next });
    }

    #[expect(
        clippy::needless_pass_by_ref_mut,
        reason = "being exclusive makes it sound"
    )]
    fn take_next(&mut self) -> *mut Self {
        // SAFETY: exclusive, by the reference.
        self.next
            .with_mut(|link| unsafe { link.replace(ptr::null_mut()) })
    }
}

impl<T> Deref for Node<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// A list of nodes in one hand, last in, first out.
#[derive(Debug)]
pub struct Chain<T> {
    head: *mut Node<T>,
}

// SAFETY: it owns its nodes, which are Send.
unsafe impl<T: Send> Send for Chain<T> {}

impl<T> Chain<T> {
    /// No nodes.
    #[allow(
        clippy::new_without_default,
        reason = "as the other parts of a protocol"
    )]
    pub const fn new() -> Self {
        Self {
            head: ptr::null_mut(),
        }
    }

    /// Whether there are no nodes.
    pub fn is_empty(&self) -> bool {
        self.head.is_null()
    }

    /// Puts a node in front.
    #[inline]
    pub fn push(&mut self, mut node: Box<Node<T>>) {
        node.set_next(self.head);
        self.head = Box::into_raw(node);
    }

    /// The node that was put in last.
    #[inline]
    pub fn pop(&mut self) -> Option<Box<Node<T>>> {
        if self.head.is_null() {
            return None;
        }
        // SAFETY: the list owns its nodes: the pointer came from `into_raw` in `push` of the list
        // or of the stack, and is given out once, since `head` moves on.
        let mut node = unsafe { Box::from_raw(self.head) };
        self.head = node.take_next();
        Some(node)
    }
}

impl<T> Drop for Chain<T> {
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}

/// What became of a node that was sent home.
#[derive(Debug)]
#[must_use = "who gets Tell must tell the loop, or its waiters wait on"]
pub enum Arrival<T> {
    /// The loop finds it when it looks.
    Kept,
    /// The loop waits for it: tell it.
    Tell,
    /// There is no home any more: the node is the caller's.
    Refused(Box<Node<T>>),
}

/// Where nodes come home to.
#[derive(Debug)]
pub struct Home<T> {
    head: AtomicPtr<Node<T>>,
}

impl<T: Send> Home<T> {
    /// An open home; nobody waits.
    #[allow(
        clippy::new_without_default,
        reason = "as the other parts of a protocol"
    )]
    pub fn new() -> Self {
        Self {
            head: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Sends a node home. Any thread.
    pub fn push(&self, mut node: Box<Node<T>>) -> Arrival<T> {
        let mut head = first_guess_of(&self.head);
        loop {
            if head == closed() {
                // The guess may be old, but nothing follows the end.
                return Arrival::Refused(node);
            }
            let was_wanted = head == wanted();
            node.set_next(if was_wanted { ptr::null_mut() } else { head });
            let raw = Box::into_raw(node);
            // ORDERING: Release. Pairs with Acquire in `take`: publishes the link, and all that
            // was done with the node before. If weaker: loom home::a_node_brings_its_past_along
            // fails (mutant home_push_relaxed). A failure is followed by another exchange, or by
            // the end, which publishes nothing: Relaxed.
            let outcome =
                self.head
                    .compare_exchange(head, raw, Ordering::Release, Ordering::Relaxed);
            match outcome {
                Ok(_) if was_wanted => return Arrival::Tell,
                Ok(_) => return Arrival::Kept,
                Err(now) => head = now,
            }
            // SAFETY: the exchange failed, so nobody else has seen the pointer.
            node = unsafe { Box::from_raw(raw) };
        }
    }

    /// Whether `take` would give something: a hint. Loop's thread.
    #[inline]
    pub fn has_arrivals(&self) -> bool {
        !is_mark(self.head.load(Ordering::Relaxed))
    }

    /// All that has come home. Whoever waited is forgotten. Loop's thread, while open.
    pub fn take(&self) -> Chain<T> {
        self.exchange(ptr::null_mut())
    }

    /// All that has come home; the next push tells the loop. Loop's thread, while open.
    pub fn take_or_want(&self) -> Chain<T> {
        self.exchange(wanted())
    }

    /// All that has come home; all that comes later is refused. Loop's thread.
    pub fn close(&self) -> Chain<T> {
        self.exchange(closed())
    }

    fn exchange(&self, left: *mut Node<T>) -> Chain<T> {
        // ORDERING: Acquire. Pairs with Release in `push`, see there (mutant home_take_relaxed).
        // The pushes form one release sequence, so that of the last one brings along all. Nothing
        // is published: the marks lead nowhere.
        let head = self.head.swap(left, Ordering::Acquire);
        Chain {
            head: if is_mark(head) { ptr::null_mut() } else { head },
        }
    }
}

impl<T> Drop for Home<T> {
    fn drop(&mut self) {
        // ORDERING: Acquire, as in `take`; whoever pushed last may have left no other order.
        let head = self.head.swap(ptr::null_mut(), Ordering::Acquire);
        if !is_mark(head) {
            drop(Chain { head });
        }
    }
}

/// How many leases share one node.
#[derive(Debug)]
pub struct Owners(AtomicU32);

impl Owners {
    /// One.
    #[allow(
        clippy::new_without_default,
        reason = "as the other parts of a protocol"
    )]
    pub fn new() -> Self {
        Self(AtomicU32::new(1))
    }

    /// One more. Any owner.
    ///
    /// # Panics
    ///
    /// If there are 2^31 already, which needs as many leaks.
    pub fn join(&self) {
        // Relaxed: the new owner is made from an old one, which keeps the node alive.
        let before = self.0.fetch_add(1, Ordering::Relaxed);
        assert!(
            before < OWNERS_MAX,
            "a block has too many leases: they leak"
        );
    }

    /// One less. True for the last, which then has the node alone; the count is one again.
    #[inline]
    pub fn leave(&self) -> bool {
        if is_sole(&self.0) {
            return true;
        }
        // ORDERING: AcqRel. Release: what this owner did with the node comes before the last
        // owner's hand-over; Acquire: the last one sees it. If weaker: loom
        // home::owners_leave_at_once fails (mutant home_leave_relaxed).
        if self.0.fetch_sub(1, Ordering::AcqRel) != 1 {
            return false;
        }
        // Relaxed: nobody else has the node now.
        self.0.store(1, Ordering::Relaxed);
        true
    }
}

/// "The loop waits for a push": no node, since a node's address is a multiple of its alignment.
fn wanted<T>() -> *mut Node<T> {
    ptr::without_provenance_mut(1)
}

/// "There is no loop any more."
fn closed<T>() -> *mut Node<T> {
    ptr::without_provenance_mut(2)
}

fn is_mark<T>(head: *mut Node<T>) -> bool {
    head.addr() <= 2
}

const OWNERS_MAX: u32 = 1 << 31;
