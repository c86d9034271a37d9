//! What all sockets have in common.

/// The descriptor of a type that wraps one of oneloop's in its field `inner`.
macro_rules! descriptor {
    ($socket:ty) => {
        impl std::os::fd::AsFd for $socket {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                std::os::fd::AsFd::as_fd(&self.inner)
            }
        }

        impl std::os::fd::AsRawFd for $socket {
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                std::os::fd::AsRawFd::as_raw_fd(&std::os::fd::AsFd::as_fd(&self.inner))
            }
        }
    };
}

/// Methods that are those of the field `inner`.
macro_rules! delegate {
    ($($(#[$attribute:meta])* $name:ident($($argument:ident: $type:ty),*) -> $result:ty;)+) => {$(
        $(#[$attribute])*
        ///
        /// # Errors
        ///
        /// Those of the system.
        pub fn $name(&self, $($argument: $type),*) -> $result {
            self.inner.$name($($argument),*)
        }
    )+};
}

/// Waiting for readiness, of a stream or datagram socket in the field `inner`.
macro_rules! readiness {
    () => {
        /// Waits until the socket is ready for some of `interest`.
        ///
        /// # Errors
        ///
        /// The runtime has shut down.
        ///
        /// # Cancel safety
        ///
        /// Nothing is lost.
        pub async fn ready(
            &self,
            interest: crate::io::Interest,
        ) -> std::io::Result<crate::io::Ready> {
            self.inner.ready(interest).await
        }

        /// Waits until a read may succeed.
        ///
        /// # Errors
        ///
        /// The runtime has shut down.
        ///
        /// # Cancel safety
        ///
        /// Nothing is lost.
        pub async fn readable(&self) -> std::io::Result<()> {
            self.inner.readable().await
        }

        /// Waits until a write may succeed.
        ///
        /// # Errors
        ///
        /// The runtime has shut down.
        ///
        /// # Cancel safety
        ///
        /// Nothing is lost.
        pub async fn writable(&self) -> std::io::Result<()> {
            self.inner.writable().await
        }

        /// Tries an operation of the caller's; `WouldBlock` takes the readiness back.
        ///
        /// # Errors
        ///
        /// Those of the operation.
        pub fn try_io<R>(
            &self,
            interest: crate::io::Interest,
            f: impl FnOnce() -> std::io::Result<R>,
        ) -> std::io::Result<R> {
            self.inner.try_io(interest, f)
        }

        /// Tries an operation of the caller's until it does not answer `WouldBlock`.
        ///
        /// # Errors
        ///
        /// Those of the operation.
        pub async fn async_io<R>(
            &self,
            interest: crate::io::Interest,
            f: impl FnMut() -> std::io::Result<R>,
        ) -> std::io::Result<R> {
            self.inner.async_io(interest, f).await
        }
    };
}

pub(super) use {delegate, descriptor, readiness};
