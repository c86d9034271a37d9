//! Descriptors of the application's own.
//!
//! Place: wraps `oneloop::io::Source` around the number of a descriptor whose owner stands beside
//! it.

use std::error::Error;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::task::{Context, Poll, ready};

use oneloop::io::{Direction, ReadyEvent, Source};

use super::{Interest, Ready};
use crate::runtime::context::require_io;
use crate::runtime::shutdown::InTokioWords;

/// A descriptor whose readiness is watched. Its owner gives the same open descriptor for as long as
/// it lives.
pub struct AsyncFd<T: AsRawFd> {
    // Before the owner, which closes: fields are dropped in their order.
    source: Source<Number>,
    inner: T,
}

/// A descriptor that its owner keeps open.
#[derive(Debug)]
struct Number(RawFd);

impl AsFd for Number {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: `AsyncFd::register` asks its caller for a descriptor that is open for as long as
        // the owner lives, which stands beside the number; -1 was refused there.
        unsafe { BorrowedFd::borrow_raw(self.0) }
    }
}

impl<T: AsRawFd> AsyncFd<T> {
    /// Watches a descriptor for input and output.
    ///
    /// # Errors
    ///
    /// The system cannot watch it, or the runtime has shut down. The owner is in the error.
    ///
    /// # Panics
    ///
    /// Where there is no runtime with IO.
    ///
    /// # Safety
    ///
    /// The owner gives the same open descriptor for as long as it lives.
    #[track_caller]
    pub unsafe fn register(inner: T) -> Result<Self, AsyncFdRegisterError<T>> {
        // SAFETY: the caller's duty is the same.
        unsafe { Self::register_with_interest(inner, Interest::READABLE | Interest::WRITABLE) }
    }

    /// Watches a descriptor. All interests are watched for; `interest` is tokio's.
    ///
    /// # Errors
    ///
    /// As [`register`](Self::register).
    ///
    /// # Panics
    ///
    /// Where there is no runtime with IO.
    ///
    /// # Safety
    ///
    /// The owner gives the same open descriptor for as long as it lives.
    #[track_caller]
    pub unsafe fn register_with_interest(
        inner: T,
        _interest: Interest,
    ) -> Result<Self, AsyncFdRegisterError<T>> {
        require_io();
        match watch(inner.as_raw_fd()) {
            Ok(source) => Ok(Self { source, inner }),
            Err(cause) => Err(AsyncFdRegisterError { inner, cause }),
        }
    }

    /// As [`register`](Self::register).
    ///
    /// # Errors
    ///
    /// As [`register`](Self::register), without the owner.
    ///
    /// # Panics
    ///
    /// Where there is no runtime with IO.
    #[track_caller]
    #[deprecated = "the owner may close the descriptor early: use `register`"]
    pub fn new(inner: T) -> io::Result<Self> {
        // SAFETY: not proven, as in tokio: what goes wrong is that another file is watched.
        Ok(unsafe { Self::register(inner) }?)
    }

    /// As [`register_with_interest`](Self::register_with_interest).
    ///
    /// # Errors
    ///
    /// As [`register`](Self::register), without the owner.
    ///
    /// # Panics
    ///
    /// Where there is no runtime with IO.
    #[track_caller]
    #[deprecated = "the owner may close the descriptor early: use `register_with_interest`"]
    pub fn with_interest(inner: T, interest: Interest) -> io::Result<Self> {
        // SAFETY: as in `new`.
        Ok(unsafe { Self::register_with_interest(inner, interest) }?)
    }

    /// As [`register`](Self::register).
    ///
    /// # Errors
    ///
    /// As [`register`](Self::register).
    ///
    /// # Panics
    ///
    /// Where there is no runtime with IO.
    #[track_caller]
    #[deprecated = "the owner may close the descriptor early: use `register`"]
    pub fn try_new(inner: T) -> Result<Self, AsyncFdRegisterError<T>> {
        // SAFETY: as in `new`.
        unsafe { Self::register(inner) }
    }

