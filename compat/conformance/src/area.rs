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
    /// The tests of tokio-util.
    Util,
}

impl Area {
    /// The name of each, and its baseline: how many tests of its run with tokio itself on Linux.
    const ALL: [(Self, &'static str, usize); 18] = [
        (Self::Sync, "sync", 396),
        (Self::Rt, "rt", 311),
        (Self::Io, "io", 191),
        (Self::Task, "task", 106),
        (Self::Time, "time", 80),
        (Self::Macros, "macros", 73),
        (Self::NetTcp, "net-tcp", 57),
        (Self::Fs, "fs", 51),
        (Self::NetUnix, "net-unix", 50),
        (Self::IoDriver, "io-driver", 32),
        (Self::NetUdp, "net-udp", 29),
        (Self::NetMisc, "net-misc", 11),
        (Self::Process, "process", 12),
        (Self::Signal, "signal", 11),
        (Self::Misc, "misc", 4),
        (Self::Stream, "stream", 118),
        (Self::Test, "test", 34),
        (Self::Util, "util", 307),
    ];

    pub(crate) fn from_name(name: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|(_, known, _)| *known == name);
        match found {
            Some((area, ..)) => Ok(*area),
            None => Err(format!("there is no area {name}; --help lists them").into()),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        let (_, name, _) = Self::ALL[self as usize];
        name
    }

    /// How many tests have to run.
    pub(crate) fn baseline(self) -> usize {
        let (_, _, tests) = Self::ALL[self as usize];
        tests
    }

    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Self::ALL.iter().map(|(area, ..)| *area)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_areas() {
        for (place, (area, name, _)) in Area::ALL.iter().enumerate() {
            assert_eq!(*area as usize, place);
            assert_eq!(Area::from_name(name).unwrap(), *area);
        }
    }

    #[test]
    fn the_baseline_of_tokio_is_1414_tests() {
        let of_tokio = |area: &Area| !matches!(area, Area::Stream | Area::Test | Area::Util);
        let tests: usize = Area::all().filter(of_tokio).map(Area::baseline).sum();
        assert_eq!(tests, 1_414);
    }
}
