//! Listeners that go from one process to the next.

use std::env;
use std::io::{self, IoSlice, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use oneloop_net::server::{
    LISTENERS_MAX, Server, inherited_listeners, receive_listeners, send_listeners,
};
use oneloop_net::{UnixListener, UnixStream};
use oneloop_runtime::time::sleep;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::{
    ANY_PORT, DEADLINE, Watchdog, client, echo_lines, in_own_process, own_address, run,
};

/// Where the predecessor waits for its successor.
const SOCKET: &str = "ONELOOP_TEST_HANDOVER_SOCKET";

/// A test of this binary as a process of its own.
fn process(name: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([name, "--exact", "--nocapture", "--test-threads=1"]);
    command
}

/// One connection, one request, one answer.
fn ask_once(address: SocketAddr) -> io::Result<()> {
    let mut client = net::TcpStream::connect(address)?;
    client.set_read_timeout(Some(DEADLINE))?;
    client.write_all(b"ping\n")?;
    client.read_exact(&mut [0; 5])
}

#[test]
fn successor_takes_over_and_no_client_is_refused() {
    let name = format!("\0oneloop-test-handover-{}", std::process::id());
    run(async {
        let server = Server::builder()
            .first_request_grace(Duration::from_secs(5))
            .serve(ANY_PORT, echo_lines)
            .await
            .unwrap();
        let address = server.local_addr();
        let is_over = Arc::new(AtomicBool::new(false));
        let asked = Arc::new(AtomicU64::new(0));
        let clients: Vec<_> = (0..3)
            .map(|_| {
                let (is_over, asked) = (Arc::clone(&is_over), Arc::clone(&asked));
                thread::spawn(move || -> io::Result<()> {
                    while !is_over.load(Relaxed) {
                        ask_once(address)?;
                        asked.fetch_add(1, Relaxed);
                    }
                    Ok(())
                })
            })
            .collect();
        let waiting = UnixListener::bind(&name).unwrap();
        let mut successor = process("handover::successor")
            .env(SOCKET, &name[1..])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let (mut stream, _) = waiting.accept().await.unwrap();
        send_listeners(&stream, &server.listeners().unwrap())
            .await
            .unwrap();
        stream.read_exact(&mut [0]).await.unwrap();

        let report = server.drain(Duration::from_secs(10)).await;
        assert!(report.is_clean(), "{report}");
        let until_then = asked.load(Relaxed);
        while asked.load(Relaxed) < until_then + 100 {
            assert!(
                clients.iter().all(|it| !it.is_finished()),
                "a client failed"
            );
            sleep(Duration::from_millis(1)).await;
        }
        is_over.store(true, Relaxed);
        for client in clients {
            client.join().unwrap().unwrap();
        }
        stream.shutdown().await.unwrap();
        let mut served = [0; 8];
        stream.read_exact(&mut served).await.unwrap();
        assert!(u64::from_le_bytes(served) >= 100);
        assert!(successor.wait().unwrap().success());
    });
}

/// The other process of the test above; alone it does nothing.
#[test]
fn successor() {
    let Ok(name) = env::var(SOCKET) else {
        return;
    };
    run(async {
        let mut stream = UnixStream::connect(format!("\0{name}")).await.unwrap();
        let listeners = receive_listeners(&stream).await.unwrap();
        assert_eq!(listeners.len(), 1);
        let server = Server::builder()
            .serve_listeners(listeners, echo_lines)
            .unwrap();
        stream.write_all(b"r").await.unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        let accepted = server.counts().accepted;
        stream.write_all(&accepted.to_le_bytes()).await.unwrap();
    });
}

#[test]
fn service_manager_passes_a_listener() {
    let _watchdog = Watchdog::new();
    let listener = net::TcpListener::bind(ANY_PORT).unwrap();
    let address = listener.local_addr().unwrap();
    // The shell does what systemd does: descriptor 3, and variables that name the process.
    let script = "LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\" 3<&0 0</dev/null";
    let mut service = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(env::current_exe().unwrap())
        .args([
            "handover::service",
            "--exact",
            "--nocapture",
            "--test-threads=1",
        ])
        .stdin(Stdio::from(OwnedFd::from(listener)))
        .spawn()
        .unwrap();
    for _ in 0..3 {
        ask_once(address).unwrap();
    }
    assert!(service.wait().unwrap().success());
}

/// The service of the test above; alone it checks that nothing is inherited.
#[test]
fn service() {
    let listeners = inherited_listeners().unwrap();
    if env::var_os("LISTEN_FDS").is_none() {
        return assert!(listeners.is_empty());
    }
    assert_eq!(listeners.len(), 1);
    assert!(inherited_listeners().unwrap().is_empty(), "taken twice");
    let flags = rustix::io::fcntl_getfd(&listeners[0]).unwrap();
    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    run(async {
        // One listener, two loops.
        let server = Server::builder()
            .serve_listeners(listeners, echo_lines)
            .unwrap();
        crate::support::until(&server, |counts| counts.finished == 3).await;
        let report = server.drain(Duration::ZERO).await;
        assert_eq!((report.idle, report.finished, report.cut), (0, 0, 0));
    });
}

#[test]
fn variables_that_are_wrong_are_errors() {
    let _watchdog = Watchdog::new();
    for (count, expected) in [("x", 1), ("251", 1), ("1", 1), ("0", 0)] {
        // Descriptor 3 is a pipe here, which listens to nobody.
        let script = "LISTEN_FDS=\"$1\" LISTEN_PID=$$; export LISTEN_FDS LISTEN_PID; shift; \
                      exec \"$@\" 3<&0";
        let outcome = Command::new("sh")
            .args(["-c", script, "sh", count])
            .arg(env::current_exe().unwrap())
            .args([
                "handover::wrong",
                "--exact",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(WRONG, expected.to_string())
            .stdin(Stdio::piped())
            .output()
            .unwrap();
        assert!(
            outcome.status.success(),
            "{count}: {}",
            String::from_utf8_lossy(&outcome.stderr)
        );
    }
}

const WRONG: &str = "ONELOOP_TEST_WRONG_LISTEN_FDS";

/// The other process of the test above; alone it does nothing.
#[test]
fn wrong() {
    let Ok(expected) = env::var(WRONG) else {
        return;
    };
    match inherited_listeners() {
        Ok(listeners) => assert!(expected == "0" && listeners.is_empty()),
        Err(error) => {
            assert_eq!(expected, "1");
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
        }
    }
}

#[test]
fn variables_that_are_stale_close_nothing() {
    let _watchdog = Watchdog::new();
    // Of the four, 4 is not open, and 6 is the only listener.
    let script = "LISTEN_FDS=4 LISTEN_PID=$$ exec \"$@\" 3</dev/null 4<&- 5</dev/null 6<&0";
    let listener = net::TcpListener::bind(ANY_PORT).unwrap();
    let outcome = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(env::current_exe().unwrap())
        .args([
            "handover::stale",
            "--exact",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(STALE, "1")
        .stdin(Stdio::from(OwnedFd::from(listener)))
        .output()
        .unwrap();
    let problem = String::from_utf8_lossy(&outcome.stderr);
    assert!(outcome.status.success(), "{problem}");
}

const STALE: &str = "ONELOOP_TEST_STALE_LISTEN_FDS";

/// The other process of the test above; alone it does nothing.
#[test]
fn stale() {
    /// The flags of a descriptor, if it is open.
    fn flags(number: usize) -> Option<u32> {
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")).ok()?;
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        Some(u32::from_str_radix(flags?.trim(), 8).unwrap())
    }
    if env::var_os(STALE).is_none() {
        return;
    }
    assert_eq!(flags(4), None);
    let error = inherited_listeners().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
    let close_on_exec = rustix::fs::OFlags::CLOEXEC.bits();
    for number in [3, 5, 6] {
        let flags = flags(number).unwrap_or_else(|| panic!("{number} was closed"));
        assert_ne!(flags & close_on_exec, 0, "{number} is passed on");
    }
    assert!(inherited_listeners().unwrap().is_empty());
}

#[test]
fn listeners_arrive_as_they_were() {
    run(async {
        let (near, far) = UnixStream::pair().unwrap();
        let listeners: Vec<_> = (0..LISTENERS_MAX / 10)
            .map(|_| net::TcpListener::bind(ANY_PORT).unwrap())
            .collect();
        send_listeners(&near, &listeners).await.unwrap();
        let received = receive_listeners(&far).await.unwrap();
        let address = |it: &net::TcpListener| it.local_addr().unwrap();
        assert!(
            received
                .iter()
                .map(address)
                .eq(listeners.iter().map(address))
        );
        for listener in &received {
            let flags = rustix::io::fcntl_getfd(listener).unwrap();
            assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        }
        let none: [net::TcpListener; 0] = [];
        let error = send_listeners(&near, &none).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let many = vec![&listeners[0]; LISTENERS_MAX + 1];
        let error = send_listeners(&near, &many).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    });
}

#[test]
fn malformed_messages_are_errors_and_leak_nothing() {
    in_own_process(
        "handover::malformed_messages_are_errors_and_leak_nothing",
        || {
            /// Sends bytes together with descriptors.
            fn send(stream: &UnixStream, bytes: &[u8], descriptors: &[&dyn AsFd]) {
                let descriptors: Vec<_> = descriptors.iter().map(|it| it.as_fd()).collect();
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
                let mut control = SendAncillaryBuffer::new(&mut space);
                if !descriptors.is_empty() {
                    assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
                }
                let slices = [IoSlice::new(bytes)];
                rustix::net::sendmsg(stream, &slices, &mut control, SendFlags::empty()).unwrap();
            }
            async fn received(bytes: &[u8], descriptors: &[&dyn AsFd]) -> io::ErrorKind {
                let (near, far) = UnixStream::pair().unwrap();
                send(&near, bytes, descriptors);
                drop(near);
                receive_listeners(&far).await.unwrap_err().kind()
            }
            run(async {
                let listener = net::TcpListener::bind(own_address()).unwrap();
                let address = listener.local_addr().unwrap();
                let stream = net::TcpStream::connect(address).unwrap();
                let one = b"oneloop-listen\x01\0";
                let invalid = io::ErrorKind::InvalidData;
                assert_eq!(received(one, &[]).await, invalid);
                assert_eq!(received(one, &[&listener, &listener]).await, invalid);
                assert_eq!(
                    received(b"another-format\x01\0", &[&listener]).await,
                    invalid
                );
                assert_eq!(received(b"oneloop-listen\0\0", &[]).await, invalid);
                assert_eq!(received(one, &[&stream]).await, invalid);
                assert_eq!(received(one, &[&io::stderr()]).await, invalid);
                // More than the limit, up to what the kernel passes, whatever number is announced: the
                // control message is cut off, or has a little room to spare.
                for count in LISTENERS_MAX + 1..=253 {
                    let many: Vec<&dyn AsFd> = vec![&listener; count];
                    for announced in LISTENERS_MAX..=count {
                        let mut header = *one;
                        header[14] = u8::try_from(announced).unwrap();
                        assert_eq!(received(&header, &many).await, invalid);
                    }
                }
                let eof = io::ErrorKind::UnexpectedEof;
                assert_eq!(received(&one[..7], &[&listener]).await, eof);
                assert_eq!(received(&[], &[]).await, eof);
                // If a copy had been kept, the port would still be open.
                drop((listener, stream));
                let refused = net::TcpStream::connect(address).unwrap_err();
                assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
            });
        },
    );
}

#[test]
fn message_that_is_cut_off_is_an_error() {
    in_own_process("handover::message_that_is_cut_off_is_an_error", || {
        run(async {
            let (near, far) = UnixStream::pair().unwrap();
            let listener = net::TcpListener::bind(ANY_PORT).unwrap();
            // One is announced, two are sent, and the table has room for one.
            let rights = [listener.as_fd(), listener.as_fd()];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            assert!(control.push(SendAncillaryMessage::ScmRights(&rights)));
            let slices = [IoSlice::new(b"oneloop-listen\x01\0")];
            rustix::net::sendmsg(&near, &slices, &mut control, SendFlags::empty()).unwrap();
            let next = listener.try_clone().unwrap().as_raw_fd();
            let limit = getrlimit(Resource::Nofile);
            let room_for_one = Rlimit {
                current: Some(u64::try_from(next).unwrap() + 1),
                ..limit
            };
            setrlimit(Resource::Nofile, room_for_one).unwrap();
            let error = receive_listeners(&far).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            // The one that came is closed again.
            assert_eq!(listener.try_clone().unwrap().as_raw_fd(), next);
            setrlimit(Resource::Nofile, limit).unwrap();
        });
    });
}

#[test]
fn server_needs_a_listener() {
    run(async {
        let none = Server::builder().serve_listeners(Vec::new(), echo_lines);
        assert_eq!(none.unwrap_err().kind(), io::ErrorKind::InvalidInput);
        // More listeners than loops: all are served.
        let listeners: Vec<_> = (0..5)
            .map(|_| net::TcpListener::bind(ANY_PORT).unwrap())
            .collect();
        let addresses: Vec<_> = listeners
            .iter()
            .map(|it| it.local_addr().unwrap())
            .collect();
        let server = Server::builder()
            .serve_listeners(listeners, echo_lines)
            .unwrap();
        drop(client(&server).await);
        for address in addresses {
            let mut client = oneloop_net::TcpStream::connect(address).await.unwrap();
            crate::support::ask(&mut client).await;
        }
    });
}
