//! What the kernel knows about a connection.
//!
//! Place: called by applications, calls `options::raw`; runs on any thread.
//!
//! # Why it is so
//! The kernel's structure grows at its end and an older kernel fills in less of it (`TCP_INFO` in
//! tcp(7)), so it is taken as bytes and read field by field, as far as it goes: an old kernel and a
//! new one need no structure of their own, and nothing is cast.

use std::io;
use std::time::Duration;

use super::stream::TcpStream;
use crate::options::raw;

/// The state of a connection (RFC 9293).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TcpState {
    /// Bytes go both ways.
    Established,
    /// A connection was asked for.
    SynSent,
    /// A connection was asked for by the peer.
    SynReceived,
    /// This end has shut down its writing, which the peer has not acknowledged.
    FinWait1,
    /// This end has shut down its writing, which the peer has acknowledged.
    FinWait2,
    /// Closed, and waiting for stray packets.
    TimeWait,
    /// Closed.
    Closed,
    /// The peer has shut down its writing.
    CloseWait,
    /// Both have, the peer has not acknowledged it.
    LastAck,
    /// Waits for connections.
    Listen,
    /// Both have at the same time.
    Closing,
    /// One that this list does not have.
    Other(u8),
}

impl TcpState {
    fn from_kernel(number: u8) -> Self {
        match number {
            1 => Self::Established,
            2 => Self::SynSent,
            3 | 12 => Self::SynReceived,
            4 => Self::FinWait1,
            5 => Self::FinWait2,
            6 => Self::TimeWait,
            7 => Self::Closed,
            8 => Self::CloseWait,
            9 => Self::LastAck,
            10 => Self::Listen,
            11 => Self::Closing,
            other => Self::Other(other),
        }
    }
}

/// What the kernel knows about a connection at one moment (`TCP_INFO`). Made by
/// [`TcpStream::tcp_info`].
///
/// Fields that are `None` are unknown to a kernel that is too old.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TcpInfo {
    /// The state.
    pub state: TcpState,
    /// Retransmissions of the packet that is due, in a row: 0 when all goes well.
    pub retransmits: u8,
    /// Probes without an answer: see [`TcpKeepalive`](super::TcpKeepalive).
    pub probes: u8,
    /// The time-out of a retransmission.
    pub rto: Duration,
    /// The largest segment that is sent, in bytes.
    pub send_mss: u32,
    /// The largest segment that the peer is taken to send, in bytes.
    pub receive_mss: u32,
    /// Segments sent and not yet acknowledged.
    pub unacked: u32,
    /// Segments of those that arrived out of order.
    pub sacked: u32,
    /// Segments of those that are taken for lost.
    pub lost: u32,
    /// Segments of those that were sent again.
    pub retrans: u32,
    /// Time since bytes were sent last.
    pub last_data_sent: Duration,
    /// Time since bytes were received last.
    pub last_data_received: Duration,
    /// The largest packet of the path, in bytes.
    pub path_mtu: u32,
    /// The smoothed round-trip time.
    pub rtt: Duration,
    /// Its mean deviation.
    pub rttvar: Duration,
    /// Where slow start ends, in segments.
    pub ssthresh: u32,
    /// The congestion window: segments that may be in flight.
    pub cwnd: u32,
    /// Segments that were sent again since the connection was made.
    pub total_retrans: u32,
    /// Bytes that the peer has acknowledged (Linux 4.1).
    pub bytes_acked: Option<u64>,
    /// Bytes that were received (Linux 4.1).
    pub bytes_received: Option<u64>,
    /// Bytes that were written and not yet sent (Linux 4.6).
    pub notsent_bytes: Option<u32>,
    /// The smallest round-trip time seen (Linux 4.6).
    pub min_rtt: Option<Duration>,
    /// The rate at which the peer got bytes lately, in bytes a second (Linux 4.9).
    pub delivery_rate: Option<u64>,
    /// Bytes sent, those sent again included (Linux 4.19).
    pub bytes_sent: Option<u64>,
    /// Bytes sent again (Linux 4.19).
    pub bytes_retrans: Option<u64>,
}

