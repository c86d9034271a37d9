//! The sizes of the kernel's buffers.
//!
//! Place: a macro that `tcp`, `udp` and `unix` expand; the methods are called by applications and
//! call the operating system; runs on any thread.

/// Gives a socket that is `AsFd` the methods for the sizes of its buffers.
macro_rules! buffer_sizes {
    ($Socket:ident) => {
        impl $Socket {
            /// Sets the size of the kernel's send buffer (`SO_SNDBUF`), in bytes. Linux doubles it
            /// and stops adapting it to the connection.
            ///
            /// # Errors
            ///
            /// Those of setsockopt(2).
            pub fn set_send_buffer_size(&self, size: u32) -> std::io::Result<()> {
                let size = crate::options::clamp_size(size);
                socket2::SockRef::from(self).set_send_buffer_size(size)
            }

            /// Returns the size of the kernel's send buffer, in bytes.
            ///
            /// # Errors
            ///
            /// Those of getsockopt(2).
            pub fn send_buffer_size(&self) -> std::io::Result<u32> {
                let size = socket2::SockRef::from(self).send_buffer_size()?;
                Ok(crate::options::size_u32(size))
            }

            /// Sets the size of the kernel's receive buffer (`SO_RCVBUF`), in bytes. Linux doubles
            /// it and stops adapting it to the connection, which makes most connections slower.
            ///
            /// # Errors
            ///
            /// Those of setsockopt(2).
            pub fn set_recv_buffer_size(&self, size: u32) -> std::io::Result<()> {
                let size = crate::options::clamp_size(size);
                socket2::SockRef::from(self).set_recv_buffer_size(size)
            }

            /// Returns the size of the kernel's receive buffer, in bytes.
            ///
            /// # Errors
            ///
            /// Those of getsockopt(2).
            pub fn recv_buffer_size(&self) -> std::io::Result<u32> {
                let size = socket2::SockRef::from(self).recv_buffer_size()?;
                Ok(crate::options::size_u32(size))
            }
        }
    };
}

pub(crate) use buffer_sizes;

/// The kernel takes an `int`: what is more would turn negative.
pub(crate) fn clamp_size(size: u32) -> usize {
    size.min(i32::MAX.unsigned_abs()) as usize
}

pub(crate) fn size_u32(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}
