//! The daytime service (RFC 867): the time as a line of text, then the end.
//! `cargo run --example daytime`, then `nc 127.0.0.1 7013`.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example talks to a person")]

mod common;

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use common::arguments::Arguments;
use oneloop::net::{TcpListener, TcpStream};

fn main() {
    let arguments = Arguments::read("daytime [--addr 127.0.0.1:7013] [--loops N]");
    let addr: SocketAddr = arguments.value("--addr");
    arguments.end(arguments.runtime().block_on(async {
        let listener = TcpListener::bind(addr).await?;
        println!("daytime on {}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            drop(oneloop::spawn(daytime(stream)));
        }
    }));
}

async fn daytime(mut stream: TcpStream) {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    // A peer that does not wait for its line is no concern of ours.
    let _ = stream.write_all(text(since.as_secs()).as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// Seconds since 1970 as `2026-11-23 12:34:56 UTC`: the civil calendar from a count of days, in
/// eras of 400 years that begin in March.
fn text(seconds: u64) -> String {
    let (days, second) = (seconds / 86400, seconds % 86400);
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC\r\n")
}
