//! Pipes and FIFOs: one end writes, the other reads.
//!
//! Place: called by tasks, calls `Source` to wait and the operating system; runs on any thread that
//! polls a task.

use std::fs::{File, OpenOptions as StdOpenOptions};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::task::{Context, Poll, ready};

use oneloop_runtime::io::{Direction, Interest, Ready, Source};
use rustix::fs::OFlags;
use rustix::io::retry_on_intr;

/// Makes a pipe. What the sender writes, the receiver reads.
///
/// # Errors
///
/// Those of pipe(2).
///
/// # Panics
///
/// Outside a runtime.
#[track_caller]
pub fn pipe() -> io::Result<(Sender, Receiver)> {
    let (reader, writer) = io::pipe()?;
    Ok((
        Sender::from_owned_fd_unchecked(nonblocking(writer.into())?)?,
        Receiver::from_owned_fd_unchecked(nonblocking(reader.into())?)?,
    ))
}

/// How to open a FIFO, which is a file made by mkfifo(3).
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    read_write: bool,
    unchecked: bool,
}

impl OpenOptions {
    /// The defaults: for one direction, and only if the file is a FIFO.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens the FIFO for both directions. Then a sender can be opened when nobody reads, and a
    /// receiver never sees the end of input. Linux has this; POSIX leaves it open.
    pub fn read_write(&mut self, value: bool) -> &mut Self {
        self.read_write = value;
        self
    }

    /// Does not look whether the file is a FIFO: opening another kind of file may then misbehave.
    pub fn unchecked(&mut self, value: bool) -> &mut Self {
        self.unchecked = value;
        self
    }

    /// Opens the end to read from.
    ///
    /// # Errors
    ///
    /// Those of open(2); `InvalidInput` if the file is no FIFO.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn open_receiver<P: AsRef<Path>>(&self, path: P) -> io::Result<Receiver> {
        let file = self.open(path.as_ref(), true, self.read_write)?;
        Receiver::from_owned_fd_unchecked(file)
    }

    /// Opens the end to write to.
    ///
    /// # Errors
    ///
    /// Those of open(2), such as `ENXIO` if nobody has opened the FIFO for reading; `InvalidInput`
    /// if the file is no FIFO.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn open_sender<P: AsRef<Path>>(&self, path: P) -> io::Result<Sender> {
        let file = self.open(path.as_ref(), self.read_write, true)?;
        Sender::from_owned_fd_unchecked(file)
    }

    fn open(&self, path: &Path, read: bool, write: bool) -> io::Result<OwnedFd> {
        let file = StdOpenOptions::new()
            .read(read)
            .write(write)
            .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
            .open(path)?;
        let fd = OwnedFd::from(file);
        if self.unchecked { Ok(fd) } else { fifo(fd) }
    }
}

/// The end of a pipe to write to.
///
/// Dropping it ends the input of the receiver, if there is no other sender. Writing when no
/// receiver is left fails with `BrokenPipe`. The kernel raises `SIGPIPE` with it, and unlike a socket
/// a pipe cannot be told not to: Rust's programs ignore that signal, and one that has given it its
/// default action back is ended by it.
#[derive(Debug)]
pub struct Sender {
    io: Source<OwnedFd>,
}

/// The end of a pipe to read from.
#[derive(Debug)]
pub struct Receiver {
    io: Source<OwnedFd>,
}

