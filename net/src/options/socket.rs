//! Options of the socket layer: who may handle its packets, where, and how soon.
//!
//! Place: a macro that `tcp` and `udp` expand; the methods are called by applications and call the
//! operating system, some through `raw`; runs on any thread.

/// Gives a TCP or UDP socket that is `AsFd` the options of socket(7).
macro_rules! socket_options {
    ($Socket:ident) => {
        /// Options of the socket layer (Linux).
        impl $Socket {
            /// Returns the mark of the socket's packets (`SO_MARK`); 0 if there is none.
            ///
            /// # Errors
            ///
            /// Those of getsockopt(2).
            pub fn mark(&self) -> std::io::Result<u32> {
                socket2::SockRef::from(self).mark()
            }

            /// Marks the socket's packets (`SO_MARK`) for rules of routing and filtering.
            ///
            /// # Errors
            ///
            /// `PermissionDenied` without `CAP_NET_ADMIN` or `CAP_NET_RAW`; otherwise those of
            /// setsockopt(2).
            pub fn set_mark(&self, mark: u32) -> std::io::Result<()> {
                socket2::SockRef::from(self).set_mark(mark)
            }

            /// Returns the priority of the socket's packets (`SO_PRIORITY`).
            ///
            /// # Errors
            ///
            /// Those of getsockopt(2).
            pub fn priority(&self) -> std::io::Result<u32> {
                let priority = crate::options::raw::int(self, libc::SOL_SOCKET, libc::SO_PRIORITY)?;
                Ok(priority.unsigned_abs())
            }

            /// Sets the priority of the socket's packets in the queues of the device
            /// (`SO_PRIORITY`): 0 to 6 without a privilege.
            ///
            /// # Errors
            ///
            /// `PermissionDenied` for more than 6 without `CAP_NET_ADMIN`; otherwise those of
            /// setsockopt(2).
            pub fn set_priority(&self, priority: u32) -> std::io::Result<()> {
                let priority = i32::try_from(priority).unwrap_or(i32::MAX);
                crate::options::raw::set_int(self, libc::SOL_SOCKET, libc::SO_PRIORITY, priority)
            }

            /// Returns the processor that handled the socket's last packet (`SO_INCOMING_CPU`);
            /// `None` before the first, and on a socket that was given none.
            ///
            /// # Errors
            ///
            /// Those of getsockopt(2).
            pub fn incoming_cpu(&self) -> std::io::Result<Option<u32>> {
                // The kernel says -1 for none.
                let cpu = rustix::net::sockopt::socket_incoming_cpu(self)?;
                Ok(i32::try_from(cpu).ok().map(i32::unsigned_abs))
            }

            /// Prefers this socket for packets that the processor `cpu` handles, among those that
            /// are bound to one address with `SO_REUSEPORT` (`SO_INCOMING_CPU`).
            ///
            /// # Errors
            ///
            /// Those of setsockopt(2).
            pub fn set_incoming_cpu(&self, cpu: u32) -> std::io::Result<()> {
                Ok(rustix::net::sockopt::set_socket_incoming_cpu(self, cpu)?)
            }

            /// Returns how long a wait for packets polls the device, in microseconds
            /// (`SO_BUSY_POLL`); 0: not at all.
            ///
            /// # Errors
            ///
            /// Those of getsockopt(2).
            pub fn busy_poll(&self) -> std::io::Result<u32> {
                let micros = crate::options::raw::int(self, libc::SOL_SOCKET, libc::SO_BUSY_POLL)?;
                Ok(micros.unsigned_abs())
            }

            /// Has the kernel poll the device for so many microseconds before a wait sleeps
            /// (`SO_BUSY_POLL`). The runtime's own polling, which spares the sleep of the loop, is
            /// an option of its builder.
            ///
            /// # Errors
            ///
            /// `PermissionDenied` without `CAP_NET_ADMIN` if it is more than the system's default;
            /// otherwise those of setsockopt(2).
            pub fn set_busy_poll(&self, micros: u32) -> std::io::Result<()> {
                let micros = i32::try_from(micros).unwrap_or(i32::MAX);
                crate::options::raw::set_int(self, libc::SOL_SOCKET, libc::SO_BUSY_POLL, micros)
            }
        }
    };
}

pub(crate) use socket_options;
