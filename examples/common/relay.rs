//! What the relays share: a copy that ends when nothing happens.

use std::io;
use std::time::Duration;

use oneloop::net::{TcpStream, copy_bidirectional};
use oneloop::time::timeout;

/// Copies both ways until both ends are done. `TimedOut` if no byte moved for `idle`. After an error
/// the drop of each stream resets it: an end in order would let its peer take a part for the whole.
pub(crate) async fn relay(a: &mut TcpStream, b: &mut TcpStream, idle: Duration) -> io::Result<()> {
    let relayed = copy(a, b, idle).await;
    if relayed.is_err() {
        for stream in [a, b] {
            // It fails for a stream that is gone already.
            let _ = stream.set_zero_linger();
        }
    }
    relayed
}

async fn copy(a: &mut TcpStream, b: &mut TcpStream, idle: Duration) -> io::Result<()> {
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
