//! Descriptors on the loop.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use oneloop::io::{Direction, Interest, Ready, Source};
use oneloop::{task, time};

use crate::support::{each_runtime, one_loop, two_loops, within_deadline};

fn pair() -> (Source<UnixStream>, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    (Source::new(ours).unwrap(), theirs)
}

async fn read_some(source: &Source<UnixStream>, buffer: &mut [u8]) -> io::Result<usize> {
    source
        .async_io(Interest::READABLE, |mut stream| stream.read(buffer))
        .await
}

#[test]
fn a_read_waits_for_data_and_sees_the_end() {
    within_deadline(|| {
        for runtime in each_runtime() {
            runtime.block_on(async {
                let (ours, mut theirs) = pair();
                let reader = task::spawn(async move {
                    let mut received = Vec::new();
                    let mut buffer = [0; 16];
                    loop {
                        match read_some(&ours, &mut buffer).await.unwrap() {
                            0 => return received,
                            n => received.extend_from_slice(&buffer[..n]),
                        }
                    }
                });
                task::yield_now().await;
                theirs.write_all(b"one").unwrap();
                task::yield_now().await;
                theirs.write_all(b"two").unwrap();
                drop(theirs);
                assert_eq!(reader.await.unwrap(), b"onetwo");
            });
        }
    });
}

#[test]
fn many_tasks_wait_for_one_source() {
    within_deadline(|| {
        let runtime = two_loops();
        runtime.block_on(async {
            let (ours, mut theirs) = pair();
            let ours = Arc::new(ours);
            let waiters: Vec<_> = (0..10)
                .map(|_| {
                    let ours = Arc::clone(&ours);
                    task::spawn(async move { ours.ready(Interest::READABLE).await })
                })
                .collect();
            task::yield_now().await;
            theirs.write_all(b"x").unwrap();
            for waiter in waiters {
                assert!(waiter.await.unwrap().unwrap().is_readable());
            }
        });
    });
}

#[test]
fn two_loops_that_read_one_source_get_every_byte_once() {
    within_deadline(|| {
        let runtime = two_loops();
        let (ours, mut theirs) = {
            let _entered = runtime.enter();
            pair()
        };
        let ours = Arc::new(ours);
        let readers = runtime.handle().spawn_on_each(move |_| {
            let ours = Arc::clone(&ours);
            async move {
                let mut bytes = 0;
                let mut buffer = [0; 7];
                loop {
                    match read_some(&ours, &mut buffer).await.unwrap() {
                        0 => return bytes,
                        n => bytes += n,
                    }
                }
            }
        });
        for n in 0..500 {
            theirs.write_all(&[1; 11]).unwrap();
            if n % 50 == 0 {
                thread::yield_now();
            }
        }
        drop(theirs);
        let total: usize = readers
            .into_iter()
            .map(|it| runtime.block_on(it).unwrap())
            .sum();
        assert_eq!(total, 500 * 11);
    });
}

#[test]
fn a_source_follows_its_poller_from_loop_to_loop() {
    within_deadline(|| {
        let runtime = two_loops();
        let loops = runtime.handle().loop_ids();
        let (mut source, mut theirs) = {
            let _entered = runtime.enter();
            pair()
        };
        for round in 0..100_u8 {
            // Reads of a whole message wait in the poll-style way, on alternating loops.
            let reader =
                runtime
                    .handle()
                    .spawn_on(loops[usize::from(round) % 2], move || async move {
                        let mut buffer = [0; 8];
                        let got = std::future::poll_fn(|cx| {
                            source.poll_transfer(cx, Direction::Read, 8, |mut it| {
                                it.read(&mut buffer)
                            })
                        });
                        let got = got.await.unwrap();
                        assert_eq!(&buffer[..got], &[round; 3]);
                        source
                    });
            if round % 3 == 0 {
                // Long enough for the reader to have tried, and to wait.
                thread::sleep(Duration::from_millis(2));
            }
            theirs.write_all(&[round; 3]).unwrap();
            source = runtime.block_on(reader).unwrap();
        }
        let moves: u64 = runtime
            .metrics()
            .loops()
            .iter()
            .map(|one| one.source_moves)
            .sum();
        assert!(moves > 0);
        drop(source);
        runtime.block_on(runtime.spawn(async {})).unwrap();
    });
}

