//! Solves sudokus: a line of 81 digits in, a line of 81 digits out. 0 or `.` is an empty cell, and
//! `ID:` before the board comes back before the answer.
//!
//! ```text
//! cargo run --release --example sudoku -- --where pool
//! echo a:000000010400000000020000000000050407008000300001090000300400200050100000000806000 | nc -N 127.0.0.1 9981
//! cargo run --release --example sudoku -- --where loop --bench 5
//! ```
//!
//! A board takes between microseconds and many milliseconds. Solved on the loop (`--where loop`), a
//! hard one holds up everybody else there; on the blocking pool (`--where pool`) each board pays
//! for two messages to another thread, and the loop stays free. `--bench` sends hard boards on some
//! connections and a line without a board (`ping`) on one more, and tells how long a ping took.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example talks to a person")]

mod bench;
#[path = "../common/mod.rs"]
mod common;
mod solver;

use std::io;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use common::arguments::Arguments;
use oneloop::net::{TcpListener, TcpStream};
use oneloop::task;

use solver::{Board, Outcome};

/// The longest line, its end included.
const LINE_BYTES_MAX: usize = 256;
/// What is read at once: a client may send many boards without waiting.
const INPUT_BYTES_MAX: usize = 4096;
/// Threads of the blocking pool: more than cores only take turns.
const POOL_THREADS_MAX: usize = 4;

/// Where a board is solved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Where {
    Loop,
    Pool,
}

impl FromStr for Where {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "loop" => Ok(Self::Loop),
            "pool" => Ok(Self::Pool),
            _ => Err("neither loop nor pool"),
        }
    }
}

const USAGE: &str = "sudoku [--addr 127.0.0.1:9981] [--loops N] [--where pool|loop] \
                     [--bench SECONDS [--connections 4]]";

fn main() {
    let arguments = Arguments::read(USAGE);
    arguments.end(run(&arguments));
}

fn run(arguments: &Arguments) -> io::Result<()> {
    let addr: SocketAddr = arguments.value("--addr");
    let place = arguments.value("--where");
    let connections = arguments.number("--connections");
    let bench = arguments.has("--bench");
    let bench = bench.then(|| arguments.seconds("--bench"));
    let mut builder = arguments.builder();
    let runtime = builder.max_blocking_threads(POOL_THREADS_MAX).build()?;
    let listener = runtime.block_on(TcpListener::bind(addr))?;
    let addr = listener.local_addr()?;
    println!("sudoku on {addr}, solved on the {place:?}");
    let server = runtime.handle().spawn(serve(listener, place));
    match bench {
        Some(time) => bench::bench(addr, connections, time),
        None => runtime.block_on(server)?,
    }
}

async fn serve(listener: TcpListener, place: Where) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        drop(oneloop::spawn(async move {
            // An error ends this connection; its peer knows already.
            let _ = connection(stream, place).await;
        }));
    }
}

/// Answers line by line. A line that is too long ends the connection.
async fn connection(mut stream: TcpStream, place: Where) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = Vec::with_capacity(INPUT_BYTES_MAX);
    let mut chunk = [0; INPUT_BYTES_MAX - LINE_BYTES_MAX];
    loop {
        let count = stream.read(&mut chunk).await?;
        if count == 0 {
            return Ok(());
        }
        input.extend_from_slice(&chunk[..count]);
        let mut answers = Vec::new();
        let mut at = 0;
        while let Some(len) = input[at..].iter().position(|&byte| byte == b'\n') {
            if len >= LINE_BYTES_MAX {
                break;
            }
            let line = input[at..at + len].trim_ascii_end();
            answers.extend_from_slice(&answer(line, place).await?);
            at += len + 1;
        }
        input.drain(..at);
        let is_too_long = input.len() >= LINE_BYTES_MAX;
        if is_too_long {
            answers.extend_from_slice(b"LineTooLong\r\n");
        }
        stream.write_all(&answers).await?;
        if is_too_long {
            return stream.close_gracefully(Duration::from_secs(1)).await;
        }
    }
}

/// The answer to a line, with its end.
async fn answer(line: &[u8], place: Where) -> io::Result<Vec<u8>> {
    if line == b"ping" {
        return Ok(b"pong\r\n".to_vec());
    }
    let colon = line.iter().position(|&byte| byte == b':');
    let (id, digits) = line.split_at(colon.map_or(0, |at| at + 1));
    let Some(board) = Board::parse(digits) else {
        return Ok([id, b"BadRequest\r\n"].concat());
    };
    let outcome = match place {
        Where::Loop => board.solve(),
        Where::Pool => task::spawn_blocking(move || board.solve()).await?,
    };
    Ok(match outcome {
        Outcome::Solved(board) => [id, &board.digits(), b"\r\n"].concat(),
        Outcome::Impossible => [id, b"NoSolution\r\n"].concat(),
        Outcome::GaveUp => [id, b"TooHard\r\n"].concat(),
    })
}