    /// As [`register_with_interest`](Self::register_with_interest).
    ///
    /// # Errors
    ///
    /// As [`register`](Self::register).
    ///
    /// # Panics
    ///
    /// Where there is no runtime with IO.
    #[track_caller]
    #[deprecated = "the owner may close the descriptor early: use `register_with_interest`"]
    pub fn try_with_interest(
        inner: T,
        interest: Interest,
    ) -> Result<Self, AsyncFdRegisterError<T>> {
        // SAFETY: as in `new`.
        unsafe { Self::register_with_interest(inner, interest) }
    }

    /// The owner.
    pub fn get_ref(&self) -> &T {
        &self.inner
    }

    /// The owner.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    /// Watches no more, and gives the owner out.
    pub fn into_inner(self) -> T {
        let Self { source, inner } = self;
        drop(source);
        inner
    }

    fn poll_event(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
    ) -> Poll<io::Result<ReadyEvent>> {
        self.source.runtime().check_running().in_tokio_words()?;
        self.source.poll_ready_event(cx, direction).in_tokio_words()
    }

    /// Waits until a read may succeed. The task that polled last is woken.
    ///
    /// # Errors
    ///
    /// The runtime has shut down.
    pub fn poll_read_ready<'a>(
        &'a self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyGuard<'a, T>>> {
        let event = ready!(self.poll_event(cx, Direction::Read))?;
        Poll::Ready(Ok(AsyncFdReadyGuard::new(self, event)))
    }

    /// Waits until a read may succeed. The task that polled last is woken.
    ///
    /// # Errors
    ///
    /// The runtime has shut down.
    pub fn poll_read_ready_mut<'a>(
        &'a mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyMutGuard<'a, T>>> {
        let event = ready!(self.poll_event(cx, Direction::Read))?;
        Poll::Ready(Ok(AsyncFdReadyMutGuard::new(self, event)))
    }

    /// Waits until a write may succeed. The task that polled last is woken.
    ///
    /// # Errors
    ///
    /// The runtime has shut down.
    pub fn poll_write_ready<'a>(
        &'a self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyGuard<'a, T>>> {
        let event = ready!(self.poll_event(cx, Direction::Write))?;
        Poll::Ready(Ok(AsyncFdReadyGuard::new(self, event)))
    }

    /// Waits until a write may succeed. The task that polled last is woken.
    ///
    /// # Errors
    ///
    /// The runtime has shut down.
    pub fn poll_write_ready_mut<'a>(
        &'a mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyMutGuard<'a, T>>> {
        let event = ready!(self.poll_event(cx, Direction::Write))?;
        Poll::Ready(Ok(AsyncFdReadyMutGuard::new(self, event)))
    }

