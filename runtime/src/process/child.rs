//! A process that was started and has not been forgotten.

use std::future::poll_fn;
use std::io;
use std::process::{ExitStatus, Output};
use std::task::{Context, Poll, ready};

use futures_lite::AsyncReadExt;
use futures_lite::future::zip;

use super::exit::Exit;
use super::{ChildStderr, ChildStdin, ChildStdout, orphans};
use crate::runtime::Handle;

/// A child process.
///
/// Dropped before its end, the process goes on, or is killed if
/// [`kill_on_drop`](super::Command::kill_on_drop) says so; either way it is reaped in the
/// background while its runtime runs, and otherwise when the next child is started or dropped.
///
/// # Threads
///
/// May be used and dropped on any thread.
#[derive(Debug)]
pub struct Child {
    // None only in the drop.
    std: Option<std::process::Child>,
    exit: Exit,
    status: Option<ExitStatus>,
    kill_on_drop: bool,
    runtime: Handle,
    /// The writing end of the child's standard input, if it is a pipe.
    pub stdin: Option<ChildStdin>,
    /// The reading end of the child's standard output, if it is a pipe.
    pub stdout: Option<ChildStdout>,
    /// The reading end of the child's standard error, if it is a pipe.
    pub stderr: Option<ChildStderr>,
}

impl Child {
    #[track_caller]
    pub(super) fn new(
        mut std: std::process::Child,
        runtime: &Handle,
        kill_on_drop: bool,
    ) -> io::Result<Self> {
        let _entered = runtime.enter();
        let mut parts = || -> io::Result<_> {
            let stdin = std.stdin.take().map(ChildStdin::from_std).transpose()?;
            let stdout = std.stdout.take().map(ChildStdout::from_std).transpose()?;
            let stderr = std.stderr.take().map(ChildStderr::from_std).transpose()?;
            Ok((stdin, stdout, stderr, Exit::of(std.id())?))
        };
        match parts() {
            Ok((stdin, stdout, stderr, exit)) => Ok(Self {
                std: Some(std),
                exit,
                status: None,
                kill_on_drop,
                runtime: runtime.clone(),
                stdin,
                stdout,
                stderr,
            }),
            Err(error) => {
                if kill_on_drop {
                    // It may have ended by itself.
                    let _ = std.kill();
                }
                orphans::adopt(std);
                Err(error)
            }
        }
    }

    fn std(&mut self) -> &mut std::process::Child {
        self.std.as_mut().expect(HAS_STD)
    }

    /// The process id, until the end of the process has been seen: then the system may give the id
    /// to another.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "an invariant, not a contract")]
    pub fn id(&self) -> Option<u32> {
        let is_running = self.status.is_none();
        is_running.then(|| self.std.as_ref().expect(HAS_STD).id())
    }

    /// Kills the process (`SIGKILL`) and does not wait for its end. Does nothing if the end has been
    /// seen already.
    ///
    /// # Errors
    ///
    /// Those of kill(2).
    pub fn start_kill(&mut self) -> io::Result<()> {
        if self.status.is_some() {
            return Ok(());
        }
        self.std().kill()
    }

    /// Kills the process (`SIGKILL`) and waits for its end.
    ///
    /// # Errors
    ///
    /// As [`start_kill`](Self::start_kill) and [`wait`](Self::wait).
    ///
    /// # Cancel safety
    ///
    /// The signal is sent at the first poll. [`wait`](Self::wait) still reaps the process.
    pub async fn kill(&mut self) -> io::Result<()> {
        self.start_kill()?;
        self.wait().await?;
        Ok(())
    }

    /// Closes the standard input, if it is a pipe, and waits for the end of the process.
    ///
    /// # Errors
    ///
    /// Those of waitpid(2): `ECHILD` if somebody else has reaped the process.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost. The standard input stays closed.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        poll_fn(|cx| self.poll_wait(cx)).await
    }

    pub(super) fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<ExitStatus>> {
        if let Some(status) = self.status {
            return Poll::Ready(Ok(status));
        }
        let std = self.std.as_mut().expect(HAS_STD);
        let status = ready!(self.exit.poll(cx, || std.try_wait()))?;
        self.status = Some(status);
        Poll::Ready(Ok(status))
    }

    /// The exit status, if the process has ended.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.status.is_none() {
            self.status = self.std().try_wait()?;
        }
        Ok(self.status)
    }

    /// Waits for the end of the process and for all that it writes into its pipes.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait), and those of reading.
    ///
    /// # Cancel safety
    ///
    /// The child is dropped, and what was read is lost.
    pub async fn wait_with_output(mut self) -> io::Result<Output> {
        let (mut stdout, mut stderr) = (self.stdout.take(), self.stderr.take());
        let out = async {
            let mut bytes = Vec::new();
            match &mut stdout {
                Some(pipe) => pipe.read_to_end(&mut bytes).await.map(|_| bytes),
                None => Ok(bytes),
            }
        };
        let err = async {
            let mut bytes = Vec::new();
            match &mut stderr {
                Some(pipe) => pipe.read_to_end(&mut bytes).await.map(|_| bytes),
                None => Ok(bytes),
            }
        };
        let (status, (out, err)) = zip(self.wait(), zip(out, err)).await;
        Ok(Output {
            status: status?,
            stdout: out?,
            stderr: err?,
        })
    }

    pub(super) fn close_streams(&mut self) {
        drop((self.stdin.take(), self.stdout.take(), self.stderr.take()));
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.status.is_some() {
            return;
        }
        if self.kill_on_drop {
            // It may have ended by itself.
            let _ = self.std().kill();
        }
        let Some(std) = self.std.take() else { return };
        orphans::adopt_on(&self.runtime, std);
    }
}

const HAS_STD: &str = "the process is taken out by the drop alone";
