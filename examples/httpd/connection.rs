//! One connection: reads requests, writes answers, sends files.
//!
//! Place: called by the server for each connection, on the connection's loop.
//!
//! # Invariants
//! The buffers of the loop are used within one poll, or taken out of the site while a write waits:
//! no connection sees another's bytes.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::task::{Poll, ready};
use std::time::Duration;

use oneloop::net::server::Connection;

use super::answer::{Date, Next, answer};
use super::files::{Content, Files, Found, Servable};

/// What one read takes at most.
const READ_BYTES: usize = 16 * 1024;
/// How long a client may go on sending after the last answer.
const LINGER: Duration = Duration::from_secs(5);

/// What is next, and what is to be written before.
type Step = (Next, Vec<u8>);

/// What the connections of one loop share.
pub(crate) struct Site {
    files: Files,
    date: Date,
    input: RefCell<Vec<u8>>,
    /// Empty, or taken by the connection that writes.
    out: Cell<Vec<u8>>,
}

impl Site {
    pub(crate) fn new(root: PathBuf, keep_bytes_max: u64) -> Self {
        Self {
            files: Files::new(root, keep_bytes_max),
            date: Date::new(),
            input: RefCell::new(vec![0; READ_BYTES]),
            out: Cell::default(),
        }
    }

    /// Answers what `input` begins with: how many bytes of it, and what is to be done.
    fn answer(&self, input: &[u8], found: Option<Found>) -> (usize, Step) {
        self.date.look();
        let mut out = self.out.take();
        let (done, next) = answer(input, &mut out, &self.files, &self.date, found);
        (done, (next, out))
    }
}

/// Serves one connection to its end.
pub(crate) async fn serve(connection: Connection, site: Rc<Site>) -> io::Result<()> {
    connection.get_ref().set_nodelay(true)?;
    let mut requests = Requests {
        connection: &connection,
        site: &site,
        rest: Vec::new(),
    };
    // While a head has begun and not ended, the connection is busy, and the time limit runs.
    let mut begun = None;
    let mut next = Next::Read;
    loop {
        let (following, mut out) = match next {
            Next::Read => {
                if requests.rest.is_empty() {
                    begun = None;
                } else {
                    begun.get_or_insert_with(|| connection.request_guard());
                }
                match requests.read().await? {
                    Some(read) => read,
                    None => return Ok(()),
                }
            }
            Next::Load(target) => {
                let found = site.files.load(target, site.date.second()).await;
                requests.answer_rest(Some(found))
            }
            Next::Write => requests.answer_rest(None),
            Next::Send { file, and_close } => {
                send(&connection, &file).await?;
                connection.get_ref().uncork()?;
                if and_close {
                    break;
                }
                requests.answer_rest(None)
            }
            Next::Close => break,
        };
        if matches!(following, Next::Send { .. }) {
            // The head goes out in one packet with the beginning of the file.
            connection.get_ref().cork()?;
        }
        if !out.is_empty() {
            connection.write_all(&out).await?;
            // One was answered: for the next one the time begins anew.
            begun = None;
        }
        out.clear();
        site.out.set(out);
        next = following;
    }
    drop(begun);
    // The peer may still be sending what nobody reads: it gets the answer, and no reset.
    connection.close_gracefully(LINGER).await
}

/// The bytes of a file, behind its head.
async fn send(connection: &Connection, file: &Servable) -> io::Result<()> {
    if let Content::Open(file, length) = &file.content {
        connection.send_file(file, 0, *length).await?;
    }
    Ok(())
}

/// What has arrived on a connection.
struct Requests<'a> {
    connection: &'a Connection,
    site: &'a Site,
    /// Bytes that were read and not answered.
    rest: Vec<u8>,
}

impl Requests<'_> {
    /// Waits for bytes, and answers what they complete. None at the end of the stream.
    async fn read(&mut self) -> io::Result<Option<Step>> {
        poll_fn(|cx| {
            let mut input = self.site.input.borrow_mut();
            let count = ready!(self.connection.poll_read(cx, &mut input))?;
            if count == 0 {
                return Poll::Ready(Ok(None));
            }
            if !self.rest.is_empty() {
                self.rest.extend_from_slice(&input[..count]);
                return Poll::Ready(Ok(Some(self.answer_rest(None))));
            }
            // Most often it is one whole request: nothing is copied.
            let (done, step) = self.site.answer(&input[..count], None);
            self.rest.extend_from_slice(&input[done..count]);
            Poll::Ready(Ok(Some(step)))
        })
        .await
    }

    fn answer_rest(&mut self, found: Option<Found>) -> Step {
        let (done, step) = self.site.answer(&self.rest, found);
        if done == self.rest.len() {
            // The memory too: a connection that is idle has no buffer.
            self.rest = Vec::new();
        } else {
            self.rest.drain(..done);
        }
        step
    }
}
