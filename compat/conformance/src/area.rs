//! The areas of the suite, by the names of its files.

use crate::Result;

/// A part of tokio's surface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Area {
    Sync,
    Rt,
    Io,
    Task,
    Time,
    Macros,
    NetTcp,
    Fs,
    NetUnix,
    IoDriver,
    NetUdp,
    NetMisc,
    Process,
    Signal,
    /// What belongs to no area: auto traits.
    Misc,
    /// The tests of tokio-stream.
    Stream,
    /// The tests of tokio-test.
    Test,
}

impl Area {
    const ALL: [(Self, &'static str); 17] = [
        (Self::Sync, "sync"),
        (Self::Rt, "rt"),
        (Self::Io, "io"),
        (Self::Task, "task"),
        (Self::Time, "time"),
        (Self::Macros, "macros"),
        (Self::NetTcp, "net-tcp"),
        (Self::Fs, "fs"),
        (Self::NetUnix, "net-unix"),
        (Self::IoDriver, "io-driver"),
        (Self::NetUdp, "net-udp"),
        (Self::NetMisc, "net-misc"),
        (Self::Process, "process"),
        (Self::Signal, "signal"),
        (Self::Misc, "misc"),
        (Self::Stream, "stream"),
        (Self::Test, "test"),
    ];

    pub(crate) fn from_name(name: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|(_, known)| *known == name);
        match found {
            Some((area, _)) => Ok(*area),
            None => Err(format!("there is no area {name}; --help lists them").into()),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        let (_, name) = Self::ALL[self as usize];
        name
    }

    /// The area of a file of tokio's tests.
    pub(crate) fn of_file(file: &str) -> Self {
        let first = |words: &[&str]| words.iter().any(|word| file.starts_with(word));
        match file {
            "io_async_fd" | "io_driver" | "io_driver_drop" => Self::IoDriver,
            "net_unix_pipe" | "unix_shutdown" => Self::NetUnix,
            "net_quickack" => Self::NetTcp,
            "buffered" => Self::NetTcp,
            "duplex_stream" => Self::Io,
            "test_clock" => Self::Time,
            "coop_budget" | "no_rt" => Self::Rt,
            "join_handle_panic" => Self::Task,
            _ if first(&["sync_"]) => Self::Sync,
            _ if first(&["rt_"]) => Self::Rt,
            _ if first(&["io_"]) => Self::Io,
            _ if first(&["task_"]) => Self::Task,
            _ if first(&["time_"]) => Self::Time,
            _ if first(&["macros_"]) => Self::Macros,
            _ if first(&["tcp_"]) => Self::NetTcp,
            _ if first(&["fs"]) => Self::Fs,
            _ if first(&["uds_"]) => Self::NetUnix,
            _ if first(&["udp"]) => Self::NetUdp,
            _ if first(&["net_"]) => Self::NetMisc,
            _ if first(&["process_"]) => Self::Process,
            _ if first(&["signal_"]) => Self::Signal,
            _ => Self::Misc,
        }
    }
}
