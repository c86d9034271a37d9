//! Unix sockets and pipes through the public API.

use std::ffi::OsStr;
use std::future::poll_fn;
use std::io::{self, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream as StdStream;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use futures_lite::future::poll_once;
use oneloop_net::unix::pipe;
use oneloop_net::{UnixDatagram, UnixListener, UnixSocket, UnixStream};
use oneloop_runtime::runtime::{Builder, Runtime};
use oneloop_runtime::task;
use oneloop_runtime::time::{sleep, timeout};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix};

fn two_loops() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap()
}

/// A folder of this test alone, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("oneloop-{}-{name}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

async fn echo_once(listener: &UnixListener) {
    let (mut stream, peer) = listener.accept().await.unwrap();
    assert!(peer.is_unnamed());
    let mut buf = [0; 1024];
    while let Ok(count @ 1..) = stream.read(&mut buf).await {
        stream.write_all(&buf[..count]).await.unwrap();
    }
}

#[test]
fn bytes_go_through_by_path_and_by_abstract_name() {
    let folder = Folder::new("names");
    two_loops().block_on(async {
        let abstract_name = format!("\0oneloop-{}", std::process::id());
        for name in [folder.at("socket"), PathBuf::from(abstract_name)] {
            let listener = UnixListener::bind(&name).unwrap();
            let server = task::spawn(async move { echo_once(&listener).await });
            let mut client = UnixStream::connect(&name).await.unwrap();
            let sent = vec![5; 300_000];
            let (mut reader, mut writer) = client.split();
            let write = async {
                writer.write_all(&sent).await.unwrap();
                writer.shutdown().await.unwrap();
            };
            let read = async {
                let mut got = vec![0; sent.len()];
                reader.read_exact(&mut got).await.unwrap();
                assert_eq!(got, sent);
                assert_eq!(reader.read(&mut got).await.unwrap(), 0);
            };
            futures_lite::future::zip(write, read).await;
            server.await.unwrap();
        }
    });
}

#[test]
fn nobody_there_and_a_path_in_use_are_errors() {
    let folder = Folder::new("errors");
    two_loops().block_on(async {
        let path = folder.at("socket");
        let error = UnixStream::connect(&path).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        drop(UnixListener::bind(&path).unwrap());
        let error = UnixStream::connect(&path).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let error = UnixListener::bind(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        let long = "x".repeat(200);
        let error = UnixStream::connect(&long).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    });
}

#[test]
fn a_connect_waits_while_the_queue_is_full() {
    let folder = Folder::new("queue");
    two_loops().block_on(async {
        let path = folder.at("socket");
        let socket = UnixSocket::new_stream().unwrap();
        socket.bind(&path).unwrap();
        let listener = socket.listen(0).unwrap();
        // listen(2): a queue of 0 takes one on Linux.
        let _first = UnixStream::connect(&path).await.unwrap();
        let waiting = task::spawn({
            let path = path.clone();
            async move { UnixStream::connect(&path).await.map(drop) }
        });
        sleep(Duration::from_millis(20)).await;
        assert!(!waiting.is_finished());
        listener.accept().await.unwrap();
        waiting.await.unwrap().unwrap();
    });
}

#[test]
fn the_peers_credentials_are_this_process() {
    two_loops().block_on(async {
        let (one, _other) = UnixStream::pair().unwrap();
        let credentials = one.peer_cred().unwrap();
        assert_eq!(
            credentials.pid(),
            Some(i32::try_from(std::process::id()).unwrap())
        );
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let uid = status.lines().find(|line| line.starts_with("Uid:"));
        assert!(uid.unwrap().contains(&credentials.uid().to_string()));
    });
}

#[test]
fn halves_go_to_two_tasks_and_come_back() {
    two_loops().block_on(async {
        let (one, mut other) = UnixStream::pair().unwrap();
        let (mut reader, mut writer) = one.into_split();
        let writing = task::spawn(async move {
            writer.write_all(b"ping").await.unwrap();
            writer
        });
        let mut buf = [0; 4];
        other.read_exact(&mut buf).await.unwrap();
        other.write_all(&buf).await.unwrap();
        reader.read_exact(&mut buf).await.unwrap();
        let whole = reader.reunite(writing.await.unwrap()).unwrap();
        let (_reader, writer) = whole.into_split();
        drop(writer);
        assert_eq!(other.read(&mut buf).await.unwrap(), 0);
    });
}

#[test]
fn a_short_read_is_not_taken_for_the_end_of_what_is_there() {
    two_loops().block_on(async {
        let (mut one, other) = UnixStream::pair().unwrap();
        // A message with a descriptor ends the read that meets it (unix(7)).
        let mut sender = other.into_std().unwrap();
        send_with_descriptor(&sender, b"first");
        sender.write_all(b"second").unwrap();
        let mut got = Vec::new();
        let mut buf = [0; 64];
        while got.len() < 11 {
            let read = timeout(Duration::from_secs(5), one.read(&mut buf));
            let count = read.await.expect("bytes were left behind").unwrap();
            got.extend_from_slice(&buf[..count]);
        }
        assert_eq!(got, b"firstsecond");
    });
}

fn send_with_descriptor(sender: &StdStream, bytes: &[u8]) {
    let descriptors = [sender.as_fd()];
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut room);
    assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
    let bytes = [IoSlice::new(bytes)];
    rustix::net::sendmsg(sender, &bytes, &mut control, SendFlags::empty()).unwrap();
}

