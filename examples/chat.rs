//! Chat rooms over all loops: a line that one member writes reaches the members of its room on
//! every loop.
//!
//! ```text
//! cargo run --release --example chat
//! nc 127.0.0.1 7778        /join ROOM, /nick NAME, /quit; anything else is said in the room
//! ```
//!
//! ```text
//!   client --line--> its loop --one message for each other loop (spawn_on)--> members there
//! ```
//!
//! Each loop has a hall of its own, plain memory without a lock, with the members it serves. What
//! bounds the memory: a member reads its next line only when every loop has delivered the one
//! before, so a member has at most one message under way to a loop; who has not read
//! `LINES_WAITING_MAX` lines when the next one comes is put out; and there are `CONNECTIONS_MAX`
//! members at most.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example talks to a person")]

mod common;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use common::arguments::Arguments;
use common::connections::Connections;
use futures_lite::future::or;
use oneloop::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use oneloop::net::{TcpListener, TcpStream};
use oneloop::runtime::Handle;
use oneloop::task::{spawn_local, spawn_on};
use oneloop::time::timeout;

fn main() {
    let arguments = Arguments::read("chat [--addr 127.0.0.1:7778] [--loops N]");
    let addr: SocketAddr = arguments.value("--addr");
    arguments.end(arguments.runtime().block_on(async {
        let listeners = TcpListener::bind_balanced(addr).await?;
        let addr = listeners.local_addr()?;
        println!("chat on {addr}; try: nc {} {}", addr.ip(), addr.port());
        let connections = Connections::at_most(CONNECTIONS_MAX);
        let serve = move |stream, peer| enter(stream, peer, connections.clone());
        listeners.serve(serve)?.join().await
    }));
}

/// Serves a client if there is room for one more.
async fn enter(stream: TcpStream, peer: SocketAddr, connections: Connections) {
    match connections.enter() {
        Some(_place) => chat(stream, peer).await,
        None => {
            let farewell = b"too many members\n";
            connections.turn_away(stream, farewell).await;
        }
    }
}

/// Serves one client until it leaves, or is put out.
async fn chat(stream: TcpStream, peer: SocketAddr) {
    let (reader, writer) = stream.into_split();
    let member = Rc::new(Member::new(format!("guest-{}", peer.port())));
    HALL.with_borrow_mut(|hall| hall.push(Rc::clone(&member)));
    let writing = spawn_local(write_lines(writer, Rc::clone(&member)));
    let cut = writing.abort_handle();
    member.tell("welcome; /join ROOM, /nick NAME, /quit");
    announce(&member, "has come in").await;
    // A connection that breaks is a member who leaves.
    let _ = or(read_lines(reader, &member), member.put_out()).await;
    HALL.with_borrow_mut(|hall| hall.retain(|other| !Rc::ptr_eq(other, &member)));
    member.end();
    announce(&member, "has left").await;
    // Last lines go out, but nobody waits for long for one who does not read.
    let _ = timeout(LAST_WORDS, writing).await;
    cut.abort();
}

/// Takes orders and lines until the end.
async fn read_lines(mut reader: OwnedReadHalf, member: &Member) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(LINE_BYTES_MAX);
    let mut chunk = [0; LINE_BYTES_MAX];
    loop {
        let Some(end) = buffer.iter().position(|&byte| byte == b'\n') else {
            if buffer.len() >= LINE_BYTES_MAX {
                member.tell("too long a line");
                return Ok(());
            }
            let room = LINE_BYTES_MAX - buffer.len();
            match reader.read(&mut chunk[..room]).await? {
                0 => return Ok(()),
                count => buffer.extend_from_slice(&chunk[..count]),
            }
            continue;
        };
        let line = String::from_utf8_lossy(&buffer[..end]).trim().to_owned();
        buffer.drain(..=end);
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("/quit", _) => return Ok(()),
            ("/join", room) => {
                announce(member, "goes to another room").await;
                *member.room.borrow_mut() = shortened(room);
                announce(member, "has come in").await;
            }
            ("/nick", name) => *member.name.borrow_mut() = shortened(name),
            ("", _) => {}
            _ => {
                let said = format!("{}: {line}", member.name.borrow());
                let room = member.room.borrow().clone();
                broadcast(room, said).await;
            }
        }
    }
}

