//! Whoever holds listening sockets for portvakt, as systemd does with a socket unit.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::Command;

use command_fds::{CommandFdExt, FdMapping};

/// Listening sockets that outlive the processes that use them.
pub(crate) struct Holder(Vec<TcpListener>);

impl Holder {
    /// Listens on `addresses`, each free until now.
    pub(crate) fn listen(addresses: &[SocketAddr]) -> Self {
        let listen = |address| TcpListener::bind(address).expect("a free port stays free");
        Self(addresses.iter().map(listen).collect())
    }

    /// Holds `sockets`, which listen already.
    pub(crate) fn of(sockets: Vec<TcpListener>) -> Self {
        Self(sockets)
    }

    /// `command` with the sockets as `LISTEN_FDS`: a shell knows the process id that its `exec` keeps.
    pub(crate) fn hand_to(&self, command: &Command) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", "LISTEN_PID=$$ exec \"$0\" \"$@\""]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        command.get_current_dir().map(|dir| shell.current_dir(dir));
        shell.env("LISTEN_FDS", self.0.len().to_string());
        let clones = self.0.iter().map(|socket| OwnedFd::from(socket.try_clone().expect("a descriptor more")));
        let mappings = clones.zip(FIRST..).map(|(parent_fd, child_fd)| FdMapping { parent_fd, child_fd }).collect();
        shell.fd_mappings(mappings).expect("each number is given once");
        shell
    }
}

/// sd_listen_fds(3).
const FIRST: i32 = 3;
