//! Files on the blocking pool.

use std::future::{Future, poll_fn};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::Poll;
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use oneloop::fs::{self, File, TRANSFER_BYTES_MAX};
use oneloop::runtime::{Builder, Runtime, is_shutdown_error};
use oneloop::{task, time};

use crate::support::{current_thread, each_runtime, one_loop, within_deadline};

/// A directory that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBERS: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("oneloop-files-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// The path of a file with the given bytes.
    fn with(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left behind is in the system's folder for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Bytes of which every stretch is different.
fn pattern(len: usize) -> Vec<u8> {
    (0..len)
        .map(|at| {
            u32::try_from(at)
                .unwrap()
                .wrapping_mul(2_654_435_761)
                .to_be_bytes()[0]
        })
        .collect()
}

/// Polls a future once and drops it.
async fn poll_and_drop<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// A runtime whose pool is one thread, for [`drop_under_way`].
fn one_pool_thread() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.max_blocking_threads(1).build().unwrap()
}

/// Drops a future whose call has been given to the pool and has not begun.
async fn drop_under_way<F: Future>(future: F) {
    let (release, wait) = mpsc::channel::<()>();
    let gate = task::spawn_blocking(move || wait.recv().is_err());
    assert!(poll_and_drop(future).await.is_none());
    drop(release);
    assert!(gate.await.unwrap());
}

#[test]
fn whole_files_and_directories() {
    within_deadline(|| {
        for runtime in each_runtime() {
            let folder = Folder::new();
            runtime.block_on(async {
                let deep = folder.0.join("a/b");
                let error = fs::create_dir(&deep).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::NotFound);
                fs::create_dir_all(&deep).await.unwrap();
                let (one, two) = (deep.join("one"), deep.join("two"));
                fs::write(&one, "text").await.unwrap();
                assert_eq!(fs::read(&one).await.unwrap(), b"text");
                assert_eq!(fs::copy(&one, &two).await.unwrap(), 4);
                fs::remove_file(&one).await.unwrap();
                assert!(!fs::try_exists(&one).await.unwrap());
                fs::rename(&two, &one).await.unwrap();
                assert_eq!(fs::read_to_string(&one).await.unwrap(), "text");
                assert_eq!(fs::metadata(&one).await.unwrap().len(), 4);
                std::os::unix::fs::symlink(&one, &two).unwrap();
                assert!(fs::symlink_metadata(&two).await.unwrap().is_symlink());
                assert!(fs::metadata(&two).await.unwrap().is_file());
                let real = std::fs::canonicalize(&one).unwrap();
                assert_eq!(fs::canonicalize(&two).await.unwrap(), real);
                let error = fs::remove_dir(&deep).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::DirectoryNotEmpty);
                fs::remove_dir_all(folder.0.join("a")).await.unwrap();
                assert!(!fs::try_exists(&deep).await.unwrap());
            });
        }
    });
}

#[test]
fn a_file_is_read_written_and_sought() {
    within_deadline(|| {
        let folder = Folder::new();
        current_thread().block_on(async {
            let bytes = pattern(2 * TRANSFER_BYTES_MAX + 1000);
            let path = folder.0.join("file");
            let mut file = File::create(&path).await.unwrap();
            assert_eq!(file.write(&bytes).await.unwrap(), TRANSFER_BYTES_MAX);
            file.write_all(&bytes[TRANSFER_BYTES_MAX..]).await.unwrap();
            file.sync_all().await.unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), bytes);

            let mut file = File::open(&path).await.unwrap();
            let mut all = Vec::new();
            assert_eq!(file.read_to_end(&mut all).await.unwrap(), bytes.len());
            assert!(all == bytes);
            assert_eq!(file.read(&mut [0; 8]).await.unwrap(), 0, "the end");
            assert_eq!(file.seek(SeekFrom::Start(100)).await.unwrap(), 100);
            let mut some = [0; 50];
            file.read_exact(&mut some).await.unwrap();
            assert_eq!(some, bytes[100..150]);
            assert_eq!(file.seek(SeekFrom::Current(-10)).await.unwrap(), 140);
            let at_end = file.seek(SeekFrom::End(-1)).await.unwrap();
            assert_eq!(at_end, bytes.len() as u64 - 1);
            let error = file.read_exact(&mut some).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
            let error = file.seek(SeekFrom::Current(i64::MIN)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert_eq!(file.seek(SeekFrom::Start(7)).await.unwrap(), 7);
        });
    });
}

