//! Looking for the end of a line or another mark among the readable bytes.
//!
//! Place: called by protocol code and by `reader`; plain memory, any thread.

use memchr::{memchr, memmem};

use super::Buffer;

/// Positions are counted from the first readable byte, and so is `from`, where the search begins:
/// at most one past the last. A search that begins further on finds nothing.
impl Buffer {
    /// Finds CR LF and returns the position of the CR.
    #[must_use]
    pub fn find_crlf(&self, from: usize) -> Option<usize> {
        self.find(b"\r\n", from)
    }

    /// Finds LF, the end of a line.
    #[must_use]
    pub fn find_eol(&self, from: usize) -> Option<usize> {
        let rest = self.readable().get(from..)?;
        Some(from + memchr(b'\n', rest)?)
    }

    /// Finds `bytes`. No bytes are found everywhere.
    #[must_use]
    pub fn find(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let rest = self.readable().get(from..)?;
        Some(from + memmem::find(rest, bytes)?)
    }
}
