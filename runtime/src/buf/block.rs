//! The memory of leases: blocks of a few sizes.
//!
//! Place: made by `pool` on the loop's thread, or by a thread without a loop; freed on any thread. The
//! memory is the heap's, or a place in an arena.
//!
//! # Invariants
//! A block's bytes belong to its leases while there are some (disjoint ranges, if it was split), and
//! to nobody otherwise. They are never read before they are written: memory is not zeroed.
//!
//! # Why it is so
//! The header stands apart from the bytes, so that these begin on a page and fill it, and so that a
//! lease, which knows where its bytes are, touches the header only at its end.

use std::alloc::{self, Layout};
use std::ptr::NonNull;

use super::arena::Arena;
use super::home::{Chain, Home, Node, Owners};
use super::pool::PoolHome;
use crate::primitive::sync::Arc;

/// A block with its link, as it is handed around.
pub(super) type BlockNode = Node<Block>;
pub(super) type BlockChain = Chain<Block>;
pub(super) type BlockHome = Home<Block>;

/// Memory of one size class.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) owners: Owners,
    pub(super) class: Class,
    bytes: NonNull<u8>,
    /// Where the bytes lie. None: on the heap.
    arena: Option<Arc<Arena>>,
    /// Where it comes home to. None for the memory of a thread without a loop.
    pub(super) home: Option<Arc<PoolHome>>,
}

// SAFETY: `bytes` is memory of the heap that the block alone frees, or a place in an arena that it
// alone has, and keeps mapped; who may touch its contents is governed by the leases.
unsafe impl Send for Block {}

// SAFETY: as above: a shared reference to the block gives the pointer and no access.
unsafe impl Sync for Block {}

impl Block {
    /// Memory of a class, not initialised. None if the system has none.
    pub(super) fn allocate(class: Class, home: Option<Arc<PoolHome>>) -> Option<Box<BlockNode>> {
        // SAFETY: the size of a class is not zero.
        let bytes = NonNull::new(unsafe { alloc::alloc(class.layout()) })?;
        Some(Node::new(Self {
            owners: Owners::new(),
            class,
            bytes,
            arena: None,
            home,
        }))
    }

    /// A block at `bytes`, a place that `arena` has just given out for this class.
    pub(super) fn within(
        (arena, bytes): (Arc<Arena>, NonNull<u8>),
        class: Class,
        home: Arc<PoolHome>,
    ) -> Box<BlockNode> {
        Node::new(Self {
            owners: Owners::new(),
            class,
            bytes,
            arena: Some(arena),
            home: Some(home),
        })
    }

    pub(super) fn arena(&self) -> Option<&Arc<Arena>> {
        self.arena.as_ref()
    }

    /// The first byte.
    #[inline]
    pub(super) fn bytes(&self) -> NonNull<u8> {
        self.bytes
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if let Some(arena) = &self.arena {
            return arena.put(self.bytes);
        }
        // SAFETY: it was allocated with this layout, and is dropped once: nobody has a lease.
        unsafe { alloc::dealloc(self.bytes.as_ptr(), self.class.layout()) };
    }
}

/// A size of blocks: a power of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Class(u8);

impl Class {
    /// The smallest class that holds `bytes`. None if none does.
    #[inline]
    pub(super) fn for_bytes(bytes: usize) -> Option<Self> {
        if bytes > BLOCK_BYTES_MAX {
            return None;
        }
        // The logarithm, rounded up.
        let order = (bytes.max(BLOCK_BYTES_MIN) - 1).ilog2() + 1 - ORDER_MIN;
        // At most `CLASSES`, which fits.
        Some(Self(order as u8))
    }

    /// The largest class that is not above `bytes`, which is at least [`BLOCK_BYTES_MIN`].
    pub(super) fn within(bytes: usize) -> Self {
        let order = bytes.clamp(BLOCK_BYTES_MIN, BLOCK_BYTES_MAX).ilog2() - ORDER_MIN;
        Self(order as u8)
    }

    #[inline]
    pub(super) fn bytes(self) -> usize {
        BLOCK_BYTES_MIN << self.0
    }

    #[inline]
    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }

    fn layout(self) -> Layout {
        let align = self.bytes().min(PAGE_BYTES);
        Layout::from_size_align(self.bytes(), align).expect("powers of two below 2^31")
    }
}

/// How much memory a loop's pool may hold, and of what kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes of all blocks, lent out or free.
    pub(crate) bytes_max: usize,
    /// Bytes of free blocks.
    pub(crate) free_bytes_max: usize,
    /// Whether blocks lie in arenas of huge pages, as far as the system gives them.
    pub(crate) huge_pages: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes_max: 256 << 20,
            free_bytes_max: 4 << 20,
            huge_pages: false,
        }
    }
}

/// The smallest block.
pub(crate) const BLOCK_BYTES_MIN: usize = 1 << ORDER_MIN;
/// The largest block.
pub(crate) const BLOCK_BYTES_MAX: usize = BLOCK_BYTES_MIN << (CLASSES - 1);
const ORDER_MIN: u32 = 11;
pub(super) const CLASSES: usize = 10;
/// Blocks begin at multiples of this, or of their size.
const PAGE_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_powers_of_two_from_2_kib_to_1_mib() {
        let class_bytes = |bytes| Class::for_bytes(bytes).map(Class::bytes);
        assert_eq!(class_bytes(0), Some(2048));
        assert_eq!(class_bytes(2048), Some(2048));
        assert_eq!(class_bytes(2049), Some(4096));
        assert_eq!(class_bytes(65_536), Some(65_536));
        assert_eq!(class_bytes(65_537), Some(131_072));
        assert_eq!(class_bytes(1 << 20), Some(1 << 20));
        assert_eq!(class_bytes((1 << 20) + 1), None);
        assert_eq!(class_bytes(usize::MAX), None);
        assert_eq!(
            Class::for_bytes(1 << 20).map(Class::index),
            Some(CLASSES - 1)
        );
        assert_eq!(Class::within(5000).bytes(), 4096);
        assert_eq!(Class::within(usize::MAX).bytes(), 1 << 20);
    }
}
