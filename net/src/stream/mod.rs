//! What streams of all families have in common: moving bytes, waiting, halves.
//!
//! Place: made of macros that `tcp` and `unix` expand, each in a file of its own: the methods and
//! their docs belong to the public types themselves, so that no trait has to be imported.
//!
//! ```text
//! transfer!  read, write, peek, try_*, poll_*     of a stream
//! leases!    read_lease, write_all_lease          of a stream
//! readiness! ready, readable, writable, *_io      of any socket
//! halves!    ReadHalf, WriteHalf, Owned*          each passing on to its stream
//! ```

pub(crate) mod half;
pub(crate) mod lease;
pub(crate) mod readiness;
pub(crate) mod split;
pub(crate) mod split_owned;
pub(crate) mod transfer;

/// Makes the four halves of a stream, in the module where it is expanded.
macro_rules! halves {
    ($Stream:ident, $Address:ty) => {
        use std::future::poll_fn;
        use std::io::{self, IoSlice, IoSliceMut};
        use std::mem::MaybeUninit;
        use std::ops::RangeInclusive;
        use std::task::{Context, Poll};

        use oneloop_runtime::buf::Lease;
        use oneloop_runtime::io::{Interest, Ready};

        crate::stream::split::borrowed_halves!($Stream, $Address);
        crate::stream::split_owned::owned_halves!($Stream, $Address);
    };
}

pub(crate) use halves;
