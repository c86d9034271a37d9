//! Echo over a Unix socket, and a client of it in the same program.
//! `cargo run --example unix_echo`.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example talks to a person")]

mod common;

use std::io;

use common::arguments::Arguments;
use oneloop::net::{UnixListener, UnixStream};

fn main() {
    let arguments = Arguments::read("unix_echo");
    arguments.end(run());
}

fn run() -> io::Result<()> {
    let path = std::env::temp_dir().join(format!("oneloop-echo-{}.sock", std::process::id()));
    let answered = oneloop::block_on(async {
        let listener = UnixListener::bind(&path)?;
        println!("unix_echo on {}", path.display());
        drop(oneloop::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                drop(oneloop::spawn(echo(stream)));
            }
        }));
        let mut stream = UnixStream::connect(&path).await?;
        stream.write_all(b"hello").await?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await?;
        Ok::<_, io::Error>(String::from_utf8_lossy(&answer).into_owned())
    });
    std::fs::remove_file(&path)?;
    println!("answered: {}", answered?);
    Ok(())
}

async fn echo(mut stream: UnixStream) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