#[test]
fn options_are_those_of_std() {
    within_deadline(|| {
        let folder = Folder::new();
        one_loop().block_on(async {
            let path = folder.with("file", b"first\n");
            let append = File::options().append(true);
            let mut file = append.open(&path).await.unwrap();
            file.write_all(b"second\n").await.unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"first\nsecond\n");
            let new = File::options().write(true).create_new(true).mode(0o600);
            let error = new.open(&path).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AlreadyExists);
            let file = new.open(folder.0.join("new")).await.unwrap();
            let mode = file.metadata().await.unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            let read_only = std::fs::Permissions::from_mode(0o400);
            file.set_permissions(read_only).await.unwrap();
            let mode = file.metadata().await.unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o400);
            let nothing = File::options().open(&path).await.unwrap_err();
            assert_eq!(nothing.kind(), ErrorKind::InvalidInput);
        });
    });
}

#[test]
fn dropped_read_loses_no_byte() {
    within_deadline(|| {
        let folder = Folder::new();
        let bytes = pattern(20_000);
        let path = folder.with("file", &bytes);
        one_pool_thread().block_on(async {
            let mut file = File::open(&path).await.unwrap();
            let mut received = Vec::new();
            let mut small = [0; 70];
            let mut count = 1;
            while count > 0 {
                // It asks for more than one of the next: the rest waits for those after it.
                drop_under_way(file.read(&mut [0; 300])).await;
                for _ in 0..5 {
                    count = file.read(&mut small).await.unwrap();
                    received.extend_from_slice(&small[..count]);
                    if received.len() % 4 == 2 {
                        let position = file.seek(SeekFrom::Current(0)).await.unwrap();
                        assert_eq!(position, received.len() as u64);
                    }
                }
            }
            assert!(received == bytes, "{} of {}", received.len(), bytes.len());
        });
    });
}

#[test]
fn dropped_read_leaves_the_position_for_writes_seeks_and_cuts() {
    within_deadline(|| {
        let folder = Folder::new();
        let path = folder.with("file", b"0123456789");
        one_pool_thread().block_on(async {
            let options = File::options().read(true).write(true);
            let mut file = options.open(&path).await.unwrap();
            drop_under_way(file.read(&mut [0; 4])).await;
            file.write_all(b"ab").await.unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"ab23456789");
            drop_under_way(file.read(&mut [0; 4])).await;
            assert_eq!(file.seek(SeekFrom::Current(1)).await.unwrap(), 3);
            drop_under_way(file.read(&mut [0; 4])).await;
            file.set_len(5).await.unwrap();
            let mut rest = Vec::new();
            file.read_to_end(&mut rest).await.unwrap();
            assert_eq!(rest, b"34");
            file.seek(SeekFrom::Start(1)).await.unwrap();
            drop_under_way(file.read(&mut [0; 2])).await;
            let mut std = file.into_std().await.unwrap();
            assert_eq!(std.stream_position().unwrap(), 1);
        });
    });
}

#[test]
fn dropped_write_is_written_whole() {
    within_deadline(|| {
        let folder = Folder::new();
        let bytes = pattern(50_000);
        let path = folder.0.join("file");
        one_pool_thread().block_on(async {
            let mut file = File::create(&path).await.unwrap();
            for piece in bytes.chunks(5000) {
                drop_under_way(file.write(piece)).await;
            }
            file.flush().await.unwrap();
        });
        // A dropped write that waits for the one before has begun nothing.
        let written = std::fs::read(&path).unwrap();
        assert_eq!(written.len() % 5000, 0);
        assert!(written.starts_with(&bytes[..5000]));
    });
}