#[test]
fn halves_on_two_loops_do_not_disturb_each_other() {
    within_deadline(|| {
        let runtime = two_loops();
        let loops = runtime.handle().loop_ids();
        let (source, mut theirs) = {
            let _entered = runtime.enter();
            pair()
        };
        let source = Arc::new(source);
        let writing = Arc::clone(&source);
        let bytes = 4 << 20;
        let writer = runtime.handle().spawn_on(loops[0], move || async move {
            let block = [5; 8192];
            let mut sent = 0;
            while sent < bytes {
                sent += std::future::poll_fn(|cx| {
                    let want = block.len().min(bytes - sent);
                    writing.poll_transfer(cx, Direction::Write, want, |mut it| {
                        it.write(&block[..want])
                    })
                })
                .await
                .unwrap();
            }
        });
        let reader = runtime.handle().spawn_on(loops[1], move || async move {
            let mut buffer = [0; 8192];
            let mut received = 0;
            while received < bytes {
                received += std::future::poll_fn(|cx| {
                    source.poll_transfer(cx, Direction::Read, 8192, |mut it| it.read(&mut buffer))
                })
                .await
                .unwrap();
            }
        });
        // The other end echoes.
        let echo = thread::spawn(move || {
            let mut buffer = [0; 8192];
            let mut echoed = 0;
            while echoed < bytes {
                let n = theirs.read(&mut buffer).unwrap();
                theirs.write_all(&buffer[..n]).unwrap();
                echoed += n;
            }
        });
        runtime.block_on(writer).unwrap();
        runtime.block_on(reader).unwrap();
        echo.join().unwrap();
    });
}

#[test]
fn a_thread_without_a_loop_may_wait() {
    within_deadline(|| {
        for runtime in [one_loop(), two_loops()] {
            let (ours, mut theirs) = {
                let _entered = runtime.enter();
                pair()
            };
            let reader = thread::spawn(move || {
                let mut buffer = [0; 16];
                let read = async {
                    let mut got = 0;
                    while got < 6 {
                        got += read_some(&ours, &mut buffer).await.unwrap();
                    }
                    got
                };
                futures_lite::future::block_on(read)
            });
            theirs.write_all(b"abc").unwrap();
            thread::yield_now();
            theirs.write_all(b"def").unwrap();
            assert_eq!(reader.join().unwrap(), 6);
        }
    });
}

#[test]
fn after_the_runtime_a_wait_is_an_error() {
    within_deadline(|| {
        let runtime = two_loops();
        let (ours, _theirs) = {
            let _entered = runtime.enter();
            pair()
        };
        let (ours, waiting) = (Arc::new(ours), Arc::clone(&Arc::new(())));
        let reading = Arc::clone(&ours);
        let reader = thread::spawn(move || {
            let _waiting = waiting;
            futures_lite::future::block_on(reading.ready(Interest::READABLE))
        });
        thread::yield_now();
        drop(runtime);
        let error = reader.join().unwrap().unwrap_err();
        assert!(error.to_string().contains("shut down"), "{error}");
        let error = futures_lite::future::block_on(ours.ready(Interest::READABLE)).unwrap_err();
        assert!(error.to_string().contains("shut down"), "{error}");
    });
}

/// Readiness that no loop has told: it may be used although nobody can watch any more.
#[test]
fn after_the_runtime_what_is_ready_is_told() {
    within_deadline(|| {
        let runtime = two_loops();
        let (ours, _theirs) = {
            let _entered = runtime.enter();
            pair()
        };
        ours.assume_ready(Ready::READABLE);
        drop(runtime);
        let ready = || ours.ready(Interest::READABLE);
        assert!(
            futures_lite::future::block_on(ready())
                .unwrap()
                .is_readable()
        );
        assert!(one_loop().block_on(ready()).unwrap().is_readable());
    });
}

#[test]
fn regression_r9_a_closed_descriptors_number_may_come_back() {
    within_deadline(|| {
        let runtime = one_loop();
        runtime
            .block_on(runtime.spawn(async {
                for n in 0..200_u8 {
                    let (ours, mut theirs) = pair();
                    let mut buffer = [0; 4];
                    theirs.write_all(&[n]).unwrap();
                    // The event of this socket may still be under way when the next has its number.
                    if n % 2 == 0 {
                        assert_eq!(read_some(&ours, &mut buffer).await.unwrap(), 1);
                        assert_eq!(buffer[0], n);
                    } else {
                        let ready = ours.ready(Interest::WRITABLE);
                        assert!(ready.await.unwrap().is_writable());
                    }
                    drop(ours);
                }
            }))
            .unwrap();
        // The figures are published once a turn.
        while runtime.metrics().loops().iter().any(|one| one.sources > 0) {
            thread::yield_now();
        }
    });
}

