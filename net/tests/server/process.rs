//! What concerns the process: signals, descriptors; and the traits of futures-io.

use std::fs::File;
use std::io::Read;
use std::net;
use std::os::fd::AsRawFd;
use std::time::Duration;

use oneloop_net::TcpStream;
use oneloop_net::server::{Server, shutdown_signal};
use oneloop_runtime::signal::unix::SignalKind;
use rustix::process::{Resource, Rlimit, Signal, getpid, getrlimit, kill_process, setrlimit};
use socket2::{Domain, Socket, Type};

use crate::support::{ANY_PORT, ask, client, echo_lines, in_own_process, run, run_on_one, until};

#[test]
fn shutdown_signal_hears_term_and_int() {
    in_own_process("process::shutdown_signal_hears_term_and_int", || {
        run(async {
            for (signal, kind) in [
                (Signal::TERM, SignalKind::terminate()),
                (Signal::INT, SignalKind::interrupt()),
            ] {
                // Sent before the first poll: the call itself listens.
                let told = shutdown_signal();
                kill_process(getpid(), signal).unwrap();
                assert_eq!(told.await.unwrap(), kind);
            }
        });
    });
}

#[test]
fn full_descriptor_table_is_survived_and_counted() {
    in_own_process(
        "process::full_descriptor_table_is_survived_and_counted",
        || {
            run(async {
                let server = Server::builder().serve(ANY_PORT, echo_lines).await.unwrap();
                let mut first = client(&server).await;
                ask(&mut first).await;
                // The client's socket while there is room for it, its connection when there is none.
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
                let limit = getrlimit(Resource::Nofile);
                let full = Rlimit {
                    current: Some(3),
                    ..limit
                };
                setrlimit(Resource::Nofile, full).unwrap();
                socket.connect(&server.local_addr().into()).unwrap();
                until(&server, |counts| counts.accept_errors >= 3).await;
                // Those that are there are served.
                ask(&mut first).await;
                setrlimit(Resource::Nofile, limit).unwrap();
                let errors = server.counts().accept_errors;
                assert!((1..=100).contains(&errors), "{errors}");
                let mut late = TcpStream::from_std(socket.into()).unwrap();
                ask(&mut late).await;
                // Also after its listeners are gone.
                server.drain(Duration::from_secs(5)).await;
                assert!(server.counts().accept_errors >= errors);
            });
        },
    );
}

#[test]
fn drain_takes_its_queue_with_the_descriptors_that_it_frees() {
    in_own_process(
        "process::drain_takes_its_queue_with_the_descriptors_that_it_frees",
        || {
            run_on_one(async {
                let server = Server::builder().serve(ANY_PORT, echo_lines).await.unwrap();
                let mut idle = client(&server).await;
                ask(&mut idle).await;
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
                let next = File::open("/dev/null").unwrap().as_raw_fd();
                let full = Rlimit {
                    current: Some(next.try_into().unwrap()),
                    ..getrlimit(Resource::Nofile)
                };
                setrlimit(Resource::Nofile, full).unwrap();
                socket.connect(&server.local_addr().into()).unwrap();
                socket.send(b"ping\n").unwrap();
                until(&server, |counts| counts.accept_errors >= 1).await;
                // The idle connection is closed, which makes room for the other.
                let report = server.drain(Duration::from_secs(20)).await;
                assert_eq!((report.idle, report.finished), (1, 1), "{report}");
                let mut answer = [0; 5];
                net::TcpStream::from(socket)
                    .read_exact(&mut answer)
                    .unwrap();
                assert_eq!(&answer, b"ping\n");
            });
        },
    );
}

#[cfg(feature = "futures-io")]
#[test]
fn connection_has_the_traits_of_futures_io() {
    use futures_lite::io::{AsyncBufReadExt as _, BufReader};
    use oneloop_net::server::Connection;

    use crate::support::assert_answered;

    async fn lines(connection: Connection) -> std::io::Result<()> {
        let mut reader = BufReader::new(&connection);
        let mut writer = &connection;
        let mut line = String::new();
        while reader.read_line(&mut line).await? > 0 {
            let _request = connection.request_guard();
            futures_lite::AsyncWriteExt::write_all(&mut writer, line.as_bytes()).await?;
            line.clear();
        }
        Ok(())
    }
    run(async {
        let server = Server::builder().serve(ANY_PORT, lines).await.unwrap();
        let mut first = client(&server).await;
        for _ in 0..3 {
            ask(&mut first).await;
        }
        let counts = until(&server, |counts| counts.idle == 1).await;
        assert_eq!(counts.accepted, 1);
        first.write_all(b"pi").await.unwrap();
        first.write_all(b"ng\n").await.unwrap();
        assert_answered(&mut first).await;
        let report = server.drain(Duration::from_secs(5)).await;
        assert_eq!(report.cut, 0);
    });
}