#[test]
fn error_of_a_dropped_write_is_told_once() {
    within_deadline(|| {
        let folder = Folder::new();
        let path = folder.with("file", b"0123");
        one_pool_thread().block_on(async {
            let mut file = File::open(&path).await.unwrap();
            drop_under_way(file.write(b"x")).await;
            let error = file.flush().await.unwrap_err();
            assert!(error.raw_os_error().is_some(), "{error}");
            file.flush().await.unwrap();
            assert!(file.write(b"x").await.is_err(), "its own error");
            assert_eq!(file.read(&mut [0; 9]).await.unwrap(), 4);
        });
    });
}

#[test]
fn reads_and_writes_at_an_offset_leave_the_position() {
    within_deadline(|| {
        let folder = Folder::new();
        let path = folder.with("file", b"0123456789");
        one_loop().block_on(async {
            let options = File::options().read(true).write(true);
            let mut file = options.open(&path).await.unwrap();
            let (mut a, mut b) = ([0; 3], [0; 9]);
            let both = futures_lite::future::zip(file.read_at(&mut a, 2), file.read_at(&mut b, 7));
            let (first, second) = both.await;
            assert_eq!((first.unwrap(), second.unwrap()), (3, 3));
            assert_eq!((&a[..], &b[..3]), (&b"234"[..], &b"789"[..]));
            assert_eq!(file.write_at(b"xy", 0).await.unwrap(), 2);
            assert_eq!(file.read_at(&mut a, 100).await.unwrap(), 0);
            file.read_exact(&mut a).await.unwrap();
            assert_eq!(&a, b"xy2");
        });
    });
}

#[test]
fn traits_of_futures_io() {
    within_deadline(|| {
        let folder = Folder::new();
        let path = folder.0.join("file");
        one_loop().block_on(async {
            let options = File::options().read(true).write(true).create(true);
            let mut file = options.open(&path).await.unwrap();
            let bytes = pattern(600_000);
            AsyncWriteExt::write_all(&mut file, &bytes).await.unwrap();
            AsyncWriteExt::flush(&mut file).await.unwrap();
            assert!(std::fs::read(&path).unwrap() == bytes);
            AsyncSeekExt::seek(&mut file, SeekFrom::Start(0))
                .await
                .unwrap();
            let mut back = Vec::new();
            AsyncReadExt::read_to_end(&mut file, &mut back)
                .await
                .unwrap();
            assert!(back == bytes);
            AsyncWriteExt::close(&mut file).await.unwrap();

            let mut read_only = File::open(&path).await.unwrap();
            assert_eq!(AsyncWriteExt::write(&mut read_only, b"x").await.unwrap(), 1);
            assert!(AsyncWriteExt::flush(&mut read_only).await.is_err());
        });
    });
}

#[test]
fn file_that_blocks_does_not_stop_the_loop() {
    within_deadline(|| {
        let folder = Folder::new();
        let path = folder.0.join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        current_thread().block_on(async {
            // Opening a fifo blocks until there is a writer.
            let reading = task::spawn_local(fs::read(path.clone()));
            for _ in 0..20 {
                time::sleep(Duration::from_millis(1)).await;
            }
            assert!(!reading.is_finished());
            let mut writer = File::options().write(true).open(&path).await.unwrap();
            writer.write_all(b"through").await.unwrap();
            drop(writer);
            assert_eq!(reading.await.unwrap().unwrap(), b"through");
        });
    });
}

