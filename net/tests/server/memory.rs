//! The memory cap: who waits, and who does not.

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::io;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_lite::future::zip;
use oneloop_net::TcpStream;
use oneloop_net::server::{
    Connection, ConnectionInfo, OverloadPolicy, Server, ServerBuilder, ServerHandle,
};
use oneloop_runtime::task::{spawn_local, yield_now};
use oneloop_runtime::time::{sleep, timeout};

use crate::support::{
    ANY_PORT, ask, assert_answered, assert_closed, client, read_line, run, run_on_one, run_paused,
    until,
};

const WHILE: Duration = Duration::from_millis(100);
const KIB: usize = 1024;

/// Answers lines from a buffer of 64 KiB that is accounted for; "hold" keeps it until the next line.
async fn careful(connection: Connection) -> io::Result<()> {
    while let Some(line) = read_line(&connection).await? {
        let _request = connection.request_guard();
        let _room = connection.reserve(64 * KIB).await?;
        connection.write_all(&line).await?;
        if line == b"hold\n" {
            connection.read_exact(&mut [0; 5]).await?;
        }
    }
    Ok(())
}

#[test]
fn at_the_cap_new_requests_and_connections_wait() {
    run(async {
        let server = Server::builder().memory_cap(100 * KIB);
        let server = server.serve(ANY_PORT, careful).await.unwrap();
        let mut holder = client(&server).await;
        holder.write_all(b"hold\n").await.unwrap();
        holder.read_exact(&mut [0; 5]).await.unwrap();
        assert_eq!(server.counts().reserved_bytes, 64 * KIB);
        let mut earlier = client(&server).await;
        until(&server, |counts| counts.idle == 1).await;
        let mut waiting = client(&server).await;
        waiting.write_all(b"ping\n").await.unwrap();
        until(&server, |counts| counts.accepted == 3 && counts.idle == 1).await;
        // It has read its request as the holder has, and waits for the memory.
        let has_read = |it: &&ConnectionInfo| it.bytes_in == 5;
        while server.connections().await.iter().filter(has_read).count() < 2 {
            yield_now().await;
        }

        earlier.write_all(b"ping\n").await.unwrap();
        let mut answer = [0; 5];
        assert!(timeout(WHILE, earlier.read(&mut answer)).await.is_err());
        // The request was not even read.
        let mut connections = server.connections().await;
        connections.sort_by_key(|it| it.id);
        assert_eq!(connections[1].bytes_in, 0);
        let waits = server.counts().memory_waits;
        assert!(waits >= 1);
        assert_eq!(connections[0].reserved_bytes, 64 * KIB);

        holder.write_all(b"over\n").await.unwrap();
        assert_answered(&mut waiting).await;
        assert_answered(&mut earlier).await;
        ask(&mut client(&server).await).await;
        until(&server, |counts| counts.reserved_bytes == 0).await;
    });
}

#[test]
fn connection_that_holds_memory_goes_on_while_another_waits_for_it() {
    async fn keeps_its_buffer(connection: Connection) -> io::Result<()> {
        let room = connection.reserve(64 * KIB).await?;
        let mut buf = vec![0; room.bytes()];
        loop {
            match connection.read(&mut buf).await? {
                0 => return Ok(()),
                count => connection.write_all(&buf[..count]).await?,
            }
        }
    }
    run_on_one(async {
        let server = Server::builder().memory_cap(100 * KIB);
        let server = server.serve(ANY_PORT, keeps_its_buffer).await.unwrap();
        let mut holder = client(&server).await;
        ask(&mut holder).await;
        let mut waiting = client(&server).await;
        waiting.write_all(b"ping\n").await.unwrap();
        until(&server, |counts| counts.accepted == 2).await;
        yield_now().await;
        // Only its end makes room for the other.
        for _ in 0..3 {
            ask(&mut holder).await;
        }
        drop(holder);
        assert_answered(&mut waiting).await;
    });
}

