//! What one waits for, and what one gets: the public words for readiness.

use std::fmt;
use std::ops;

use super::readiness::{ERROR, PRIORITY, READ_CLOSED, READABLE, WRITABLE, WRITE_CLOSED};

/// What to wait for on a source: one or several of readable, writable, priority and error.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Interest(u8);

impl Interest {
    /// Input, the end of input, or an error, which the next call tells.
    pub const READABLE: Self = Self(1);
    /// Room for output, the end of output, or an error, which the next call tells.
    pub const WRITABLE: Self = Self(1 << 1);
    /// Out-of-band data, or an exceptional condition (`EPOLLPRI` in epoll_ctl(2)).
    pub const PRIORITY: Self = Self(1 << 2);
    /// An error on the descriptor.
    pub const ERROR: Self = Self(1 << 3);

    /// Whether this contains readable.
    #[must_use]
    pub const fn is_readable(self) -> bool {
        self.0 & Self::READABLE.0 != 0
    }

    /// Whether this contains writable.
    #[must_use]
    pub const fn is_writable(self) -> bool {
        self.0 & Self::WRITABLE.0 != 0
    }

    /// Whether this contains priority.
    #[must_use]
    pub const fn is_priority(self) -> bool {
        self.0 & Self::PRIORITY.0 != 0
    }

    /// Whether this contains error.
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.0 & Self::ERROR.0 != 0
    }

    /// Both interests.
    #[must_use = "this returns the sum and does not change the operand"]
    pub const fn add(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This interest without `other`; `None` if nothing is left.
    #[must_use = "this returns the difference and does not change the operand"]
    pub const fn remove(self, other: Self) -> Option<Self> {
        match self.0 & !other.0 {
            0 => None,
            left => Some(Self(left)),
        }
    }

    /// The readiness bits that end a wait for this interest.
    pub(crate) fn mask(self) -> u64 {
        let mut mask = 0;
        if self.is_readable() {
            mask |= READABLE | READ_CLOSED;
        }
        if self.is_writable() {
            mask |= WRITABLE | WRITE_CLOSED;
        }
        if self.is_priority() {
            mask |= PRIORITY | READ_CLOSED;
        }
        if self.is_error() {
            mask |= ERROR;
        }
        mask
    }
}

impl ops::BitOr for Interest {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.add(other)
    }
}

impl ops::BitOrAssign for Interest {
    fn bitor_assign(&mut self, other: Self) {
        *self = self.add(other);
    }
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (self.is_readable(), "READABLE"),
            (self.is_writable(), "WRITABLE"),
            (self.is_priority(), "PRIORITY"),
            (self.is_error(), "ERROR"),
        ];
        let set: Vec<&str> = names
            .iter()
            .filter(|(is, _)| *is)
            .map(|(_, name)| *name)
            .collect();
        f.write_str(&set.join(" | "))
    }
}

/// What a source is ready for, as far as the loop has heard. It may be out of date: only the
/// system call tells for certain.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ready(u64);

impl Ready {
    /// Nothing.
    pub const EMPTY: Self = Self(0);
    /// Input, or an error.
    pub const READABLE: Self = Self(READABLE);
    /// Room for output, or an error.
    pub const WRITABLE: Self = Self(WRITABLE);
    /// The end of input: the peer has shut down its writing side, or the connection is gone.
    pub const READ_CLOSED: Self = Self(READ_CLOSED);
    /// The end of output.
    pub const WRITE_CLOSED: Self = Self(WRITE_CLOSED);
    /// Out-of-band data, or an exceptional condition.
    pub const PRIORITY: Self = Self(PRIORITY);
    /// An error.
    pub const ERROR: Self = Self(ERROR);
    /// All of these.
    pub const ALL: Self = Self(READABLE | WRITABLE | READ_CLOSED | WRITE_CLOSED | PRIORITY | ERROR);

    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    /// Whether nothing is set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether there is input, or its end.
    #[must_use]
    pub const fn is_readable(self) -> bool {
        self.0 & (READABLE | READ_CLOSED) != 0
    }

    /// Whether there is room for output, or its end.
    #[must_use]
    pub const fn is_writable(self) -> bool {
        self.0 & (WRITABLE | WRITE_CLOSED) != 0
    }

    /// Whether the end of input was seen.
    #[must_use]
    pub const fn is_read_closed(self) -> bool {
        self.0 & READ_CLOSED != 0
    }

    /// Whether the end of output was seen.
    #[must_use]
    pub const fn is_write_closed(self) -> bool {
        self.0 & WRITE_CLOSED != 0
    }

    /// Whether a priority event was seen.
    #[must_use]
    pub const fn is_priority(self) -> bool {
        self.0 & PRIORITY != 0
    }

    /// Whether an error was seen.
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.0 & ERROR != 0
    }
}

impl ops::BitOr for Ready {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl ops::BitOrAssign for Ready {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl ops::BitAnd for Ready {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl ops::Sub for Ready {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready")
            .field("is_readable", &self.is_readable())
            .field("is_writable", &self.is_writable())
            .field("is_read_closed", &self.is_read_closed())
            .field("is_write_closed", &self.is_write_closed())
            .field("is_priority", &self.is_priority())
            .field("is_error", &self.is_error())
            .finish()
    }
}
