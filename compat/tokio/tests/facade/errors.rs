//! Errors in full: what the system said, and how they print.

use std::time::Duration;

use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::runtime::Builder;
use tokio::sync::mpsc;

#[test]
fn a_write_that_failed_late_is_told_with_the_systems_own_number() {
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut file = File::open("/dev/null").await.unwrap();
        file.write_all(b"lost").await.unwrap();
        let error = file.flush().await.unwrap_err();
        // EBADF: it was opened for reading.
        assert_eq!(error.raw_os_error(), Some(9));
        file.flush().await.unwrap();
    });
}

#[test]
fn errors_of_sending_print_in_quotes() {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let (sender, receiver) = mpsc::channel(1);
    sender.try_send(1).unwrap();
    let full = sender.try_send(2).unwrap_err();
    assert_eq!(format!("{full:?}"), "\"Full(..)\"");
    let late = runtime.block_on(sender.send_timeout(2, Duration::from_millis(1)));
    assert_eq!(format!("{:?}", late.unwrap_err()), "\"Timeout(..)\"");
    drop(receiver);
    let closed = sender.try_send(2).unwrap_err();
    assert_eq!(format!("{closed:?}"), "\"Closed(..)\"");
}