#[test]
fn a_peer_with_the_longest_path_is_one_without_a_name() {
    let folder = Folder::new("longest");
    two_loops().block_on(async {
        // It fills the kernel's field and leaves no room for a NUL.
        let length = 108 - folder.at("").as_os_str().len();
        let longest = SocketAddrUnix::new(folder.at(&"x".repeat(length))).unwrap();
        let (named, path) = (folder.at("named"), folder.at("socket"));
        let listener = UnixListener::bind(&path).unwrap();
        let client = UnixSocket::new_stream().unwrap();
        rustix::net::bind(&client, &longest).unwrap();
        let _client = client.connect(&path).await.unwrap();
        assert!(listener.accept().await.unwrap().1.is_unnamed());

        std::fs::remove_file(OsStr::from_bytes(longest.path_bytes().unwrap())).unwrap();
        let receiver = UnixDatagram::bind(&named).unwrap();
        let sender = UnixSocket::new_datagram().unwrap();
        rustix::net::bind(&sender, &longest).unwrap();
        let sender = sender.datagram().unwrap();
        sender.send_to(b"hello", &named).await.unwrap();
        let (count, from) = receiver.recv_from(&mut [0; 8]).await.unwrap();
        assert_eq!((count, from.is_unnamed()), (5, true));
    });
}

#[test]
fn datagrams_wait_for_a_full_queue_even_if_others_filled_it() {
    let folder = Folder::new("full");
    two_loops().block_on(async {
        let path = folder.at("receiver");
        let receiver = UnixDatagram::bind(&path).unwrap();
        let filler = UnixDatagram::unbound().unwrap();
        let mut filled = 0;
        while filler.try_send_to(b"fill", &path).is_ok() {
            filled += 1;
        }
        let late = UnixDatagram::unbound().unwrap();
        let sending = task::spawn(async move { late.send_to(b"late", &path).await });
        sleep(Duration::from_millis(20)).await;
        let mut buf = [0; 16];
        for _ in 0..filled {
            receiver.recv(&mut buf).await.unwrap();
        }
        let read = timeout(Duration::from_secs(5), receiver.recv_from(&mut buf));
        let (count, from) = read.await.expect("the sender sleeps on").unwrap();
        assert_eq!(&buf[..count], b"late");
        assert!(from.is_unnamed());
        assert_eq!(sending.await.unwrap().unwrap(), 4);
    });
}

#[test]
fn datagram_sockets_connect_and_answer_by_name() {
    let folder = Folder::new("names-of-datagrams");
    two_loops().block_on(async {
        let (client_path, server_path) = (folder.at("client"), folder.at("server"));
        let server = UnixDatagram::bind(&server_path).unwrap();
        let client = UnixDatagram::bind(&client_path).unwrap();
        client.connect(&server_path).unwrap();
        client.send(b"ping").await.unwrap();
        let mut buf = [0; 16];
        let (count, from) = server.recv_from(&mut buf).await.unwrap();
        assert_eq!(from.as_pathname(), Some(client_path.as_path()));
        server
            .send_to(&buf[..count], from.as_pathname().unwrap())
            .await
            .unwrap();
        assert_eq!(client.recv(&mut buf).await.unwrap(), 4);
        let error = UnixSocket::new_datagram().unwrap().listen(1).unwrap_err();
        assert!(error.to_string().contains("datagram"), "{error}");
    });
}

#[test]
fn a_pipe_carries_bytes_its_end_and_its_breaking() {
    two_loops().block_on(async {
        let (mut sender, mut receiver) = pipe::pipe().unwrap();
        let writing = task::spawn(async move {
            let bytes = vec![9; 200_000];
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let count = sender.write(rest).await.unwrap();
                rest = &rest[count..];
            }
        });
        let mut total = 0;
        let mut buf = [0; 4096];
        while let count @ 1.. = receiver.read(&mut buf).await.unwrap() {
            total += count;
        }
        assert_eq!(total, 200_000);
        writing.await.unwrap();

        let (sender, receiver) = pipe::pipe().unwrap();
        drop(receiver);
        let error = poll_fn(|cx| sender.poll_write(cx, b"x")).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    });
}

#[test]
fn who_waits_for_room_in_a_full_pipe_is_told_that_it_broke() {
    two_loops().block_on(async {
        let (sender, receiver) = pipe::pipe().unwrap();
        while sender.try_write(&[0; 4096]).is_ok() {}
        let mut writable = pin!(sender.writable());
        assert!(poll_once(writable.as_mut()).await.is_none());
        drop(receiver);
        let waited = timeout(Duration::from_secs(5), writable).await;
        waited.expect("the sender sleeps on").unwrap();
        let error = sender.try_write(b"x").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    });
}

#[test]
fn what_is_no_pipe_is_refused() {
    two_loops().block_on(async {
        let file = std::fs::File::open("/proc/self/status").unwrap();
        let error = pipe::Receiver::from_file(file).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let (mut reader, writer) = io::pipe().unwrap();
        let error = pipe::Receiver::from_owned_fd(writer.into()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        // The writer was dropped: the end of input.
        assert_eq!(reader.read(&mut [0; 1]).unwrap(), 0);
    });
}
