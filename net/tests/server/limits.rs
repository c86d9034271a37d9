//! Time limits: never early, and only where they belong. Where the clock jumps, the machine's pace
//! has no part in it.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use oneloop_net::server::{Connection, Server, ServerHandle};
use oneloop_runtime::task::spawn_local;
use oneloop_runtime::time::{Instant, sleep, timeout};

use crate::support::{
    ANY_PORT, ask, assert_closed, client, echo_lines, is_closed, loops, run, run_on, run_paused,
    until,
};

const LIMIT: Duration = Duration::from_millis(200);

/// Not before it, and by the next look after it.
fn is_about_the_limit(time: Duration) -> bool {
    (LIMIT..LIMIT + LIMIT / 10).contains(&time)
}

async fn with_idle_timeout() -> ServerHandle {
    let server = Server::builder().idle_timeout(LIMIT);
    server.serve(ANY_PORT, echo_lines).await.unwrap()
}

#[test]
fn idle_connection_is_closed_after_the_limit_and_not_before() {
    run_paused(async {
        let server = with_idle_timeout().await;
        let mut client = client(&server).await;
        for _ in 0..4 {
            sleep(LIMIT / 3).await;
            ask(&mut client).await;
        }
        let last = Instant::now();
        assert_closed(&mut client).await;
        let idle = last.elapsed();
        assert!(is_about_the_limit(idle), "{idle:?}");
        assert_eq!(server.counts().idle_timeouts, 1);
        until(&server, |counts| counts.connections == 0).await;
    });
}

#[test]
fn client_that_never_speaks_is_closed() {
    run_paused(async {
        let server = with_idle_timeout().await;
        let begun = Instant::now();
        assert_closed(&mut client(&server).await).await;
        assert!(is_about_the_limit(begun.elapsed()), "{:?}", begun.elapsed());
    });
}

#[test]
fn busy_connection_is_not_idle_however_long_it_takes() {
    async fn slow(connection: Connection) -> io::Result<()> {
        let mut line = [0; 5];
        loop {
            connection.read_exact(&mut line).await?;
            sleep(3 * LIMIT).await;
            connection.write_all(&line).await?;
        }
    }
    run_paused(async {
        let server = Server::builder().idle_timeout(LIMIT);
        let server = server.serve(ANY_PORT, slow).await.unwrap();
        let mut client = client(&server).await;
        ask(&mut client).await;
        // And after it the full limit again.
        sleep(LIMIT / 2).await;
        assert!(!is_closed(&client));
        ask(&mut client).await;
        // Half a request keeps it busy, too.
        client.write_all(b"pi").await.unwrap();
        sleep(3 * LIMIT).await;
        assert!(!is_closed(&client));
        assert_eq!(server.counts().idle_timeouts, 0);
    });
}

#[test]
fn handler_that_only_writes_is_not_idle() {
    async fn ticks(connection: Connection) -> io::Result<()> {
        for _ in 0..6 {
            sleep(LIMIT / 2).await;
            connection.write_all(b"tick\n").await?;
        }
        Ok(())
    }
    run_paused(async {
        let server = Server::builder().idle_timeout(LIMIT);
        let server = server.serve(ANY_PORT, ticks).await.unwrap();
        let mut client = client(&server).await;
        client.read_exact(&mut [0; 30]).await.unwrap();
        assert_eq!(server.counts().idle_timeouts, 0);
    });
}

#[test]
fn read_that_is_given_up_and_begun_again_stays_idle() {
    async fn patient(connection: Connection) -> io::Result<()> {
        let mut buf = [0; 16];
        loop {
            // Looks up ten times in a limit, as a handler with a ticker does.
            match timeout(LIMIT / 10, connection.read(&mut buf)).await {
                Ok(Ok(0)) => return Ok(()),
                Ok(outcome) => drop(outcome?),
                Err(_) => {}
            }
        }
    }
    run_paused(async {
        let server = Server::builder().idle_timeout(LIMIT);
        let server = server.serve(ANY_PORT, patient).await.unwrap();
        let begun = Instant::now();
        assert_closed(&mut client(&server).await).await;
        assert!(is_about_the_limit(begun.elapsed()), "{:?}", begun.elapsed());
        assert_eq!(server.counts().idle_timeouts, 1);
    });
}

