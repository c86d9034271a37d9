//! One connection: reads commands, however many came at once, and answers them in order.

use std::io::{self, Write};
use std::time::Duration;

use oneloop::net::TcpStream;

use crate::protocol::{Command, Parsed, Part, Reply, TOO_LARGE, parse};
use crate::store::{Changed, Store};

/// What is read at once, at least.
const READ_BYTES: usize = 16 * 1024;
/// Answers are sent at the latest when there are so many bytes of them. One value may come on top.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// How long a client may go on sending after the last answer.
const LINGER: Duration = Duration::from_secs(1);

/// Serves a connection to its end.
pub(crate) async fn serve(stream: TcpStream, store: &Store) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut connection = Connection {
        stream,
        input: vec![0; READ_BYTES],
        filled: 0,
        answers: Vec::new(),
    };
    // Bytes of a refused value that are still to come.
    let mut skip: usize = 0;
    loop {
        let skipped = skip.min(connection.filled);
        connection.consume(skipped);
        skip -= skipped;
        let mut at = 0;
        let mut needed = 1;
        let input = std::mem::take(&mut connection.input);
        while skip == 0 && at < connection.filled {
            match parse(&input[at..connection.filled]) {
                Parsed::Incomplete(bytes) => {
                    needed = bytes;
                    break;
                }
                Parsed::Command(Command::Quit, _) => return connection.send().await,
                Parsed::Command(command, taken) => {
                    connection.execute(&command, store).await?;
                    at += taken;
                }
                Parsed::Refused(answer, taken) => {
                    skip = connection.refuse(answer, taken, &mut at);
                }
                Parsed::TooLarge(replaced, taken) => {
                    if let Some(key) = replaced {
                        store.forget(key);
                    }
                    skip = connection.refuse(TOO_LARGE, taken, &mut at);
                }
                Parsed::Hopeless(answer) => {
                    connection.answers.extend_from_slice(answer.as_bytes());
                    connection.send().await?;
                    // The rest is not read: a close would be a reset, which may overtake the answer.
                    return connection.stream.close_gracefully(LINGER).await;
                }
            }
        }
        connection.input = input;
        connection.consume(at);
        connection.send().await?;
        if !connection.read(needed).await? {
            return Ok(());
        }
    }
}

struct Connection {
    stream: TcpStream,
    /// `input[..filled]` is to be parsed.
    input: Vec<u8>,
    filled: usize,
    answers: Vec<u8>,
}

impl Connection {
    /// Forgets the first bytes of the input.
    fn consume(&mut self, count: usize) {
        self.input.copy_within(count..self.filled, 0);
        self.filled -= count;
    }

    /// Answers, and passes over so many bytes as are to be skipped and have come. How many have not.
    fn refuse(&mut self, answer: &str, taken: usize, at: &mut usize) -> usize {
        self.answers.extend_from_slice(answer.as_bytes());
        let there = taken.min(self.filled - *at);
        *at += there;
        taken - there
    }

    /// Reads more, with room for `needed` bytes in all. Tells whether the client is still there.
    async fn read(&mut self, needed: usize) -> io::Result<bool> {
        // What is only announced takes no memory: the room grows with what has come.
        let room = needed.min(2 * self.filled);
        let room = room.max(self.filled + READ_BYTES / 2).max(READ_BYTES);
        if self.input.len() < room || self.filled == 0 {
            // A large value has made it large: an idle connection keeps no more than it began with.
            self.input.resize(room, 0);
            self.input.shrink_to(room);
        }
        let count = self.stream.read(&mut self.input[self.filled..]).await?;
        self.filled += count;
        Ok(count > 0)
    }

    async fn send(&mut self) -> io::Result<()> {
        if !self.answers.is_empty() {
            self.stream.write_all(&self.answers).await?;
            self.answers.clear();
            self.answers.shrink_to(ANSWER_BYTES_MAX);
        }
        Ok(())
    }

    async fn execute(&mut self, command: &Command<'_>, store: &Store) -> io::Result<()> {
        let (changed, done, reply) = match command {
            Command::Get(keys, has_cas) => return self.get(keys, *has_cas, store).await,
            Command::Store(command) => (store.store(command), "STORED", command.reply),
            Command::Delete(key, reply) => (store.delete(key), "DELETED", *reply),
            Command::Count {
                key,
                by,
                is_up,
                reply,
            } => (store.count(key, *by, *is_up), "", *reply),
            Command::Touch(key, exptime, reply) => (store.touch(key, *exptime), "TOUCHED", *reply),
            Command::Flush(seconds, reply) => {
                store.flush(Duration::from_secs(*seconds));
                (Changed::Done, "OK", *reply)
            }
            Command::Verbosity(reply) => (Changed::Done, "OK", *reply),
            Command::Version => (Changed::Done, VERSION, Reply::Wanted),
            Command::Stats(part) => return self.stats(*part, store),
            Command::Quit => return Ok(()),
        };
        if reply == Reply::Spared {
            return Ok(());
        }
        let answers = &mut self.answers;
        match changed {
            Changed::Done => write!(answers, "{done}\r\n")?,
            Changed::NotStored => answers.extend_from_slice(b"NOT_STORED\r\n"),
            Changed::Exists => answers.extend_from_slice(b"EXISTS\r\n"),
            Changed::NotFound => answers.extend_from_slice(b"NOT_FOUND\r\n"),
            Changed::TooLarge => answers.extend_from_slice(TOO_LARGE.as_bytes()),
            Changed::NotANumber => answers.extend_from_slice(
                b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n",
            ),
            Changed::Number(number) => write!(answers, "{number}\r\n")?,
        }
        self.send_if_many().await
    }

    async fn get(&mut self, keys: &[&[u8]], has_cas: bool, store: &Store) -> io::Result<()> {
        for key in keys {
            let Some(found) = store.get(key) else {
                continue;
            };
            self.answers.extend_from_slice(b"VALUE ");
            self.answers.extend_from_slice(key);
            write!(self.answers, " {} {}", found.flags, found.value.len())?;
            if has_cas {
                write!(self.answers, " {}", found.cas)?;
            }
            self.answers.extend_from_slice(b"\r\n");
            self.answers.extend_from_slice(&found.value);
            self.answers.extend_from_slice(b"\r\n");
            self.send_if_many().await?;
        }
        self.answers.extend_from_slice(b"END\r\n");
        Ok(())
    }

    /// A client that does not read stops here, and holds no more than this.
    async fn send_if_many(&mut self) -> io::Result<()> {
        if self.answers.len() >= ANSWER_BYTES_MAX {
            self.send().await?;
        }
        Ok(())
    }

    fn stats(&mut self, part: Part, store: &Store) -> io::Result<()> {
        match part {
            Part::All => {
                self.answers
                    .extend_from_slice(b"STAT version 1.4.8-oneloop\r\n");
                for (name, value) in store.stats() {
                    write!(self.answers, "STAT {name} {value}\r\n")?;
                }
                self.answers.extend_from_slice(b"END\r\n");
            }
            Part::Reset => self.answers.extend_from_slice(b"RESET\r\n"),
            Part::Other => self.answers.extend_from_slice(b"END\r\n"),
        }
        Ok(())
    }
}

/// Clients take it for memcached's own and ask for what it brought: 1.4.8 was the first with
/// `touch`.
const VERSION: &str = "VERSION 1.4.8-oneloop";
