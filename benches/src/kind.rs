//! What a server is beside the others: whom its figures are put over.

use crate::servers::Server;

/// What a server is beside the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// oneloop, in one of its forms.
    Oneloop,
    /// Written by hand, without a runtime.
    Limit,
    /// Another runtime, on epoll.
    Epoll,
    /// Another runtime, on io_uring.
    Uring,
}

impl Kind {
    /// That of a server.
    #[must_use]
    pub fn of(server: Server) -> Self {
        match server {
            Server::Oneloop
            | Server::OneloopLeases
            | Server::OneloopPerLoop
            | Server::OneloopBusyPoll
            | Server::OneloopIdle => Self::Oneloop,
            Server::Limit => Self::Limit,
            other if other.name().contains("uring") || other.name() == "glommio" => Self::Uring,
            _ => Self::Epoll,
        }
    }

    /// In words, for one of them.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Oneloop => "oneloop",
            Self::Limit => "limit",
            Self::Epoll => "epoll peer",
            Self::Uring => "io_uring peer",
        }
    }
}

/// Whether each connection has a buffer of its own, also while it waits.
#[must_use]
pub fn has_own_buffers(server: Server) -> bool {
    !matches!(
        server,
        Server::OneloopLeases | Server::OneloopIdle | Server::TokioIdle | Server::Limit
    )
}

/// Those that are compared with each other, in the order of the tables; those that spin stand apart.
pub fn contenders() -> impl Iterator<Item = Server> {
    let forms = Server::FORMS.into_iter().filter(|form| !spins(*form));
    let mut all: Vec<Server> = Server::ALL
        .into_iter()
        .chain(forms)
        .chain(Server::PEERS)
        .collect();
    all.sort_by_key(|&server| match Kind::of(server) {
        Kind::Limit => 0,
        Kind::Oneloop => 1,
        Kind::Epoll => 2,
        Kind::Uring => 3,
    });
    all.into_iter()
}

/// Whether it looks for work for a while before it sleeps.
#[must_use]
pub fn spins(server: Server) -> bool {
    server == Server::OneloopBusyPoll
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_lists_and_tables() {
        for server in contenders() {
            assert_eq!(Server::from_name(server.name()), Some(server));
            assert!(!server.name().contains(['|', ',']), "{}", server.name());
        }
    }

    #[test]
    fn kinds_stand_together_and_none_comes_twice() {
        let all: Vec<_> = contenders().collect();
        assert_eq!(Kind::of(all[0]), Kind::Limit);
        for (at, server) in all.iter().enumerate() {
            assert!(!all[..at].contains(server), "{}", server.name());
        }
        assert_eq!(Kind::of(Server::TokioMulti), Kind::Epoll);
    }
}
