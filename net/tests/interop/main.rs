//! The adapters to tokio's traits, hyper and rustls, with the real crates on the other side.
//!
//! Compiled only when asked for: `cargo test -p oneloop-net --all-features --test interop`.

#[allow(dead_code, reason = "shared with the tests of TCP")]
#[path = "../tcp/support.rs"]
mod support;

mod http;
mod http1;
mod http2;
mod http_limits;
mod tls;
mod tls_faults;
mod tokio_io;