/// Reads a line without marking it as a request, and says what became of it.
async fn unmarked(connection: Connection) -> io::Result<()> {
    let mut byte = [0];
    let outcome = loop {
        match connection.read(&mut byte).await {
            Ok(0) => return Ok(()),
            Ok(_) if byte == *b"\n" => connection.write_all(b"done\n").await?,
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(outcome.kind(), io::ErrorKind::TimedOut);
    connection.write_all(b"slow\n").await
}

/// As [`unmarked`], for a handler that marks its requests.
async fn marked(connection: Connection) -> io::Result<()> {
    match echo_lines_on(&connection).await {
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            connection.write_all(b"slow\n").await
        }
        outcome => outcome,
    }
}

async fn echo_lines_on(connection: &Connection) -> io::Result<()> {
    while let Some(line) = crate::support::read_line(connection).await? {
        connection.write_all(&line).await?;
    }
    Ok(())
}

#[test]
fn steady_drip_of_bytes_does_not_extend_a_request() {
    async fn drip(server: ServerHandle) {
        let mut client = client(&server).await;
        // Longer than the limit before the first byte: nothing has begun.
        sleep(LIMIT * 2).await;
        let begun = Instant::now();
        let mut answer = [0; 5];
        loop {
            client.write_all(b"x").await.unwrap();
            let read = client.read_exact(&mut answer);
            if timeout(LIMIT / 10, read).await.is_ok() {
                break;
            }
        }
        assert_eq!(&answer, b"slow\n");
        let taken = begun.elapsed();
        assert!(is_about_the_limit(taken), "{taken:?}");
        assert_eq!(server.counts().read_timeouts, 1);
        assert_closed(&mut client).await;
    }
    let builder = || Server::builder().read_timeout(LIMIT);
    run_paused(async {
        drip(builder().serve(ANY_PORT, unmarked).await.unwrap()).await;
        drip(builder().serve(ANY_PORT, marked).await.unwrap()).await;
        // The limit begins in another task than the one that watches over it.
        let apart = |connection| async { spawn_local(marked(connection)).await.unwrap() };
        drip(builder().serve(ANY_PORT, apart).await.unwrap()).await;
    });
}

#[test]
fn requests_that_arrive_in_time_have_the_full_limit_each() {
    run_paused(async {
        let server = Server::builder().read_timeout(LIMIT);
        let server = server.serve(ANY_PORT, unmarked).await.unwrap();
        let mut client = client(&server).await;
        let mut answer = [0; 5];
        for _ in 0..6 {
            client.write_all(b"xx").await.unwrap();
            sleep(LIMIT / 2).await;
            client.write_all(b"x\n").await.unwrap();
            client.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"done\n");
        }
        assert_eq!(server.counts().read_timeouts, 0);
    });
}

#[test]
fn limits_of_nothing_do_not_keep_a_loop_busy() {
    async fn busy(connection: Connection) -> io::Result<()> {
        let _request = connection.request_guard();
        sleep(10 * LIMIT).await;
        connection.write_all(b"x").await
    }
    let runtime = loops(1);
    run_on(&runtime, async {
        let builder = Server::builder().idle_timeout(Duration::ZERO);
        let builder = builder.read_timeout(Duration::ZERO);
        let server = builder.serve(ANY_PORT, busy).await.unwrap();
        let busy = client(&server).await;
        until(&server, |counts| counts.connections == 1).await;
        let polls = || runtime.metrics().loops()[0].polls;
        let before = polls();
        sleep(Duration::from_millis(200)).await;
        let more = polls() - before;
        assert!(more < 2000, "{more} polls");
        drop(busy);
    });
}

#[test]
fn time_that_a_handler_takes_itself_is_not_its_peers() {
    async fn slow_starter(connection: Connection) -> io::Result<()> {
        let mut byte = [0];
        connection.read_exact(&mut byte).await?;
        sleep(2 * LIMIT).await;
        connection.read_exact(&mut byte).await?;
        connection.write_all(&byte).await
    }
    run_paused(async {
        let server = Server::builder().read_timeout(LIMIT);
        let server = server.serve(ANY_PORT, slow_starter).await.unwrap();
        let mut client = client(&server).await;
        client.write_all(b"x").await.unwrap();
        sleep(2 * LIMIT + LIMIT / 2).await;
        client.write_all(b"y").await.unwrap();
        let mut answer = [0];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"y");
        assert_eq!(server.counts().read_timeouts, 0);
    });
}

