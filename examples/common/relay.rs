//! What the relays share: a copy that ends when nothing happens.

use std::io;
use std::time::Duration;

use oneloop::net::{TcpStream, copy_bidirectional};
use oneloop::time::timeout;

/// Copies both ways until both ends are done. `TimedOut` if no byte moved for `idle`.
pub(crate) async fn relay(a: &mut TcpStream, b: &mut TcpStream, idle: Duration) -> io::Result<()> {
    let mut copying = copy_bidirectional(a, b);
    let mut before = (0, 0);
    loop {
        if let Ok(outcome) = timeout(idle, &mut copying).await {
            return outcome.map(drop);
        }
        let now = copying.copied();
        if now == before {
            return Err(io::ErrorKind::TimedOut.into());
        }
        before = now;
    }
}
