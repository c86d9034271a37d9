//! Connections that are read into buffers of their loop.

use std::io;
use std::time::Duration;

use oneloop_net::server::{Connection, Server};
use oneloop_runtime::buf::BufferPool;
use oneloop_runtime::runtime::Builder;
use oneloop_runtime::task::yield_now;

use crate::support::{ANY_PORT, assert_closed, client, run, run_on, run_paused, until};

async fn echo(connection: Connection) -> io::Result<()> {
    loop {
        let lease = connection.read_lease().await?;
        if lease.is_empty() {
            return Ok(());
        }
        connection.write_all_lease(lease).await?;
    }
}

#[test]
fn bytes_come_back_and_are_counted() {
    run(async {
        let server = Server::builder().serve(ANY_PORT, echo).await.unwrap();
        let mut stream = client(&server).await;
        let sent: Vec<u8> = (0..1_000_000_u32)
            .map(|it| it.to_le_bytes()[it as usize % 3])
            .collect();
        let mut received = vec![0; sent.len()];
        let (mut read, mut write) = stream.split();
        let both =
            futures_lite::future::zip(read.read_exact(&mut received), write.write_all(&sent));
        both.await.0.unwrap();
        assert!(received == sent);
        until(&server, |counts| counts.idle == 1).await;
        let connections = server.connections().await;
        let info = &connections[0];
        assert_eq!((info.bytes_in, info.bytes_out), (1_000_000, 1_000_000));
        drop(stream);
        until(&server, |counts| counts.finished == 1).await;
    });
}

#[test]
fn idle_connection_holds_no_buffer_and_runs_into_its_limit() {
    run_paused(async {
        let server = Server::builder().idle_timeout(Duration::from_secs(5));
        let server = server.serve(ANY_PORT, echo).await.unwrap();
        let mut stream = client(&server).await;
        stream.write_all(b"ping\n").await.unwrap();
        stream.read_exact(&mut [0; 5]).await.unwrap();
        until(&server, |counts| counts.idle == 1).await;
        assert_eq!(BufferPool::current().bytes_out(), 0);
        assert_closed(&mut stream).await;
        assert_eq!(server.counts().idle_timeouts, 1);
    });
}

#[test]
fn connection_that_waits_for_a_buffer_is_not_idle_and_is_answered() {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .buffer_bytes_max(4096)
        .build();
    run_on(&runtime.unwrap(), async {
        let server = Server::builder().serve(ANY_PORT, echo).await.unwrap();
        let mut stream = client(&server).await;
        until(&server, |counts| counts.idle == 1).await;
        let all = BufferPool::current().acquire(4096).await.unwrap();
        stream.write_all(b"ping\n").await.unwrap();
        until(&server, |counts| counts.idle == 0).await;
        for _ in 0..10 {
            yield_now().await;
            assert_eq!(server.counts().idle, 0);
        }
        drop(all);
        crate::support::assert_answered(&mut stream).await;
    });
}