#[test]
fn handler_that_ends_while_it_waits_or_holds_gives_back() {
    async fn greedy(connection: Connection) -> io::Result<()> {
        let _request = connection.request_guard();
        let held = connection.reserve(100 * KIB).await?;
        assert_eq!(held.bytes(), 100 * KIB);
        connection.read(&mut [0]).await.map(drop)
    }
    run(async {
        let server = Server::builder().memory_cap(100 * KIB);
        let server = server.serve(ANY_PORT, greedy).await.unwrap();
        let mut clients = Vec::new();
        for _ in 0..4 {
            clients.push(client(&server).await);
        }
        until(&server, |counts| counts.reserved_bytes == 100 * KIB).await;
        // The kernel may still hold connections of a loop that waits at the cap.
        let report = server.drain(WHILE).await;
        assert!(
            (1..=4).contains(&report.cut) && report.finished == 0,
            "{report}"
        );
        let counts = server.counts();
        assert_eq!((counts.reserved_bytes, counts.connections), (0, 0));
    });
}

#[test]
fn more_than_the_cap_is_an_error() {
    async fn too_much(connection: Connection) -> io::Result<()> {
        let error = connection.reserve(100 * KIB + 1).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        connection.write_all(b"ping\n").await
    }
    run(async {
        let server = Server::builder().memory_cap(100 * KIB);
        let server = server.serve(ANY_PORT, too_much).await.unwrap();
        assert_answered(&mut client(&server).await).await;
    });
}

#[test]
fn connection_that_was_ended_while_it_waited_gets_no_memory() {
    thread_local! {
        static OUTCOME: Cell<Option<io::ErrorKind>> = const { Cell::new(None) };
    }
    async fn waits_elsewhere(connection: Connection) -> io::Result<()> {
        let mut order = [0];
        connection.read_exact(&mut order).await?;
        if &order == b"h" {
            let _request = connection.request_guard();
            let _held = connection.reserve(100 * KIB).await?;
            return pending().await;
        }
        // Where the end of the handler is not its own.
        drop(spawn_local(async move {
            let outcome = connection.reserve(100 * KIB).await;
            OUTCOME.set(outcome.map(drop).err().map(|error| error.kind()));
        }));
        Ok(())
    }
    run_on_one(async {
        let server = Server::builder().memory_cap(100 * KIB);
        let server = server.serve(ANY_PORT, waits_elsewhere).await.unwrap();
        let mut holder = client(&server).await;
        holder.write_all(b"h").await.unwrap();
        until(&server, |counts| counts.reserved_bytes > 0).await;
        let mut waiting = client(&server).await;
        waiting.write_all(b"w").await.unwrap();
        until(&server, |counts| counts.finished == 1).await;
        let report = server.drain(Duration::ZERO).await;
        assert_eq!(report.cut, 2, "{report}");
        assert_closed(&mut waiting).await;
        assert_eq!(OUTCOME.get(), Some(io::ErrorKind::ConnectionAborted));
        assert_eq!(server.counts().reserved_bytes, 0);
    });
}

