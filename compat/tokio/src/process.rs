//! Child processes.
//!
//! Place: those of `oneloop::process`, with tokio's traits.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::process::{Command as StdCommand, ExitStatus, Output, Stdio};
use std::task::{Context, Poll, ready};

use futures_lite::io::AsyncWrite as _;
pub use oneloop::process::{Child, ChildStderr, ChildStdin, ChildStdout};

use crate::io::{AsyncRead, AsyncWrite, ReadBuf};
use crate::runtime::context::require_io;

macro_rules! reads {
    ($($stream:ty)+) => {$(
        impl AsyncRead for $stream {
            fn poll_read(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                let unfilled = buf.initialize_unfilled();
                let stream = Pin::new(&mut *self);
                let count = ready!(futures_lite::io::AsyncRead::poll_read(stream, cx, unfilled))?;
                buf.advance(count);
                Poll::Ready(Ok(()))
            }
        }
    )+};
}

reads!(ChildStdout ChildStderr);

impl AsyncWrite for ChildStdin {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        futures_lite::io::AsyncWrite::poll_write(self, cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        futures_lite::io::AsyncWrite::poll_flush(self, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_close(cx)
    }
}

/// How a child process is started. The methods are those of [`std::process::Command`].
#[derive(Debug)]
pub struct Command {
    inner: oneloop::process::Command,
}

/// Options that are handed on.
macro_rules! options {
    ($($(#[$attribute:meta])* $name:ident[$($generic:ident: $bound:path),*]($($argument:ident: $type:ty),*);)+) => {$(
        $(#[$attribute])*
        pub fn $name<$($generic: $bound),*>(&mut self, $($argument: $type),*) -> &mut Self {
            self.inner.$name($($argument),*);
            self
        }
    )+};
}

impl Command {
    /// A command without arguments, in this process's environment and directory.
    pub fn new<S: AsRef<OsStr>>(program: S) -> Self {
        Self {
            inner: oneloop::process::Command::new(program),
        }
    }

    /// The command as std knows it.
    #[must_use]
    pub fn as_std(&self) -> &StdCommand {
        self.inner.as_std()
    }

    /// The command as std knows it.
    pub fn as_std_mut(&mut self) -> &mut StdCommand {
        self.inner.as_std_mut()
    }

    /// The command as std knows it. `kill_on_drop` is lost.
    #[must_use]
    pub fn into_std(self) -> StdCommand {
        self.inner.into_std()
    }

    options! {
        /// Adds an argument.
        arg[S: AsRef<OsStr>](arg: S);
        /// Sets an environment variable of the child.
        env[K: AsRef<OsStr>, V: AsRef<OsStr>](key: K, val: V);
        /// Takes a variable out of the child's environment.
        env_remove[K: AsRef<OsStr>](key: K);
        /// Gives the child an empty environment.
        env_clear[]();
        /// Sets the child's directory.
        current_dir[P: AsRef<Path>](dir: P);
        /// Sets the child's standard input.
        stdin[T: Into<Stdio>](cfg: T);
        /// Sets the child's standard output.
        stdout[T: Into<Stdio>](cfg: T);
        /// Sets the child's standard error.
        stderr[T: Into<Stdio>](cfg: T);
        /// Whether a child that is dropped before its end is killed.
        kill_on_drop[](kill_on_drop: bool);
        /// Sets the child's user.
        uid[](id: u32);
        /// Sets the child's group.
        gid[](id: u32);
        /// Sets the name that the child is told as its own.
        arg0[S: AsRef<OsStr>](arg: S);
        /// Puts the child into a process group; 0 makes a new one.
        process_group[](pgroup: i32);
    }

    /// Adds arguments.
    pub fn args<I, S>(&mut self, args: I) -> &mut Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.inner.args(args);
        self
    }

    /// Sets environment variables of the child.
    pub fn envs<I, K, V>(&mut self, vars: I) -> &mut Self
    where
        I: IntoIterator<Item = (K, V)>,
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        self.inner.envs(vars);
        self
    }

    /// What [`kill_on_drop`](Self::kill_on_drop) was given.
    #[must_use]
    pub fn get_kill_on_drop(&self) -> bool {
        self.inner.get_kill_on_drop()
    }

    /// Runs a function in the child between fork(2) and exec(2).
    ///
    /// # Safety
    ///
    /// The function may do only what is safe in a signal handler.
    pub unsafe fn pre_exec<F>(&mut self, f: F) -> &mut Self
    where
        F: FnMut() -> io::Result<()> + Send + Sync + 'static,
    {
        // SAFETY: the caller keeps the same promise.
        unsafe { self.inner.pre_exec(f) };
        self
    }

    /// Starts the child.
    ///
    /// # Errors
    ///
    /// The program is not found or may not be run, or the system refuses processes or descriptors.
    ///
    /// # Panics
    ///
    /// Where there is no runtime with IO.
    #[track_caller]
    pub fn spawn(&mut self) -> io::Result<Child> {
        require_io();
        self.inner.spawn()
    }

    /// Starts the child by a function of one's own.
    ///
    /// # Errors
    ///
    /// Those of the function, and as [`spawn`](Self::spawn).
    ///
    /// # Panics
    ///
    /// Where there is no runtime with IO.
    #[track_caller]
    pub fn spawn_with(
        &mut self,
        with: impl Fn(&mut StdCommand) -> io::Result<std::process::Child>,
    ) -> io::Result<Child> {
        require_io();
        self.inner.spawn_with(with)
    }

    /// Starts the child and waits for its end.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn) and [`Child::wait`].
    ///
    /// # Panics
    ///
    /// Where there is no runtime with IO.
    ///
    /// # Cancel safety
    ///
    /// The child goes on, unless `kill_on_drop` was set: then it is killed.
    #[track_caller]
    pub fn status(&mut self) -> impl Future<Output = io::Result<ExitStatus>> + use<> {
        require_io();
        self.inner.status()
    }

    /// Starts the child, and waits for its end and for what it writes.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn) and [`Child::wait_with_output`].
    ///
    /// # Panics
    ///
    /// Where there is no runtime with IO.
    ///
    /// # Cancel safety
    ///
    /// The child goes on, unless `kill_on_drop` was set: then it is killed. What it wrote is lost.
    #[track_caller]
    pub fn output(&mut self) -> impl Future<Output = io::Result<Output>> + use<> {
        require_io();
        self.inner.output()
    }
}

impl From<StdCommand> for Command {
    fn from(std: StdCommand) -> Self {
        Self { inner: std.into() }
    }
}
