//! Buffers in arenas of huge pages: where they lie, when an arena is given back, and the heap where
//! the system refuses one.

#![cfg(any(target_os = "linux", target_os = "android"))]

use std::fs;
use std::ops::Range;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use oneloop::buf::{BufferPool, Lease};
use oneloop::net::{TcpListener, TcpStream};
use oneloop::runtime::{Builder, Runtime};
use oneloop::task;
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::support::within_deadline;

const KIB: usize = 1024;
const ARENA_BYTES: usize = 2048 * KIB;

/// One test at a time: an address that was unmapped is where the next arena of another test may be.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn with_huge_pages() -> Runtime {
    Builder::new_current_thread()
        .buffer_huge_pages(true)
        .build()
        .unwrap()
}

fn take(bytes: usize) -> Lease {
    BufferPool::current().try_acquire(bytes).unwrap()
}

fn arena_of(lease: &Lease) -> usize {
    lease.as_ptr().addr() & !(ARENA_BYTES - 1)
}

/// The mappings of this process that were advised to have huge pages.
fn advised_ranges() -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut last = 0..0;
    for line in fs::read_to_string("/proc/self/smaps").unwrap().lines() {
        let number = |text: &str| usize::from_str_radix(text, 16).ok();
        let range = line.split(' ').next().and_then(|it| it.split_once('-'));
        if let Some((Some(start), Some(end))) = range.map(|(a, b)| (number(a), number(b))) {
            last = start..end;
        } else if line.starts_with("VmFlags:") && line.split(' ').any(|flag| flag == "hg") {
            ranges.push(last.clone());
        }
    }
    ranges
}

fn is_advised(address: usize) -> bool {
    advised_ranges()
        .iter()
        .any(|range| range.contains(&address))
}

/// The address space that this process has in use.
fn mapped_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let size = status.lines().find_map(|it| it.strip_prefix("VmSize:"));
    let kib = size.and_then(|it| it.trim().strip_suffix(" kB"));
    kib.unwrap().parse::<u64>().unwrap() * KIB as u64
}

/// Bytes of arenas, and refusals, as of this turn.
fn arena_gauges(runtime: &Runtime) -> (u64, u64) {
    runtime.block_on(async {
        for _ in 0..3 {
            task::yield_now().await;
        }
    });
    let metrics = runtime.metrics();
    let metrics = &metrics.loops()[0];
    (metrics.buffer_arena_bytes, metrics.buffer_arena_refusals)
}

#[test]
fn blocks_of_a_size_share_an_arena_that_is_aligned_and_advised() {
    let _alone = alone();
    let runtime = with_huge_pages();
    runtime.block_on(async {
        let mut leases: Vec<Lease> = (0..33).map(|_| take(64 * KIB)).collect();
        let first = arena_of(&leases[0]);
        assert!(is_advised(first) && is_advised(first + ARENA_BYTES - 1));
        for lease in &mut leases {
            assert_eq!(lease.as_ptr().addr() % (64 * KIB), 0);
            assert_eq!(lease.extend_from_slice(&[7; 64 * KIB]), 64 * KIB);
        }
        let mut places: Vec<usize> = leases.iter().map(|it| it.as_ptr().addr()).collect();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), 33, "each has a place of its own");
        let here = leases.iter().filter(|it| arena_of(it) == first).count();
        assert_eq!(here, 32, "the last found the first arena full");
        assert_ne!(arena_of(&take(4 * KIB)), first, "another size");
    });
}

#[test]
fn the_block_that_came_back_last_is_given_out_first() {
    let _alone = alone();
    with_huge_pages().block_on(async {
        let (first, second) = (take(64 * KIB), take(64 * KIB));
        let (cold, hot) = (first.as_ptr(), second.as_ptr());
        drop(first);
        drop(second);
        let (again, last) = (take(64 * KIB), take(64 * KIB));
        assert_eq!((again.as_ptr(), last.as_ptr()), (hot, cold));
    });
}

#[test]
fn an_arena_is_unmapped_when_its_last_block_is_freed_and_its_places_are_used_again() {
    let _alone = alone();
    let runtime = Builder::new_current_thread()
        .buffer_huge_pages(true)
        .buffer_free_bytes_max(0)
        .build()
        .unwrap();
    let arena_bytes = ARENA_BYTES as u64;
    let mut leases = runtime.block_on(async { vec![take(1024 * KIB), take(1024 * KIB)] });
    let arena = arena_of(&leases[0]);
    let place = leases[1].as_ptr().addr();
    assert_eq!(arena_gauges(&runtime), (arena_bytes, 0));
    leases.pop();
    assert_eq!(
        arena_gauges(&runtime),
        (arena_bytes, 0),
        "one is there still"
    );
    leases.push(runtime.block_on(async { take(1024 * KIB) }));
    assert_eq!(leases[1].as_ptr().addr(), place, "the place was vacant");
    thread::spawn(move || drop(leases)).join().unwrap();
    assert_eq!(arena_gauges(&runtime), (0, 0));
    assert!(!is_advised(arena), "it is unmapped");
}

