//! The hello servers on hyper: the same service and the same limits, and one loop under each.
//!
//! Place: run in processes of their own, by [`serve`](super::serve).
//!
//! Both have a timer, so both enforce hyper's limit of 30 seconds on the head of a request.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};

use super::HELLO;

pub(super) fn run_oneloop(announce: impl FnOnce(SocketAddr)) -> io::Result<()> {
    let mut builder = oneloop::runtime::Builder::new_current_thread();
    builder.enable_all().build()?.block_on(async {
        let listener = oneloop::net::TcpListener::bind(ANY_PORT).await?;
        announce(listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            // A connection that breaks ends alone: the load generator reports it.
            drop(oneloop::spawn(async move {
                stream.set_nodelay(true)?;
                oneloop::net::hyper::http1_server()
                    .serve_connection(stream, service_fn(hello))
                    .await
                    .map_err(io::Error::other)
            }));
        }
    })
}

pub(super) fn run_tokio(announce: impl FnOnce(SocketAddr)) -> io::Result<()> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build()?.block_on(async {
        let listener = tokio::net::TcpListener::bind(ANY_PORT).await?;
        announce(listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            // A connection that breaks ends alone: the load generator reports it.
            drop(tokio::spawn(async move {
                stream.set_nodelay(true)?;
                http1::Builder::new()
                    .timer(TokioTimer::new())
                    .serve_connection(TokioIo::new(stream), service_fn(hello))
                    .await
                    .map_err(io::Error::other)
            }));
        }
    })
}

async fn hello(_: Request<Incoming>) -> Result<Response<String>, Infallible> {
    Ok(Response::new(HELLO.to_owned()))
}

const ANY_PORT: (&str, u16) = ("127.0.0.1", 0);