/// Writes what the member is told, until its end.
async fn write_lines(mut writer: OwnedWriteHalf, member: Rc<Member>) {
    while let Some(line) = member.next_line().await {
        if writer.write_all(line.as_bytes()).await.is_err() {
            break;
        }
    }
}

async fn announce(member: &Member, what: &str) {
    let line = format!("* {} {what}", member.name.borrow());
    let room = member.room.borrow().clone();
    broadcast(room, line).await;
}

/// Tells a line to everybody in a room, on every loop. Done when all have it in their queues.
async fn broadcast(room: String, line: String) {
    let handle = Handle::current();
    let deliveries: Vec<_> = handle
        .loop_ids()
        .into_iter()
        .map(|loop_id| {
            let (room, line) = (room.clone(), line.clone());
            spawn_on(loop_id, move || async move { deliver(&room, &line) })
        })
        .collect();
    for delivery in deliveries {
        // It fails only when the runtime ends.
        let _ = delivery.await;
    }
}

/// Tells a line to the members of a room on this loop.
fn deliver(room: &str, line: &str) {
    HALL.with_borrow(|hall| {
        for member in hall.iter().filter(|member| *member.room.borrow() == room) {
            member.tell(line);
        }
    });
}

thread_local! {
    /// The members that this loop serves.
    static HALL: RefCell<Vec<Rc<Member>>> = const { RefCell::new(Vec::new()) };
}

struct Member {
    name: RefCell<String>,
    room: RefCell<String>,
    lines: RefCell<VecDeque<String>>,
    writer: RefCell<Option<Waker>>,
    /// Whoever waits for the member to be put out.
    door: RefCell<Option<Waker>>,
    has_ended: Cell<bool>,
}

impl Member {
    fn new(name: String) -> Self {
        Self {
            name: RefCell::new(name),
            room: RefCell::new("lobby".to_owned()),
            lines: RefCell::default(),
            writer: RefCell::default(),
            door: RefCell::default(),
            has_ended: Cell::new(false),
        }
    }

    /// Queues a line for the member. One who does not read is put out.
    fn tell(&self, line: &str) {
        if self.has_ended.get() || self.lines.borrow().len() >= LINES_WAITING_MAX {
            return self.end();
        }
        self.lines.borrow_mut().push_back(format!("{line}\n"));
        wake(&self.writer);
    }

    /// No line is queued or taken any more, but those that wait are written.
    fn end(&self) {
        self.has_ended.set(true);
        wake(&self.writer);
        wake(&self.door);
    }

    /// Waits until the member is put out.
    async fn put_out(&self) -> io::Result<()> {
        poll_fn(|cx| {
            if self.has_ended.get() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.door.replace(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await
    }

    /// The next line to write. None when all are written and the member has left.
    async fn next_line(&self) -> Option<String> {
        poll_fn(|cx| {
            let line = self.lines.borrow_mut().pop_front();
            if line.is_some() || self.has_ended.get() {
                return Poll::Ready(line);
            }
            self.writer.replace(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await
    }
}

fn wake(waiter: &RefCell<Option<Waker>>) {
    if let Some(waker) = waiter.take() {
        waker.wake();
    }
}

fn shortened(name: &str) -> String {
    name.trim().chars().take(NAME_LETTERS_MAX).collect()
}

/// Members at once, on all loops together. One more is told so and closed.
const CONNECTIONS_MAX: usize = 1024;
/// What a line may have, its end included.
const LINE_BYTES_MAX: usize = 1024;
/// What the names of members and rooms are cut to.
const NAME_LETTERS_MAX: usize = 32;
/// Lines that may wait for a member who does not read.
const LINES_WAITING_MAX: usize = 256;
/// How long the last lines of a member who leaves may take.
const LAST_WORDS: Duration = Duration::from_secs(1);
