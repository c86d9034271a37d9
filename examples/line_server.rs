//! A line protocol as services write it: limited lines, answers written together, backpressure.
//!
//! ```text
//! cargo run --release --example line_server
//! printf 'hello\nrepeat 3 abc\nquit\n' | nc 127.0.0.1 7778
//! ```
//!
//! Commands that come together are answered with one write. A client that sends and never reads
//! is no longer read from when 64 KiB of answers wait for it, and one that never ends its line is
//! told so and cut off. A client that is silent costs no buffer.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example talks to a person")]

mod common;

use std::io;
use std::net::SocketAddr;

use common::arguments::Arguments;
use oneloop::net::buffer::{FrameError, FrameReader, FrameWriter};
use oneloop::net::{TcpListener, TcpStream};

/// Bytes of a command, without the end of its line.
const COMMAND_BYTES_MAX: usize = 1024;
/// Bytes of an answer.
const ANSWER_BYTES_MAX: usize = 64 << 10;

fn main() {
    let arguments = Arguments::read("line_server [--addr 127.0.0.1:7778] [--loops N]");
    let addr: SocketAddr = arguments.value("--addr");
    arguments.end(arguments.runtime().block_on(async {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        println!("lines on {addr}; try: hello, repeat 3 abc, quit");
        // On a worker, so that accepting needs no thread of its own.
        oneloop::spawn(serve(listener)).await?
    }));
}

async fn serve(listener: TcpListener) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        drop(oneloop::spawn(async move {
            // An error ends this connection; its peer knows already.
            let _ = talk(&stream).await;
        }));
    }
}

async fn talk(stream: &TcpStream) -> io::Result<()> {
    let mut reader = FrameReader::new(stream);
    let mut writer = FrameWriter::new(stream);
    loop {
        // Whoever does not take his answers is not asked for more commands.
        writer.below_low_water().await?;
        match reader.read_line(COMMAND_BYTES_MAX).await {
            Ok(None | Some(b"quit")) => return writer.shutdown().await,
            Ok(Some(command)) => {
                writer.write_frame(&answer(command), &b"\n"[..])?;
            }
            Err(error) if FrameError::from_io(&error).is_some() => {
                writer.write(format!("error: {error}\n").as_bytes())?;
                return writer.shutdown().await;
            }
            Err(error) => return Err(error),
        }
        // While more commands are there, their answers go together.
        if reader.buffer().find_eol(0).is_none() {
            writer.flush().await?;
        }
    }
}

fn answer(command: &[u8]) -> Vec<u8> {
    let mut words = command.splitn(3, |&byte| byte == b' ');
    match (words.next(), words.next(), words.next()) {
        (Some(b"hello"), None, None) => b"hello yourself".to_vec(),
        (Some(b"repeat"), Some(times), Some(text)) => {
            let times = std::str::from_utf8(times)
                .ok()
                .and_then(|it| it.parse().ok());
            match times {
                Some(times) if text.len().saturating_mul(times) <= ANSWER_BYTES_MAX => {
                    text.repeat(times)
                }
                _ => b"error: how often?".to_vec(),
            }
        }
        _ => b"error: hello, repeat TIMES TEXT, or quit".to_vec(),
    }
}