    /// Waits until it is ready for some of `interest`. Any number of tasks may wait.
    ///
    /// # Errors
    ///
    /// The runtime has shut down.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn ready(&self, interest: Interest) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        let event = event(&self.source, interest).await?;
        Ok(AsyncFdReadyGuard::new(self, event))
    }

    /// Waits until it is ready for some of `interest`. Any number of tasks may wait.
    ///
    /// # Errors
    ///
    /// The runtime has shut down.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn ready_mut(
        &mut self,
        interest: Interest,
    ) -> io::Result<AsyncFdReadyMutGuard<'_, T>> {
        let event = event(&self.source, interest).await?;
        Ok(AsyncFdReadyMutGuard::new(self, event))
    }

    /// Waits until a read may succeed. Any number of tasks may wait.
    ///
    /// # Errors
    ///
    /// The runtime has shut down.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn readable(&self) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        let event = event(&self.source, Interest::READABLE).await?;
        Ok(AsyncFdReadyGuard::new(self, event))
    }

    /// Waits until a read may succeed. Any number of tasks may wait.
    ///
    /// # Errors
    ///
    /// The runtime has shut down.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn readable_mut(&mut self) -> io::Result<AsyncFdReadyMutGuard<'_, T>> {
        let event = event(&self.source, Interest::READABLE).await?;
        Ok(AsyncFdReadyMutGuard::new(self, event))
    }

    /// Waits until a write may succeed. Any number of tasks may wait.
    ///
    /// # Errors
    ///
    /// The runtime has shut down.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn writable(&self) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        let event = event(&self.source, Interest::WRITABLE).await?;
        Ok(AsyncFdReadyGuard::new(self, event))
    }

    /// Waits until a write may succeed. Any number of tasks may wait.
    ///
    /// # Errors
    ///
    /// The runtime has shut down.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn writable_mut(&mut self) -> io::Result<AsyncFdReadyMutGuard<'_, T>> {
        let event = event(&self.source, Interest::WRITABLE).await?;
        Ok(AsyncFdReadyMutGuard::new(self, event))
    }

    /// Tries an operation of the caller's until it does not answer `WouldBlock`.
    ///
    /// # Errors
    ///
    /// Those of the operation; the runtime has shut down.
    ///
    /// # Cancel safety
    ///
    /// `f` has either done nothing, or answered and the future was ready.
    pub async fn async_io<R>(
        &self,
        interest: Interest,
        mut f: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        self.source
            .async_io(interest, |_| f(&self.inner))
            .await
            .in_tokio_words()
    }

    /// As [`async_io`](Self::async_io), with the owner to change.
    ///
    /// # Errors
    ///
    /// Those of the operation; the runtime has shut down.
    ///
    /// # Cancel safety
    ///
    /// `f` has either done nothing, or answered and the future was ready.
    pub async fn async_io_mut<R>(
        &mut self,
        interest: Interest,
        mut f: impl FnMut(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        let inner = &mut self.inner;
        self.source
            .async_io(interest, |_| f(inner))
            .await
            .in_tokio_words()
    }

    /// Tries an operation of the caller's, if it may succeed; `WouldBlock` takes the readiness
    /// back.
    ///
    /// # Errors
    ///
    /// Those of the operation; `WouldBlock` without a call if no readiness was seen.
    pub fn try_io<R>(
        &self,
        interest: Interest,
        f: impl FnOnce(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        self.source.try_ready_io(interest, |_| f(&self.inner))
    }

    /// As [`try_io`](Self::try_io), with the owner to change.
    ///
    /// # Errors
    ///
    /// As [`try_io`](Self::try_io).
    pub fn try_io_mut<R>(
        &mut self,
        interest: Interest,
        f: impl FnOnce(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        let inner = &mut self.inner;
        self.source.try_ready_io(interest, |_| f(inner))
    }
}

async fn event(source: &Source<Number>, interest: Interest) -> io::Result<ReadyEvent> {
    source.runtime().check_running().in_tokio_words()?;
    source.ready_event(interest).await.in_tokio_words()
}

fn watch(fd: RawFd) -> io::Result<Source<Number>> {
    if fd < 0 {
        // What the system would say.
        return Err(io::Error::from_raw_os_error(EBADF));
    }
    let source = Source::new(Number(fd))?;
    source.watch().in_tokio_words()?;
    Ok(source)
}

/// errno(3).
const EBADF: i32 = 9;

impl<T: AsRawFd> AsRawFd for AsyncFd<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.as_raw_fd()
    }
}

impl<T: AsRawFd> AsFd for AsyncFd<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.get_ref().as_fd()
    }
}

impl<T: AsRawFd + fmt::Debug> fmt::Debug for AsyncFd<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncFd")
            .field("inner", &self.inner)
            .finish()
    }
}

/// What was seen of a descriptor's readiness, for the caller to take back or to leave.
#[must_use = "say whether the readiness is to be taken back"]
pub struct AsyncFdReadyGuard<'a, T: AsRawFd> {
    async_fd: &'a AsyncFd<T>,
    event: Option<ReadyEvent>,
}

/// As [`AsyncFdReadyGuard`], with the owner to change.
#[must_use = "say whether the readiness is to be taken back"]
pub struct AsyncFdReadyMutGuard<'a, T: AsRawFd> {
    async_fd: &'a mut AsyncFd<T>,
    event: Option<ReadyEvent>,
}