#[test]
fn a_lease_keeps_its_arena_mapped_after_the_end_of_the_runtime() {
    let _alone = alone();
    within_deadline(|| {
        let runtime = with_huge_pages();
        let (mut lease, other) = runtime.block_on(async { (take(16 * KIB), take(16 * KIB)) });
        let arena = arena_of(&lease);
        assert_eq!(arena, arena_of(&other));
        lease.extend_from_slice(b"still here");
        let bytes = lease.freeze();
        drop(runtime);
        drop(other);
        let abroad = bytes.slice(6..);
        drop(bytes);
        assert!(is_advised(arena));
        thread::spawn(move || assert_eq!(abroad, "here"))
            .join()
            .unwrap();
        assert!(!is_advised(arena), "its last block was freed over there");
    });
}

#[test]
fn the_end_of_a_runtime_unmaps_what_nobody_holds() {
    let _alone = alone();
    let runtime = with_huge_pages();
    let arena = runtime.block_on(async { arena_of(&take(64 * KIB)) });
    assert!(is_advised(arena), "it is kept, with a free block");
    drop(runtime);
    assert!(!is_advised(arena));
}

#[test]
fn without_the_option_buffers_are_on_the_heap() {
    let _alone = alone();
    let runtime = Builder::new_current_thread().build().unwrap();
    let lease = runtime.block_on(async { take(64 * KIB) });
    assert!(!is_advised(lease.as_ptr().addr()));
    assert_eq!(arena_gauges(&runtime), (0, 0));
}

#[test]
fn where_an_arena_is_refused_buffers_come_from_the_heap() {
    // In a process of its own: the limit belongs to all threads, and is not taken back.
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "huge_pages::in_child_limit_address_space"])
        .arg("--nocapture")
        .env("ONELOOP_TEST_LIMIT", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{text}");
    assert!(text.contains("served from the heap"), "{text}");
}

#[test]
fn in_child_limit_address_space() {
    if std::env::var_os("ONELOOP_TEST_LIMIT").is_none() {
        return;
    }
    let runtime = with_huge_pages();
    let early = runtime.block_on(async { take(1024 * KIB) });
    // Room for less than an arena.
    let bytes = mapped_bytes() + 1024 * KIB as u64;
    let limit = Rlimit {
        current: Some(bytes),
        maximum: Some(bytes),
    };
    setrlimit(Resource::As, limit).unwrap();
    let mut leases: Vec<Lease> = runtime.block_on(async {
        let kept = take(1024 * KIB);
        assert_eq!(arena_of(&kept), arena_of(&early), "there is a place yet");
        let mut others: Vec<Lease> = (0..3).map(|_| take(16 * KIB)).collect();
        others.push(kept);
        others
    });
    for lease in &mut leases {
        lease.extend_from_slice(&[7; 16 * KIB]);
        assert_eq!(lease.len(), 16 * KIB);
    }
    assert!(!is_advised(leases[0].as_ptr().addr()));
    assert_eq!(
        arena_gauges(&runtime),
        (ARENA_BYTES as u64, 1),
        "asked once"
    );
    println!("served from the heap");
}

#[test]
fn an_echo_server_works_in_arenas() {
    let _alone = alone();
    within_deadline(|| {
        let runtime = with_huge_pages();
        runtime.block_on(async {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
            let address = listener.local_addr().unwrap();
            let server = task::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut arenas = 0;
                loop {
                    let lease = stream.read_lease().await.unwrap();
                    if lease.is_empty() {
                        return arenas;
                    }
                    arenas += usize::from(is_advised(lease.as_ptr().addr()));
                    stream.write_all_lease(lease).await.unwrap();
                }
            });
            let mut client = TcpStream::connect(address).await.unwrap();
            let message: Vec<u8> = (0..64 * KIB).map(|at| (at % 251) as u8).collect();
            let mut answer = vec![0; message.len()];
            for _ in 0..8 {
                client.write_all(&message).await.unwrap();
                client.read_exact(&mut answer).await.unwrap();
                assert!(answer == message);
            }
            drop(client);
            assert!(server.await.unwrap() >= 8, "each message was in an arena");
        });
    });
}
