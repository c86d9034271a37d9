//! Memory of huge pages: asked of the system a piece at a time, and given back whole.
//!
//! Place: mapped by a loop's pool on its thread; unmapped on any thread.
//!
//! # Invariants
//! A piece is mapped from `new` to `drop`, can be read and written, and begins at a multiple of
//! [`HUGE_PAGE_BYTES`].
//!
//! # Why it is so
//! The kernel puts a huge page only where an aligned range of that size was advised, so a piece is
//! cut out of a mapping of twice the size: what stands before and behind it is given back at once.

use std::io;
use std::ptr::NonNull;

/// Bytes of a piece: the size of a huge page where pages have 4 KiB. Elsewhere the advice is taken
/// as far as the system can.
pub(crate) const HUGE_PAGE_BYTES: usize = 2 << 20;

/// A piece of [`HUGE_PAGE_BYTES`], which the system was advised to back with a huge page.
#[derive(Debug)]
pub(crate) struct HugePage {
    start: NonNull<u8>,
}

// SAFETY: `start` is a mapping that belongs to no thread; who may touch its contents is governed by
// those who have been given pointers to it.
unsafe impl Send for HugePage {}

// SAFETY: as above: a shared reference gives pointers and no access.
unsafe impl Sync for HugePage {}

impl HugePage {
    /// Maps a piece.
    ///
    /// # Errors
    ///
    /// What mmap(2) and madvise(2) say: `OutOfMemory` at a limit of address space, `InvalidInput`
    /// from a kernel without huge pages. Nothing is mapped then.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn new() -> io::Result<Self> {
        use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a mapping where the kernel has room touches no other.
        let all = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                2 * HUGE_PAGE_BYTES,
                access,
                MapFlags::PRIVATE,
            )
        }?;
        let before = all.align_offset(HUGE_PAGE_BYTES);
        let start = all.wrapping_byte_add(before);
        unmap(all, before);
        unmap(
            start.wrapping_byte_add(HUGE_PAGE_BYTES),
            HUGE_PAGE_BYTES - before,
        );
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        // From here on its drop gives it back.
        let piece = Self { start };
        // SAFETY: the range was mapped above, and the advice changes no contents.
        unsafe {
            madvise(
                start.as_ptr().cast(),
                HUGE_PAGE_BYTES,
                Advice::LinuxHugepage,
            )
        }?;
        Ok(piece)
    }

    /// Not offered on this system.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(crate) fn new() -> io::Result<Self> {
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }

    /// The first byte.
    pub(crate) fn start(&self) -> NonNull<u8> {
        self.start
    }
}

impl Drop for HugePage {
    fn drop(&mut self) {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        unmap(self.start.as_ptr().cast(), HUGE_PAGE_BYTES);
    }
}

/// Gives back a part of what [`HugePage::new`] has mapped, which nobody has a pointer to use.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn unmap(start: *mut std::ffi::c_void, bytes: usize) {
    if bytes == 0 {
        return;
    }
    // SAFETY: the range is ours: mapped by `new`, and given back once.
    let outcome = unsafe { rustix::mm::munmap(start, bytes) };
    // It fails only where the process has as many mappings as it may and the kernel would have to
    // split one: the range stays mapped then, and nothing uses it.
    let _ = outcome;
}
