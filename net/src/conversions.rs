//! From and to the standard library's sockets, and to their descriptors.
//!
//! Place: expanded by the sockets that hold one of std's in a field `io: Source<_>`.

/// Gives a socket the conversions that std's has.
macro_rules! conversions {
    ($Socket:ident, $Std:ty $(, $field:ident: $value:expr)*) => {
        impl $Socket {
            #[track_caller]
            pub(crate) fn register(socket: $Std) -> std::io::Result<Self> {
                Ok(Self {
                    io: oneloop_runtime::io::Source::new(socket)?,
                    $($field: $value,)*
                })
            }

            /// Takes over a socket of the standard library.
            ///
            /// It is set to non-blocking mode here; tokio leaves that to the caller.
            ///
            /// # Errors
            ///
            /// If the mode cannot be set.
            ///
            /// # Panics
            ///
            /// Outside a runtime.
            #[track_caller]
            pub fn from_std(socket: $Std) -> std::io::Result<Self> {
                socket.set_nonblocking(true)?;
                Self::register(socket)
            }

            /// Turns it into a socket of the standard library, in non-blocking mode as it was.
            ///
            /// # Errors
            ///
            /// None at present; the signature is tokio's.
            pub fn into_std(self) -> std::io::Result<$Std> {
                Ok(self.io.into_inner())
            }

            /// Returns the error that the socket holds (`SO_ERROR`) and clears it.
            ///
            /// # Errors
            ///
            /// Those of getsockopt(2).
            pub fn take_error(&self) -> std::io::Result<Option<std::io::Error>> {
                self.io.get_ref().take_error()
            }
        }

        impl std::fmt::Debug for $Socket {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(self.io.get_ref(), f)
            }
        }

        impl TryFrom<$Std> for $Socket {
            type Error = std::io::Error;

            /// As `from_std`.
            fn try_from(socket: $Std) -> std::io::Result<Self> {
                Self::from_std(socket)
            }
        }

        impl From<$Socket> for std::os::fd::OwnedFd {
            fn from(socket: $Socket) -> Self {
                socket.io.into_inner().into()
            }
        }

        impl std::os::fd::AsFd for $Socket {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.io.get_ref().as_fd()
            }
        }

        impl std::os::fd::AsRawFd for $Socket {
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                self.io.get_ref().as_raw_fd()
            }
        }
    };
}

pub(crate) use conversions;
