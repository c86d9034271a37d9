//! The vtable of a task's wakers, without a waker.
//!
//! Place: asked for at each spawn, on any thread; what a thread has found is that thread's own.
//!
//! # Why it is so
//! A handle wakes its task to abort it, and async-task tells the vtable for that only by way of a waker:
//! two atomic operations on the way, and a third because a count has changed meanwhile. The vtable is one of
//! the future's type, and a program spawns few types again and again. A place for each of them in its type
//! would be better, but a generic type has no statics.

use std::any::TypeId;
use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::task::RawWakerVTable;

use super::Runnable;
use crate::primitive::thread_local;

thread_local! {
    static KNOWN: [Cell<Option<Known>>; PLACES] = const { [const { Cell::new(None) }; PLACES] };
}

/// Types that are known at once, if no two of them have one place.
const PLACES: usize = 64;

#[derive(Clone, Copy)]
struct Known {
    future: TypeId,
    vtable: &'static RawWakerVTable,
}

/// The vtable of the wakers of this task, whose future is an `F`. That their data is `data` is looked
/// at where the type is not known yet.
#[inline]
pub(super) fn of<F: 'static>(runnable: &Runnable, data: *const ()) -> &'static RawWakerVTable {
    let future = TypeId::of::<F>();
    // An error means that the thread is ending.
    let known = KNOWN.try_with(|known| known[place(future)].get());
    match known {
        Ok(Some(known)) if known.future == future => known.vtable,
        _ => find(future, runnable, data),
    }
}

#[cold]
fn find(future: TypeId, runnable: &Runnable, data: *const ()) -> &'static RawWakerVTable {
    let waker = runnable.waker();
    assert_eq!(waker.data(), data, "a waker of this task");
    let vtable = waker.vtable();
    // As above.
    KNOWN
        .try_with(|known| known[place(future)].set(Some(Known { future, vtable })))
        .unwrap_or(());
    vtable
}

#[inline]
fn place(future: TypeId) -> usize {
    let mut low = Low(0);
    future.hash(&mut low);
    (low.0 % PLACES as u64) as usize
}

/// Takes a hash for what it is: a type's id is one.
struct Low(u64);

impl Hasher for Low {
    #[inline]
    fn write_u64(&mut self, word: u64) {
        self.0 ^= word;
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}