impl TcpStream {
    /// Asks the kernel about the connection (`TCP_INFO`). One system call.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn tcp_info(&self) -> io::Result<TcpInfo> {
        let mut bytes = [0; INFO_BYTES_MAX];
        let filled = raw::bytes(self, libc::IPPROTO_TCP, libc::TCP_INFO, &mut bytes)?;
        Ok(TcpInfo::from_kernel(&bytes[..filled]))
    }
}

impl TcpInfo {
    fn from_kernel(bytes: &[u8]) -> Self {
        let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
        let word = |at| word_at(bytes, at).unwrap_or(0);
        let micros = |at| Duration::from_micros(u64::from(word(at)));
        let millis = |at| Duration::from_millis(u64::from(word(at)));
        Self {
            state: TcpState::from_kernel(byte(0)),
            retransmits: byte(2),
            probes: byte(3),
            rto: micros(8),
            send_mss: word(16),
            receive_mss: word(20),
            unacked: word(24),
            sacked: word(28),
            lost: word(32),
            retrans: word(36),
            last_data_sent: millis(44),
            last_data_received: millis(52),
            path_mtu: word(60),
            rtt: micros(68),
            rttvar: micros(72),
            ssthresh: word(76),
            cwnd: word(80),
            total_retrans: word(100),
            bytes_acked: long_at(bytes, 120),
            bytes_received: long_at(bytes, 128),
            notsent_bytes: word_at(bytes, 144),
            min_rtt: word_at(bytes, 148).map(|micros| Duration::from_micros(u64::from(micros))),
            delivery_rate: long_at(bytes, 160),
            bytes_sent: long_at(bytes, 200),
            bytes_retrans: long_at(bytes, 208),
        }
    }
}

fn word_at(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..at + 4)?;
    Some(u32::from_ne_bytes(field.try_into().ok()?))
}

fn long_at(bytes: &[u8], at: usize) -> Option<u64> {
    let field = bytes.get(at..at + 8)?;
    Some(u64::from_ne_bytes(field.try_into().ok()?))
}

/// What is asked for. The last field that is read ends at 216.
const INFO_BYTES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    /// Each byte is its own position.
    fn positions() -> Vec<u8> {
        (0..=255).collect()
    }

    #[test]
    fn a_shorter_structure_leaves_the_newer_fields_unknown() {
        let bytes = positions();
        let old = TcpInfo::from_kernel(&bytes[..104]);
        assert_eq!(old.cwnd, u32::from_ne_bytes([80, 81, 82, 83]));
        assert_eq!(old.total_retrans, u32::from_ne_bytes([100, 101, 102, 103]));
        assert_eq!((old.bytes_acked, old.min_rtt), (None, None));
        // Cut within a field: that field is unknown as well.
        let cut = TcpInfo::from_kernel(&bytes[..135]);
        assert!(cut.bytes_acked.is_some());
        assert_eq!(cut.bytes_received, None);
        let new = TcpInfo::from_kernel(&bytes);
        let end = u64::from_ne_bytes([208, 209, 210, 211, 212, 213, 214, 215]);
        assert_eq!(new.bytes_retrans, Some(end));
        assert_eq!(TcpInfo::from_kernel(&[]).state, TcpState::Other(0));
    }

    #[test]
    fn fields_stand_where_the_system_says() {
        let at = |field: usize, expected: usize| assert_eq!(field, expected);
        use std::mem::offset_of;
        at(offset_of!(libc::tcp_info, tcpi_rto), 8);
        at(offset_of!(libc::tcp_info, tcpi_snd_mss), 16);
        at(offset_of!(libc::tcp_info, tcpi_unacked), 24);
        at(offset_of!(libc::tcp_info, tcpi_lost), 32);
        at(offset_of!(libc::tcp_info, tcpi_last_data_sent), 44);
        at(offset_of!(libc::tcp_info, tcpi_last_data_recv), 52);
        at(offset_of!(libc::tcp_info, tcpi_pmtu), 60);
        at(offset_of!(libc::tcp_info, tcpi_rtt), 68);
        at(offset_of!(libc::tcp_info, tcpi_rttvar), 72);
        at(offset_of!(libc::tcp_info, tcpi_snd_ssthresh), 76);
        at(offset_of!(libc::tcp_info, tcpi_snd_cwnd), 80);
        at(offset_of!(libc::tcp_info, tcpi_total_retrans), 100);
    }
}
