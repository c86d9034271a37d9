//! Header and body in as few packets as they fit into.
//!
//! Place: called by tasks around their writes, calls the operating system; runs on any thread.

use std::io;
use std::ops::{Deref, DerefMut};

use socket2::SockRef;

use super::stream::TcpStream;

impl TcpStream {
    /// Returns whether the stream is corked (`TCP_CORK`).
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn is_corked(&self) -> io::Result<bool> {
        SockRef::from(self).tcp_cork()
    }

    /// Keeps packets back that are not full (`TCP_CORK`), until [`uncork`](Self::uncork) or 200 ms
    /// have passed. It wins over `TCP_NODELAY`.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn cork(&self) -> io::Result<()> {
        SockRef::from(self).set_tcp_cork(true)
    }

    /// Sends what was kept back, and keeps nothing back from now on.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn uncork(&self) -> io::Result<()> {
        SockRef::from(self).set_tcp_cork(false)
    }

    /// Corks the stream until the result is dropped: what is written meanwhile, a header and a file
    /// for instance, goes out in full packets and a last one.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(stream: &mut oneloop_net::TcpStream, body: std::fs::File) -> std::io::Result<()> {
    /// let mut corked = stream.corked()?;
    /// corked.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 4096\r\n\r\n").await?;
    /// corked.send_file(&body, 0, 4096).await?;
    /// corked.uncork()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn corked(&mut self) -> io::Result<Corked<'_>> {
        self.cork()?;
        Ok(Corked {
            stream: self,
            corked: true,
        })
    }
}

/// A stream that is corked until this is dropped. Made by [`TcpStream::corked`].
#[derive(Debug)]
pub struct Corked<'a> {
    stream: &'a mut TcpStream,
    corked: bool,
}

impl Corked<'_> {
    /// Uncorks the stream now, and reports what a drop could not.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn uncork(mut self) -> io::Result<()> {
        self.corked = false;
        self.stream.uncork()
    }
}

impl Drop for Corked<'_> {
    fn drop(&mut self) {
        if self.corked {
            // It fails only on a connection that is gone, which the next write will report.
            let _ = self.stream.uncork();
        }
    }
}

impl Deref for Corked<'_> {
    type Target = TcpStream;

    fn deref(&self) -> &TcpStream {
        self.stream
    }
}

impl DerefMut for Corked<'_> {
    fn deref_mut(&mut self) -> &mut TcpStream {
        self.stream
    }
}
