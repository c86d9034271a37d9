//! One file, served in three ways over HTTP/1.0.
//!
//! ```text
//! cargo run --release --example file_download -- --file Cargo.lock
//! curl -o copy http://127.0.0.1:7071/send_file     # in another terminal; or /read, or /chunks
//! printf 'GET /chunks HTTP/1.0\r\n\r\n' | nc 127.0.0.1 7071
//! ```
//!
//! | way | memory | copies |
//! |---|---|---|
//! | `/read` | the whole file for each client | into user memory and back |
//! | `/chunks` | 64 KiB for each client | the same |
//! | `/send_file` | none | none: the kernel sends from its cache |
//!
//! The first two read on the pool of threads that may block. `send_file` reads what is not in the
//! kernel's cache on the loop, so the kernel is asked to read ahead. Header and body are corked: the
//! first packet has the header and as much of the file as it holds.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example talks to a person")]

mod common;

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use common::arguments::Arguments;
use common::connections::Connections;
use oneloop::net::zero_copy::read_ahead;
use oneloop::net::{TcpListener, TcpStream};
use oneloop::task::spawn_blocking;
use oneloop::time::timeout;

/// Connections that are served at once; more are closed as they come.
const CONNECTIONS_MAX: usize = 10_000;
/// What a request may have at most.
const REQUEST_BYTES_MAX: usize = 8 * 1024;
/// How long a client may take to send its request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take to read one chunk, or the next bytes of a file.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a whole file may take that is read at once.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(3600);
const CHUNK_BYTES: usize = 64 * 1024;

fn main() {
    let arguments = Arguments::read("file_download --file PATH [--addr 127.0.0.1:7071]");
    let path: Arc<PathBuf> = Arc::new(arguments.required("--file"));
    let addr: SocketAddr = arguments.value("--addr");
    // Fails now rather than at the first request.
    let (_, length) = open(&path).unwrap_or_else(|error| {
        arguments.refuse(&format!("--file {}: {error}", path.display()));
    });
    arguments.end(oneloop::block_on(async {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        println!(
            "file_download on {addr}: {}, {length} bytes",
            path.display()
        );
        println!("try: curl -o copy http://{addr}/send_file   (or /read, or /chunks)");
        let connections = Connections::at_most(CONNECTIONS_MAX);
        loop {
            let (stream, _) = listener.accept().await?;
            let Some(place) = connections.enter() else {
                continue;
            };
            let path = Arc::clone(&path);
            drop(oneloop::spawn(async move {
                // An error ends this connection; its peer knows already.
                let _ = serve(stream, &path).await;
                drop(place);
            }));
        }
    }));
}

/// The file and its length. Nothing but a regular file has one; a pipe would not even open.
fn open(path: &Path) -> io::Result<(File, u64)> {
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    Ok((file, length))
}

async fn serve(mut stream: TcpStream, path: &Arc<PathBuf>) -> io::Result<()> {
    let way = timeout(REQUEST_TIMEOUT, request(&mut stream)).await??;
    let opening = Arc::clone(path);
    let opened = spawn_blocking(move || open(&opening));
    let (file, length) = opened.await.map_err(io::Error::other)??;
    match way.as_str() {
        "/read" => read_everything(&mut stream, path).await?,
        "/chunks" => chunk_by_chunk(&mut stream, file, length).await?,
        "/" | "/send_file" => send_file(&mut stream, &file, length).await?,
        _ => {
            let text = b"HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(text).await?;
        }
    }
    stream.close_gracefully(WRITE_TIMEOUT).await
}

/// Reads the request, and returns the path in its first line.
async fn request(stream: &mut TcpStream) -> io::Result<String> {
    let mut buffer = vec![0; REQUEST_BYTES_MAX];
    let mut filled = 0;
    while !buffer[..filled].windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer[filled..]).await? {
            0 => return Err(invalid("no whole request")),
            count => filled += count,
        }
    }
    let text = String::from_utf8_lossy(&buffer[..filled]);
    let mut words = text.lines().next().unwrap_or_default().split(' ');
    match (words.next(), words.next()) {
        (Some("GET"), Some(path)) => Ok(path.to_owned()),
        _ => Err(invalid("not a GET")),
    }
}

fn header(length: u64) -> String {
    format!(
        "HTTP/1.0 200 OK\r\nContent-Type: application/octet-stream\r\n\
         Content-Length: {length}\r\n\r\n"
    )
}

/// The first way.
async fn read_everything(stream: &mut TcpStream, path: &Arc<PathBuf>) -> io::Result<()> {
    let path = Arc::clone(path);
    let body = spawn_blocking(move || std::fs::read(&*path));
    let body = body.await.map_err(io::Error::other)??;
    let mut corked = stream.corked()?;
    let header = header(body.len() as u64);
    timeout(DOWNLOAD_TIMEOUT, async {
        corked.write_all(header.as_bytes()).await?;
        corked.write_all(&body).await
    })
    .await??;
    corked.uncork()
}

/// The second way.
async fn chunk_by_chunk(stream: &mut TcpStream, file: File, length: u64) -> io::Result<()> {
    let file = Arc::new(file);
    let mut corked = stream.corked()?;
    corked.write_all(header(length).as_bytes()).await?;
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut sent = 0;
    while sent < length {
        let wanted = CHUNK_BYTES.min(usize::try_from(length - sent).unwrap_or(CHUNK_BYTES));
        let file = Arc::clone(&file);
        let read = spawn_blocking(move || {
            file.read_exact_at(&mut chunk[..wanted], sent)?;
            Ok::<_, io::Error>(chunk)
        });
        chunk = read.await.map_err(io::Error::other)??;
        timeout(WRITE_TIMEOUT, corked.write_all(&chunk[..wanted])).await??;
        sent += wanted as u64;
    }
    corked.uncork()
}

/// The third way.
async fn send_file(stream: &mut TcpStream, file: &File, length: u64) -> io::Result<()> {
    read_ahead(file, 0, length)?;
    let mut corked = stream.corked()?;
    corked.write_all(header(length).as_bytes()).await?;
    let mut sending = corked.send_file(file, 0, length);
    let mut before = 0;
    loop {
        if let Ok(sent) = timeout(WRITE_TIMEOUT, &mut sending).await {
            sent?;
            return corked.uncork();
        }
        // Slow is allowed, standing still is not.
        if sending.sent() == before {
            return Err(io::ErrorKind::TimedOut.into());
        }
        before = sending.sent();
    }
}

fn invalid(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem.to_owned())
}
