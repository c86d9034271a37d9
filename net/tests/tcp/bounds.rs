//! The auto traits that every type has in tokio, checked by the compiler.

use std::net::SocketAddr;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

use oneloop_net::tcp::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
use oneloop_net::{TcpListener, TcpSocket, TcpStream, lookup_host};
use oneloop_runtime::io::Interest;

fn send_sync_unpin<T: Send + Sync + Unpin>() {}
fn unwind_safe<T: UnwindSafe + RefUnwindSafe>() {}
fn static_error<T: std::error::Error + Send + Sync + 'static>() {}
fn send<T: Send>(_: T) {}

#[test]
fn types_are_send_sync_unpin() {
    send_sync_unpin::<TcpListener>();
    send_sync_unpin::<TcpSocket>();
    send_sync_unpin::<TcpStream>();
    send_sync_unpin::<ReadHalf<'_>>();
    send_sync_unpin::<WriteHalf<'_>>();
    send_sync_unpin::<OwnedReadHalf>();
    send_sync_unpin::<OwnedWriteHalf>();
    send_sync_unpin::<ReuniteError>();
    static_error::<ReuniteError>();
}

#[test]
fn types_are_unwind_safe() {
    unwind_safe::<TcpListener>();
    unwind_safe::<TcpSocket>();
    unwind_safe::<TcpStream>();
    unwind_safe::<OwnedReadHalf>();
    unwind_safe::<OwnedWriteHalf>();
}

/// Only compiled: the futures can be spawned.
#[allow(dead_code)] // it is the type check that matters
fn futures_are_send(mut stream: TcpStream, listener: &TcpListener, address: SocketAddr) {
    send(lookup_host("localhost:80"));
    send(TcpStream::connect("localhost:80"));
    send(TcpStream::connect(address));
    send(TcpListener::bind("localhost:80"));
    send(TcpListener::bind_reuse_port(("localhost", 80)));
    send(TcpSocket::new_v4().unwrap().connect(address));
    send(listener.accept());
    send(stream.read(&mut []));
    send(stream.read_exact(&mut []));
    send(stream.read_vectored(&mut []));
    send(stream.write(&[]));
    send(stream.write_all(&[]));
    send(stream.write_vectored(&[]));
    send(stream.shutdown());
    send(stream.flush());
    send(stream.peek(&mut []));
    send(stream.readable());
    send(stream.writable());
    send(stream.ready(Interest::READABLE));
    send(stream.async_io(Interest::READABLE, || Ok(())));
    {
        let (mut read, mut write) = stream.split();
        send(read.read(&mut []));
        send(write.write_all(&[]));
    }
    send(stream.close_gracefully(Duration::ZERO));
}