macro_rules! end {
    ($End:ident, $mode:ident, $refused:literal, $interest:expr) => {
        impl $End {
            /// Takes over the end of a pipe, and sets it to non-blocking mode.
            ///
            /// # Errors
            ///
            /// `InvalidInput` if it is no pipe, or not open in this direction.
            ///
            /// # Panics
            ///
            /// Outside a runtime.
            #[track_caller]
            pub fn from_file(file: File) -> io::Result<Self> {
                Self::from_owned_fd(file.into())
            }

            /// As [`from_file`](Self::from_file).
            ///
            /// # Errors
            ///
            /// As [`from_file`](Self::from_file).
            ///
            /// # Panics
            ///
            /// Outside a runtime.
            #[track_caller]
            pub fn from_owned_fd(owned_fd: OwnedFd) -> io::Result<Self> {
                let fd = fifo(owned_fd)?;
                let mode = rustix::fs::fcntl_getfl(&fd)? & OFlags::RWMODE;
                if mode != OFlags::$mode && mode != OFlags::RDWR {
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, $refused));
                }
                Self::from_owned_fd_unchecked(nonblocking(fd)?)
            }

            /// Takes over a descriptor as it is, which has to be in non-blocking mode.
            ///
            /// # Errors
            ///
            /// If the system cannot watch it, as a regular file.
            ///
            /// # Panics
            ///
            /// Outside a runtime.
            #[track_caller]
            pub fn from_file_unchecked(file: File) -> io::Result<Self> {
                Self::from_owned_fd_unchecked(file.into())
            }

            /// As [`from_file_unchecked`](Self::from_file_unchecked).
            ///
            /// # Errors
            ///
            /// If the system cannot watch it, as a regular file.
            ///
            /// # Panics
            ///
            /// Outside a runtime.
            #[track_caller]
            pub fn from_owned_fd_unchecked(owned_fd: OwnedFd) -> io::Result<Self> {
                let io = Source::new(owned_fd)?;
                io.watch()?;
                Ok(Self { io })
            }

            /// Waits until it is ready for some of `interest`. Any number of tasks may wait.
            ///
            /// # Errors
            ///
            /// If it cannot be registered with the loop, or the runtime is gone.
            ///
            /// # Cancel safety
            ///
            /// Safe: the readiness stays until an attempt finds the opposite.
            pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
                ready(&self.io, interest).await
            }

            /// Calls `f`, which does one non-blocking operation on the descriptor, if it may be
            /// ready for it as far as the loop has heard.
            ///
            /// `f` returns `WouldBlock` if, and only if, the kernel said so.
            ///
            /// # Errors
            ///
            /// `WouldBlock`, perhaps without a call; otherwise what `f` returns.
            pub fn try_io<R>(&self, f: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
                self.io.try_ready_io($interest, |_| f())
            }

            /// The descriptor, in blocking mode.
            ///
            /// # Errors
            ///
            /// The mode cannot be changed.
            pub fn into_blocking_fd(self) -> io::Result<OwnedFd> {
                let fd = self.io.into_inner();
                rustix::io::ioctl_fionbio(&fd, false)?;
                Ok(fd)
            }

            /// The descriptor, in non-blocking mode.
            ///
            /// # Errors
            ///
            /// None at present; the signature is tokio's.
            pub fn into_nonblocking_fd(self) -> io::Result<OwnedFd> {
                Ok(self.io.into_inner())
            }
        }

        impl AsFd for $End {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.io.get_ref().as_fd()
            }
        }

        impl AsRawFd for $End {
            fn as_raw_fd(&self) -> RawFd {
                self.io.get_ref().as_raw_fd()
            }
        }
    };
}

end!(
    Sender,
    WRONLY,
    "not in O_WRONLY or O_RDWR access mode",
    Interest::WRITABLE
);
end!(
    Receiver,
    RDONLY,
    "not in O_RDONLY or O_RDWR access mode",
    Interest::READABLE
);

/// The system tells a sender that no receiver is left by an error (poll(2)), which on a pipe is
/// nothing else than the end of output.
async fn ready(io: &Source<OwnedFd>, interest: Interest) -> io::Result<Ready> {
    if !interest.is_writable() {
        return io.ready(interest).await;
    }
    let mut ready = io.ready(interest | Interest::ERROR).await?;
    if ready.is_error() {
        ready |= Ready::WRITE_CLOSED;
    }
    if !interest.is_error() {
        ready = ready - Ready::ERROR;
    }
    Ok(ready)
}

impl Sender {
    /// Waits until something can be written.
    ///
    /// # Errors
    ///
    /// As [`ready`](Self::ready).
    ///
    /// # Cancel safety
    ///
    /// Safe, as [`ready`](Self::ready).
    pub async fn writable(&self) -> io::Result<()> {
        self.ready(Interest::WRITABLE).await.map(drop)
    }

    /// Polls for room. The task that polled last is woken.
    ///
    /// # Errors
    ///
    /// As [`ready`](Self::ready).
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_ready(cx, Direction::Write)
    }

    /// Polls to write from `buf`. The task that polled last is woken.
    ///
    /// # Errors
    ///
    /// Those of write(2): `BrokenPipe` if no receiver is left.
    pub fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.io.poll_io(cx, Direction::Write, |fd| write(fd, buf))
    }

    /// Polls to write from several buffers as if they were one. The task that polled last is woken.
    ///
    /// # Errors
    ///
    /// As [`poll_write`](Self::poll_write).
    pub fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.io
            .poll_io(cx, Direction::Write, |fd| write_vectored(fd, bufs))
    }

    /// Waits for room and writes from `buf`. Returns how many of its bytes the pipe took.
    ///
    /// # Errors
    ///
    /// As [`poll_write`](Self::poll_write).
    ///
    /// # Cancel safety
    ///
    /// Safe: if the future is dropped, nothing was written.
    pub async fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        std::future::poll_fn(|cx| self.poll_write(cx, buf)).await
    }

    /// Writes as much of `buf` as there is room for.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is none; otherwise as [`poll_write`](Self::poll_write).
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.io.try_io(Interest::WRITABLE, |fd| write(fd, buf))
    }

    /// Writes as much of several buffers as there is room for.
    ///
    /// # Errors
    ///
    /// As [`try_write`](Self::try_write).
    pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.io
            .try_io(Interest::WRITABLE, |fd| write_vectored(fd, bufs))
    }
}