#[test]
fn cancelled_waits_leave_nothing_behind() {
    within_deadline(|| {
        let runtime = one_loop();
        runtime
            .block_on(runtime.spawn(async {
                let (ours, mut theirs) = pair();
                for _ in 0..1000 {
                    let wait = ours.ready(Interest::READABLE);
                    assert!(futures_lite::future::poll_once(wait).await.is_none());
                }
                theirs.write_all(b"x").unwrap();
                assert!(ours.ready(Interest::READABLE).await.unwrap().is_readable());
            }))
            .unwrap();
    });
}

#[test]
fn into_inner_gives_the_descriptor_back_usable() {
    let runtime = one_loop();
    runtime.block_on(async {
        let (ours, mut theirs) = pair();
        assert!(
            futures_lite::future::poll_once(ours.ready(Interest::READABLE))
                .await
                .is_none()
        );
        let mut ours = ours.into_inner();
        theirs.write_all(b"y").unwrap();
        let mut byte = [0];
        assert_eq!(ours.read(&mut byte).unwrap(), 1);
        let again = Source::new(ours).unwrap();
        theirs.write_all(b"z").unwrap();
        assert_eq!(read_some(&again, &mut byte).await.unwrap(), 1);
    });
}

#[test]
fn regression_async_io_gives_way_when_the_end_of_input_is_all_it_hears_of() {
    within_deadline(|| {
        one_loop().block_on(async {
            let (ours, theirs) = pair();
            let fill = |mut stream: &UnixStream| stream.write(&[0; 65_536]);
            while ours.try_io(Interest::WRITABLE, fill).is_ok() {}
            theirs.shutdown(Shutdown::Write).unwrap();
            ours.ready(Interest::READABLE).await.unwrap();
            let both = Interest::READABLE | Interest::WRITABLE;
            let write = time::timeout(Duration::from_millis(50), ours.async_io(both, fill));
            assert!(write.await.is_err());
        });
    });
}

#[test]
fn regression_a_thread_without_a_loop_hears_of_a_refused_registration() {
    within_deadline(|| {
        let runtime = one_loop();
        let file = {
            let _entered = runtime.enter();
            Source::new(File::open("/proc/self/exe").unwrap()).unwrap()
        };
        let refused = futures_lite::future::block_on(file.ready(Interest::READABLE));
        // epoll_ctl(2): EPERM for a file that cannot be polled.
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    });
}

#[test]
fn regression_waits_given_up_on_a_thread_without_a_loop_leave_nothing() {
    struct Counted;
    impl Wake for Counted {
        fn wake(self: Arc<Self>) {}
    }
    within_deadline(|| {
        let runtime = one_loop();
        let (ours, _theirs) = {
            let _entered = runtime.enter();
            pair()
        };
        let counted = Arc::new(Counted);
        let waker = Waker::from(Arc::clone(&counted));
        for _ in 0..100 {
            let mut ready = Box::pin(ours.ready(Interest::READABLE));
            let mut cx = Context::from_waker(&waker);
            assert!(ready.as_mut().poll(&mut cx).is_pending());
            assert!(ready.as_mut().poll(&mut cx).is_pending());
        }
        drop(waker);
        while Arc::strong_count(&counted) > 1 {
            thread::yield_now();
        }
    });
}

struct PanicsAtItsEnd;

impl Wake for PanicsAtItsEnd {
    fn wake(self: Arc<Self>) {}
}

impl Drop for PanicsAtItsEnd {
    fn drop(&mut self) {
        panic!("at the end of a waker");
    }
}

#[test]
fn regression_a_waker_whose_end_panics_does_not_end_the_loop() {
    within_deadline(|| {
        let runtime = one_loop();
        let (source, _peer) = {
            let _entered = runtime.enter();
            pair()
        };
        let waker = Waker::from(Arc::new(PanicsAtItsEnd));
        let poll = |waker: &Waker| {
            let mut cx = Context::from_waker(waker);
            source.poll_io(&mut cx, Direction::Read, |mut io| io.read(&mut [0]))
        };
        let a_turn_later = || runtime.block_on(runtime.spawn(async {})).unwrap();
        // This thread has no loop: the runtime's keeps a clone, and then has the last of it.
        assert!(poll(&waker).is_pending());
        a_turn_later();
        drop(waker);
        assert!(poll(Waker::noop()).is_pending());
        a_turn_later();
    });
}