#[test]
fn file_outlives_its_runtime_and_works_in_the_next() {
    within_deadline(|| {
        let folder = Folder::new();
        let path = folder.with("file", b"0123456789");
        let runtime = current_thread();
        let handle = runtime.handle().clone();
        let mut file = runtime.block_on(File::open(&path)).unwrap();
        drop(runtime);
        {
            let _entered = handle.enter();
            let error = futures_lite::future::block_on(file.read(&mut [0; 4])).unwrap_err();
            assert!(is_shutdown_error(&error), "{error}");
        }
        let mut four = [0; 4];
        one_loop().block_on(file.read_exact(&mut four)).unwrap();
        assert_eq!(&four, b"0123");
        let mut std = one_loop().block_on(file.into_std()).unwrap();
        let mut rest = String::new();
        std.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "456789");
        assert!(std.write(b"x").is_err());
    });
}

/// A file of a runtime that has ended: a dropped read has got its first four bytes.
fn read_ahead_without_a_runtime(path: &PathBuf) -> (File, oneloop::runtime::Handle) {
    let runtime = one_pool_thread();
    let handle = runtime.handle().clone();
    let file = runtime.block_on(async {
        let options = File::options().read(true).write(true);
        let mut file = options.open(path).await.unwrap();
        drop_under_way(file.read(&mut [0; 4])).await;
        file.flush().await.unwrap();
        file
    });
    drop(runtime);
    (file, handle)
}

#[test]
fn call_that_cannot_begin_leaves_the_position() {
    within_deadline(|| {
        let folder = Folder::new();
        let path = folder.with("file", b"0123456789");
        let (mut file, handle) = read_ahead_without_a_runtime(&path);
        {
            let _entered = handle.enter();
            futures_lite::future::block_on(async {
                let error = file.write(b"x").await.unwrap_err();
                assert!(is_shutdown_error(&error), "{error}");
                let error = file.set_len(3).await.unwrap_err();
                assert!(is_shutdown_error(&error), "{error}");
                let error = file.seek(SeekFrom::Current(1)).await.unwrap_err();
                assert!(is_shutdown_error(&error), "{error}");
            });
        }
        let mut two = [0; 2];
        one_loop().block_on(async {
            file.read_exact(&mut two).await.unwrap();
            assert_eq!(&two, b"01");
            assert_eq!(file.seek(SeekFrom::Current(0)).await.unwrap(), 2);
            file.write_all(b"ab").await.unwrap();
        });
        assert_eq!(std::fs::read(&path).unwrap(), b"01ab456789");
    });
}

#[test]
fn queued_call_that_is_cancelled_leaves_the_position() {
    within_deadline(|| {
        let folder = Folder::new();
        let path = folder.with("file", b"0123456789");
        let (mut file, _) = read_ahead_without_a_runtime(&path);
        let runtime = one_pool_thread();
        let (release, wait) = mpsc::channel::<()>();
        runtime.block_on(async {
            let begun = std::sync::Arc::new(std::sync::Barrier::new(2));
            let inside = std::sync::Arc::clone(&begun);
            drop(task::spawn_blocking(move || {
                inside.wait();
                wait.recv().is_err()
            }));
            begun.wait();
            assert!(poll_and_drop(file.write(b"x")).await.is_none());
        });
        runtime.shutdown_background();
        drop(release);
        one_loop().block_on(async {
            let error = file.flush().await.unwrap_err();
            assert!(is_shutdown_error(&error), "{error}");
            let mut four = [0; 4];
            file.read_exact(&mut four).await.unwrap();
            assert_eq!(&four, b"0123");
        });
        assert_eq!(std::fs::read(&path).unwrap(), b"0123456789");
    });
}

#[test]
fn write_after_a_dropped_read_of_a_fifo_keeps_what_was_read() {
    within_deadline(|| {
        let folder = Folder::new();
        let path = folder.0.join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        one_pool_thread().block_on(async {
            // Both ways at once: what is written is what is read.
            let options = File::options().read(true).write(true);
            let mut file = options.open(&path).await.unwrap();
            file.write_all(b"0123").await.unwrap();
            drop_under_way(file.read(&mut [0; 4])).await;
            file.write_all(b"ab").await.unwrap();
            let mut six = [0; 6];
            file.read_exact(&mut six).await.unwrap();
            assert_eq!(&six, b"0123ab");
        });
    });
}