/// With the cap held, one that waits for it and a byte of a third that waits to be read: what the third
/// does then with a read and a reservation of the whole cap goes through once the others are done.
fn third_at_the_cap<F>(then: fn(Connection) -> F)
where
    F: Future<Output = io::Result<()>> + 'static,
{
    const ALL: usize = 100 * KIB;
    thread_local! {
        static IS_READY: Cell<bool> = const { Cell::new(false) };
    }
    let by_order = move |connection: Connection| async move {
        let mut order = [0];
        connection.read_exact(&mut order).await?;
        if &order == b"3" {
            // The answer ends the request.
            connection.write_all(&order).await?;
            while !IS_READY.get() {
                yield_now().await;
            }
            return then(connection).await;
        }
        let _request = connection.request_guard();
        let _held = connection.reserve(ALL).await?;
        connection.write_all(&order).await?;
        if &order == b"1" {
            connection.read(&mut order).await?;
        }
        Ok(())
    };
    run_on_one(async move {
        let server = Server::builder().memory_cap(ALL);
        let server = server.serve(ANY_PORT, by_order).await.unwrap();
        let mut answer = [0];
        let mut third = client(&server).await;
        third.write_all(b"3").await.unwrap();
        third.read_exact(&mut answer).await.unwrap();
        let mut holder = client(&server).await;
        holder.write_all(b"1").await.unwrap();
        holder.read_exact(&mut answer).await.unwrap();
        let mut waiting = client(&server).await;
        waiting.write_all(b"2").await.unwrap();
        // It waits for memory in the poll in which it has read.
        let has_read = |it: &&ConnectionInfo| it.bytes_in == 1;
        while server.connections().await.iter().filter(has_read).count() < 3 {
            yield_now().await;
        }
        third.write_all(b"x").await.unwrap();
        IS_READY.set(true);
        until(&server, |counts| counts.memory_waits > 0).await;
        drop(holder);
        waiting.read_exact(&mut answer).await.unwrap();
        third.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"3");
    });
}

#[test]
fn poll_that_was_given_up_in_its_turn_does_not_hold_up_its_own_reserve() {
    third_at_the_cap(|connection| async move {
        let read = poll_fn(|cx| Poll::Ready(connection.poll_read(cx, &mut [0]))).await;
        assert!(read.is_pending());
        let all = connection.reserve(100 * KIB).await?;
        assert_eq!(all.bytes(), 100 * KIB);
        connection.write_all(b"3").await
    });
}

#[test]
fn read_beside_a_reservation_does_not_wait_for_its_memory() {
    third_at_the_cap(|connection| async move {
        let mut byte = [0];
        let (read, all) = zip(connection.read(&mut byte), connection.reserve(100 * KIB)).await;
        let (count, _all) = (read?, all?);
        assert_eq!((count, &byte), (1, b"x"));
        connection.write_all(b"3").await
    });
}

#[test]
fn send_buffer_is_as_configured() {
    const BYTES: usize = 48 * KIB;

    async fn tell(connection: Connection) -> io::Result<()> {
        let bytes = rustix::net::sockopt::socket_send_buffer_size(&connection)?;
        connection.write_all(&bytes.to_le_bytes()).await
    }
    async fn told(builder: ServerBuilder) -> usize {
        let server = builder.serve(ANY_PORT, tell).await.unwrap();
        let mut bytes = [0; size_of::<usize>()];
        client(&server).await.read_exact(&mut bytes).await.unwrap();
        usize::from_le_bytes(bytes)
    }
    run(async {
        let configured = told(Server::builder().send_buffer_bytes(BYTES)).await;
        // Linux has twice as much, for what it needs itself.
        assert!(
            [BYTES, 2 * BYTES].contains(&configured),
            "{configured} bytes"
        );
        // Without it the kernel decides.
        let by_itself = told(Server::builder().memory_cap(KIB)).await;
        assert!(by_itself > 2 * BYTES, "{by_itself} bytes");
    });
}

