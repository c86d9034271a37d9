//! HTTP on the loop: what hyper 1 asks of a runtime, and builders that have it already.
//!
//! Place: called by HTTP servers and clients; hyper calls the traits on the thread that polls the
//! connection.
//!
//! ```text
//!  TcpStream, UnixStream, TlsStream --- rt::Read, rt::Write ---+
//!  LocalExecutor (this loop), SendExecutor (any loop) ---------+--> hyper's connections
//!  LoopTimer: sleeps on the loop's wheel ----------------------+
//!
//!  serve_connection: tells HTTP/2 from HTTP/1 by the first bytes, and serves either
//! ```
//!
//! hyper has no timer of its own. Without one it drops its limit on the time that a request's
//! head may take, and panics if that limit was set by hand. The builders of this module have the
//! timer: [`http1_server`], [`http2_server`], [`http2_client`].
//!
//! hyper's types are not wrapped. Those that every server or client names are found here too, in
//! the version that these traits are for.
//!
//! Not for programs in which `compat/tokio` stands in for tokio: hyper needs tokio's channels, and
//! tokio would need itself. There hyper-util's `TokioIo` does this.
//!
//! # Examples
//!
//! ```no_run
//! use std::convert::Infallible;
//! use std::future::pending;
//!
//! use oneloop_net::TcpListener;
//! use oneloop_net::hyper::{self, Request, Response, body::Incoming, service::service_fn};
//! use oneloop_runtime::{runtime::Builder, task};
//!
//! async fn hello(_: Request<Incoming>) -> Result<Response<String>, Infallible> {
//!     Ok(Response::new("hello\n".to_owned()))
//! }
//!
//! # fn main() -> std::io::Result<()> {
//! Builder::new_current_thread().build()?.block_on(async {
//!     let listener = TcpListener::bind("127.0.0.1:8080").await?;
//!     loop {
//!         let (stream, _) = listener.accept().await?;
//!         let serving = hyper::serve_connection(stream, service_fn(hello), pending());
//!         task::spawn_local(serving);
//!     }
//! })
//! # }
//! ```

mod builders;
mod executor;
mod io;
mod rewind;
mod serve;
mod timer;

#[doc(no_inline)]
pub use ::hyper::{
    Error, Method, Request, Response, StatusCode, Uri, Version, body, client, header, rt, server,
    service, upgrade,
};

pub use builders::{http1_client, http1_server, http2_client, http2_server};
pub use executor::{LocalExecutor, SendExecutor};
pub use serve::{HEADER_READ_TIMEOUT, serve_connection};
pub use timer::{LoopSleep, LoopTimer};