#[test]
fn peer_that_takes_nothing_ends_in_a_write_timeout() {
    // The kernel's clock has a part in this one: its windows open when it likes.
    const LIMIT: Duration = Duration::from_secs(1);
    async fn flood(connection: Connection) -> io::Result<()> {
        let block = vec![0; 256 * 1024];
        loop {
            connection.write_all(&block).await?;
        }
    }
    run(async {
        let server = Server::builder().write_timeout(LIMIT);
        let server = server.serve(ANY_PORT, flood).await.unwrap();
        let deaf = client(&server).await;
        let mut slow = client(&server).await;
        // One that takes a little now and then is no case for the limit.
        let mut buf = vec![0; 512 * 1024];
        let begun = Instant::now();
        while begun.elapsed() < 2 * LIMIT {
            sleep(LIMIT / 20).await;
            slow.read_exact(&mut buf).await.unwrap();
        }
        let counts = until(&server, |counts| counts.failed > 0).await;
        assert_eq!((counts.write_timeouts, counts.failed), (1, 1));
        drop((deaf, slow));
    });
}

/// A file of so many bytes, which has no name any more.
fn nameless_file(bytes: &[u8]) -> File {
    let name = format!("oneloop-server-{}-{}", std::process::id(), bytes.len());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, bytes).unwrap();
    let file = File::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    file
}

#[test]
fn file_that_is_sent_is_counted() {
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    let file = Arc::new(nameless_file(&bytes));
    let length = bytes.len() as u64;
    run(async move {
        let handler = move |connection: Connection| {
            let file = Arc::clone(&file);
            async move {
                let sent = connection.send_file(&*file, 1, length - 1).await?;
                assert_eq!(sent, length - 1);
                // Beyond the end there is nothing to send.
                let error = connection.send_file(&*file, length, 1).await.unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
                connection.read(&mut [0]).await
            }
        };
        let handler = move |connection| {
            let served = handler(connection);
            async move { served.await.map(drop) }
        };
        let server = Server::builder().serve(ANY_PORT, handler).await.unwrap();
        let mut client = client(&server).await;
        let mut received = vec![0; bytes.len() - 1];
        client.read_exact(&mut received).await.unwrap();
        assert!(received == bytes[1..], "other bytes have come");
        until(&server, |counts| counts.idle == 1).await;
        assert_eq!(server.connections().await[0].bytes_out, length - 1);
        drop(client);
        until(&server, |counts| counts.finished == 1).await;
    });
}

#[test]
fn peer_that_takes_no_file_ends_in_a_write_timeout() {
    let file = Arc::new(nameless_file(&vec![0; 64 * 1024 * 1024]));
    run(async move {
        let handler = move |connection: Connection| {
            let file = Arc::clone(&file);
            async move {
                connection
                    .send_file(&*file, 0, 64 * 1024 * 1024)
                    .await
                    .map(drop)
            }
        };
        let server = Server::builder().write_timeout(LIMIT);
        let server = server.serve(ANY_PORT, handler).await.unwrap();
        let deaf = client(&server).await;
        let counts = until(&server, |counts| counts.failed > 0).await;
        assert_eq!((counts.write_timeouts, counts.failed), (1, 1));
        drop(deaf);
    });
}

#[test]
fn limits_wake_no_loop_while_nothing_is_under_way() {
    const CLIENTS: u64 = 50;
    const SHORT: Duration = Duration::from_millis(20);

    let runtime = loops(1);
    run_on(&runtime, async {
        let server = Server::builder().read_timeout(SHORT).write_timeout(SHORT);
        let server = server.serve(ANY_PORT, echo_lines).await.unwrap();
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            let mut client = client(&server).await;
            ask(&mut client).await;
            clients.push(client);
        }
        until(&server, |counts| counts.idle == CLIENTS).await;
        // The last limits that were armed pass.
        sleep(5 * SHORT).await;
        let parks = || -> u64 { runtime.metrics().loops().iter().map(|it| it.parks).sum() };
        let before = parks();
        sleep(25 * SHORT).await;
        let more = parks() - before;
        assert!(more < 10, "{more} parks of idle loops");
    });
}