impl Receiver {
    /// Waits until there is something to read, or the end of input.
    ///
    /// # Errors
    ///
    /// As [`ready`](Self::ready).
    ///
    /// # Cancel safety
    ///
    /// Safe, as [`ready`](Self::ready).
    pub async fn readable(&self) -> io::Result<()> {
        self.ready(Interest::READABLE).await.map(drop)
    }

    /// Polls for something to read. The task that polled last is woken.
    ///
    /// # Errors
    ///
    /// As [`ready`](Self::ready).
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_ready(cx, Direction::Read)
    }

    /// Polls to read into `buf`. 0 bytes are the end of input, unless `buf` is empty. The task that
    /// polled last is woken.
    ///
    /// # Errors
    ///
    /// Those of read(2).
    pub fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        // A short read tells nothing: it ends where a write of the other side did.
        self.io.poll_io(cx, Direction::Read, |fd| read(fd, buf))
    }

    /// As [`poll_read`](Self::poll_read), into memory that need not be initialised: the part that
    /// was filled.
    ///
    /// # Errors
    ///
    /// As [`poll_read`](Self::poll_read).
    pub fn poll_read_uninit<'b>(
        &self,
        cx: &mut Context<'_>,
        buf: &'b mut [MaybeUninit<u8>],
    ) -> Poll<io::Result<&'b mut [u8]>> {
        let read = |fd: &OwnedFd| read_uninit(fd, buf);
        let count = ready!(self.io.poll_io(cx, Direction::Read, read))?;
        // SAFETY: `count` is what `read_uninit` returned last: that many bytes from the start of
        // `buf` are initialised, and nobody has written to `buf` since.
        Poll::Ready(Ok(unsafe { buf[..count].assume_init_mut() }))
    }

    /// As [`try_read`](Self::try_read), into memory that need not be initialised: the part that was
    /// filled.
    ///
    /// # Errors
    ///
    /// As [`try_read`](Self::try_read).
    pub fn try_read_uninit<'b>(&self, buf: &'b mut [MaybeUninit<u8>]) -> io::Result<&'b mut [u8]> {
        let count = self
            .io
            .try_io(Interest::READABLE, |fd| read_uninit(fd, buf))?;
        // SAFETY: as in `poll_read_uninit`.
        Ok(unsafe { buf[..count].assume_init_mut() })
    }

    /// Waits for bytes and reads them into `buf`. 0 bytes are the end of input, unless `buf` is
    /// empty.
    ///
    /// # Errors
    ///
    /// As [`poll_read`](Self::poll_read).
    ///
    /// # Cancel safety
    ///
    /// Safe: if the future is dropped, nothing was read.
    pub async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        std::future::poll_fn(|cx| self.poll_read(cx, buf)).await
    }

    /// Reads what is there into `buf`.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if nothing is; otherwise as [`poll_read`](Self::poll_read).
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.io.try_io(Interest::READABLE, |fd| read(fd, buf))
    }

    /// Reads what is there into several buffers, filling one after the other.
    ///
    /// # Errors
    ///
    /// As [`try_read`](Self::try_read).
    pub fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.io.try_io(Interest::READABLE, |fd| {
            Ok(retry_on_intr(|| rustix::io::readv(fd, bufs))?)
        })
    }
}

fn read(fd: &OwnedFd, buf: &mut [u8]) -> io::Result<usize> {
    Ok(retry_on_intr(|| rustix::io::read(fd, &mut *buf))?)
}

fn read_uninit(fd: &OwnedFd, buf: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
    let count = retry_on_intr(|| {
        let (filled, _) = rustix::io::read(fd, &mut *buf)?;
        Ok(filled.len())
    })?;
    Ok(count)
}

fn write(fd: &OwnedFd, buf: &[u8]) -> io::Result<usize> {
    Ok(retry_on_intr(|| rustix::io::write(fd, buf))?)
}

fn write_vectored(fd: &OwnedFd, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    Ok(retry_on_intr(|| rustix::io::writev(fd, bufs))?)
}

/// The descriptor, if it is that of a pipe.
fn fifo(fd: OwnedFd) -> io::Result<OwnedFd> {
    let file = File::from(fd);
    if !file.metadata()?.file_type().is_fifo() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a pipe"));
    }
    Ok(file.into())
}

fn nonblocking(fd: OwnedFd) -> io::Result<OwnedFd> {
    rustix::io::ioctl_fionbio(&fd, true)?;
    Ok(fd)
}
