//! Datagrams within the machine: kept in order, and never lost.

mod socket;
mod transfer;

pub use socket::UnixDatagram;
