//! Pipes by their options.

use tokio::net::unix::pipe;
use tokio::runtime::Builder;

#[test]
fn default_options_look_whether_a_file_is_a_pipe() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let _guard = runtime.enter();
    let error = pipe::OpenOptions::default()
        .open_receiver("/dev/null")
        .unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}