macro_rules! guard {
    ($Guard:ident, $fd:ty) => {
        impl<'a, T: AsRawFd> $Guard<'a, T> {
            fn new(async_fd: $fd, event: ReadyEvent) -> Self {
                let event = Some(event);
                Self { async_fd, event }
            }

            /// Takes back all that was seen. What has come since stays.
            pub fn clear_ready(&mut self) {
                if let Some(event) = self.event.take() {
                    self.async_fd.source.clear_ready(event, event.ready());
                }
            }

            /// Takes back `ready` of what was seen. What has come since stays.
            pub fn clear_ready_matching(&mut self, ready: Ready) {
                if let Some(event) = self.event.take() {
                    self.async_fd.source.clear_ready(event, ready);
                    let left = event.ready() - ready;
                    self.event = (!left.is_empty()).then(|| event.with_ready(left));
                }
            }

            /// Leaves the readiness as it is.
            pub fn retain_ready(&mut self) {
                self.event = None;
            }

            /// What was seen and not taken back.
            pub fn ready(&self) -> Ready {
                self.event.map_or(Ready::EMPTY, |event| event.ready())
            }
        }

        impl<T: AsRawFd + fmt::Debug> fmt::Debug for $Guard<'_, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($Guard))
                    .field("async_fd", &self.async_fd)
                    .finish()
            }
        }
    };
}

guard!(AsyncFdReadyGuard, &'a AsyncFd<T>);
guard!(AsyncFdReadyMutGuard, &'a mut AsyncFd<T>);

impl<'a, T: AsRawFd> AsyncFdReadyGuard<'a, T> {
    /// Does an operation; `WouldBlock` takes the readiness back.
    ///
    /// # Errors
    ///
    /// The operation would block.
    pub fn try_io<R>(
        &mut self,
        f: impl FnOnce(&'a AsyncFd<T>) -> io::Result<R>,
    ) -> Result<io::Result<R>, TryIoError> {
        let result = f(self.async_fd);
        if would_block(&result) {
            self.clear_ready();
            return Err(TryIoError(()));
        }
        Ok(result)
    }

    /// The descriptor.
    pub fn get_ref(&self) -> &'a AsyncFd<T> {
        self.async_fd
    }

    /// The owner.
    pub fn get_inner(&self) -> &'a T {
        self.async_fd.get_ref()
    }
}

impl<T: AsRawFd> AsyncFdReadyMutGuard<'_, T> {
    /// Does an operation; `WouldBlock` takes the readiness back.
    ///
    /// # Errors
    ///
    /// The operation would block.
    pub fn try_io<R>(
        &mut self,
        f: impl FnOnce(&mut AsyncFd<T>) -> io::Result<R>,
    ) -> Result<io::Result<R>, TryIoError> {
        let result = f(self.async_fd);
        if would_block(&result) {
            self.clear_ready();
            return Err(TryIoError(()));
        }
        Ok(result)
    }

    /// The descriptor.
    pub fn get_ref(&self) -> &AsyncFd<T> {
        self.async_fd
    }

    /// The descriptor.
    pub fn get_mut(&mut self) -> &mut AsyncFd<T> {
        self.async_fd
    }

    /// The owner.
    pub fn get_inner(&self) -> &T {
        self.async_fd.get_ref()
    }

    /// The owner.
    pub fn get_inner_mut(&mut self) -> &mut T {
        self.async_fd.get_mut()
    }
}

fn would_block<R>(result: &io::Result<R>) -> bool {
    matches!(result, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

/// The operation would block.
#[derive(Debug)]
pub struct TryIoError(());

impl fmt::Display for TryIoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the operation would block")
    }
}

impl Error for TryIoError {}

/// A descriptor that cannot be watched, with its owner.
pub struct AsyncFdRegisterError<T> {
    inner: T,
    cause: io::Error,
}

/// The former name.
#[doc(hidden)]
#[deprecated = "use `AsyncFdRegisterError`"]
pub type AsyncFdTryNewError<T> = AsyncFdRegisterError<T>;

impl<T> AsyncFdRegisterError<T> {
    /// The owner, and why.
    pub fn into_parts(self) -> (T, io::Error) {
        (self.inner, self.cause)
    }
}

impl<T> fmt::Display for AsyncFdRegisterError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl<T> fmt::Debug for AsyncFdRegisterError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.cause, f)
    }
}

impl<T> Error for AsyncFdRegisterError<T> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}

impl<T> From<AsyncFdRegisterError<T>> for io::Error {
    fn from(error: AsyncFdRegisterError<T>) -> Self {
        error.cause
    }
}