/// The small form of what `benches` measures with a thousand peers.
#[test]
fn peers_that_never_read_hold_no_more_than_their_share() {
    const DEAF: usize = 40;
    const CAP: usize = 2 * 1024 * KIB;
    const CHUNK: usize = 32 * KIB;

    /// Sends a MiB to who asks for it, a chunk at a time; answers other lines.
    async fn sender(connection: Connection) -> io::Result<()> {
        while let Some(line) = read_line(&connection).await? {
            let _request = connection.request_guard();
            if line != b"more\n" {
                connection.write_all(&line).await?;
                continue;
            }
            for _ in 0..1024 * KIB / CHUNK {
                let room = connection.reserve(CHUNK).await?;
                connection.write_all(&vec![7; room.bytes()]).await?;
            }
        }
        Ok(())
    }
    run(async {
        let server = Server::builder().memory_cap(CAP);
        let server = server.serve(ANY_PORT, sender).await.unwrap();
        let mut deaf = Vec::new();
        for _ in 0..DEAF {
            let mut client = client(&server).await;
            client.write_all(b"more\n").await.unwrap();
            deaf.push(client);
        }
        let mut others = Vec::new();
        for _ in 0..10 {
            others.push(client(&server).await);
        }
        let begun = Instant::now();
        let mut reserved_max = 0;
        for _ in 0..50 {
            for client in &mut others {
                ask(client).await;
            }
            reserved_max = reserved_max.max(server.counts().reserved_bytes);
        }
        assert!(begun.elapsed() < Duration::from_secs(10));
        assert!(reserved_max <= DEAF * CHUNK, "{reserved_max}");
        // What they were sent arrives when they listen.
        let mut bytes = vec![0; 1024 * KIB];
        for client in &mut deaf {
            client.read_exact(&mut bytes).await.unwrap();
            assert!(bytes.iter().all(|&byte| byte == 7));
        }
        until(&server, |counts| counts.reserved_bytes == 0).await;
    });
}

/// A server at its cap: the first client's request holds the memory, the second's waits for it. The
/// third client is idle.
async fn at_the_cap(builder: ServerBuilder) -> (ServerHandle, [TcpStream; 3]) {
    let server = builder.memory_cap(100 * KIB);
    let server = server.serve(ANY_PORT, careful).await.unwrap();
    let mut holder = client(&server).await;
    holder.write_all(b"hold\n").await.unwrap();
    holder.read_exact(&mut [0; 5]).await.unwrap();
    let mut waiting = client(&server).await;
    let idle = client(&server).await;
    until(&server, |counts| counts.accepted == 3 && counts.idle == 2).await;
    waiting.write_all(b"ping\n").await.unwrap();
    until(&server, |counts| counts.idle == 1).await;
    (server, [holder, waiting, idle])
}

#[test]
fn request_that_waits_for_memory_is_not_shed() {
    run_on_one(async {
        let builder = Server::builder().max_connections(3, OverloadPolicy::ShedIdle);
        let (server, [mut holder, mut waiting, mut unread]) = at_the_cap(builder).await;
        unread.write_all(b"ping\n").await.unwrap();
        until(&server, |counts| counts.memory_waits == 1).await;
        assert_eq!(server.counts().idle, 0);
        // The loop was accepting before anybody waited for memory.
        let mut fourth = client(&server).await;
        until(&server, |counts| counts.paused + counts.shed == 1).await;
        let counts = server.counts();
        assert_eq!((counts.shed, counts.idle), (0, 0));
        holder.write_all(b"over\n").await.unwrap();
        assert_answered(&mut unread).await;
        assert_answered(&mut waiting).await;
        ask(&mut fourth).await;
        assert_eq!(server.counts().shed, 1);
    });
}

#[test]
fn request_that_waits_for_memory_does_not_run_into_the_idle_timeout() {
    run_paused(async {
        let builder = Server::builder().idle_timeout(2 * WHILE);
        let (server, [mut holder, mut waiting, mut unread]) = at_the_cap(builder).await;
        unread.write_all(b"ping\n").await.unwrap();
        until(&server, |counts| counts.memory_waits == 1).await;
        sleep(5 * WHILE).await;
        assert_eq!(server.counts().idle_timeouts, 0);
        holder.write_all(b"over\n").await.unwrap();
        assert_answered(&mut unread).await;
        assert_answered(&mut waiting).await;
    });
}

#[test]
fn at_the_cap_idle_connections_are_idle_all_the_same() {
    run_on_one(async {
        let (server, [_holder, _waiting, mut idle]) = at_the_cap(Server::builder()).await;
        // The drain lets its read look again, which has no request to wait for memory with.
        let report = server.drain(WHILE).await;
        assert_eq!((report.idle, report.cut), (1, 2), "{report}");
        assert_closed(&mut idle).await;
        assert_eq!(server.counts().memory_waits, 0);
    });
}
