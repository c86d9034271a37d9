//! The echo server without a runtime: edge-triggered epoll, one hot buffer for all connections.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::OwnedFd;

use super::{ANY_PORT, prepare};

struct Connection {
    stream: TcpStream,
    /// What the socket did not take at once.
    unsent: Vec<u8>,
}

struct Loop {
    epoll: OwnedFd,
    listener: TcpListener,
    /// By the descriptor's place; places of closed connections are used again.
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    buffer: Vec<u8>,
}

pub(super) fn run(buffer_bytes: usize, announce: impl FnOnce(SocketAddr)) -> io::Result<()> {
    let listener = TcpListener::bind(ANY_PORT)?;
    prepare(&listener)?;
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(
        &epoll,
        &listener,
        EventData::new_u64(LISTENER),
        EventFlags::IN,
    )?;
    announce(listener.local_addr()?);
    let mut this = Loop {
        epoll,
        listener,
        connections: Vec::new(),
        free: Vec::new(),
        buffer: vec![0; buffer_bytes],
    };
    let mut events = Vec::with_capacity(EVENTS_MAX);
    loop {
        events.clear();
        epoll::wait(&this.epoll, spare_capacity(&mut events), None)?;
        for &event in &events {
            this.on_event(event)?;
        }
    }
}

impl Loop {
    fn on_event(&mut self, event: Event) -> io::Result<()> {
        let place = event.data.u64();
        if place == LISTENER {
            return self.accept();
        }
        let place = usize::try_from(place).expect("a place was a usize");
        let Some(connection) = &mut self.connections[place] else {
            return Ok(());
        };
        // An error of a connection ends that connection; the load generator reports it.
        let is_open = connection.echo(&mut self.buffer).unwrap_or(false);
        if !is_open {
            self.connections[place] = None;
            self.free.push(place);
        }
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let place = self.free.pop().unwrap_or(self.connections.len());
            let data = EventData::new_u64(place as u64);
            epoll::add(&self.epoll, &stream, data, EDGES)?;
            if place == self.connections.len() {
                self.connections.push(None);
            }
            self.connections[place] = Some(Connection {
                stream,
                unsent: Vec::new(),
            });
        }
    }
}

impl Connection {
    /// Sends back what is there. Answers whether the connection goes on.
    fn echo(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        if !self.flush()? {
            return Ok(true);
        }
        loop {
            let count = match self.stream.read(buffer) {
                Ok(0) => return Ok(false),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error),
            };
            let sent = match self.stream.write(&buffer[..count]) {
                Ok(sent) => sent,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                Err(error) => return Err(error),
            };
            self.unsent.extend_from_slice(&buffer[sent..count]);
            // A short read has emptied the socket: epoll(7), questions and answers 9.
            if count < buffer.len() || !self.flush()? {
                return Ok(true);
            }
        }
    }

    /// Sends what was left. Answers whether nothing is left now.
    fn flush(&mut self) -> io::Result<bool> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

const LISTENER: u64 = u64::MAX;
const EVENTS_MAX: usize = 1024;
const EDGES: EventFlags = EventFlags::IN
    .union(EventFlags::OUT)
    .union(EventFlags::RDHUP)
    .union(EventFlags::ET);
