//! Whoever holds listening sockets for portvakt, as systemd does with a socket unit.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::Command;

use command_fds::{CommandFdExt, FdMapping};
use socket2::{Domain, Socket, Type};

/// Listening sockets that outlive the processes that use them.
pub(crate) struct Holder(Vec<TcpListener>);

impl Holder {
    /// Listens on `addresses`, each free until now.
    pub(crate) fn listen(addresses: &[SocketAddr]) -> Self {
        let listen = |address| TcpListener::bind(address).expect("a free port stays free");
        Self(addresses.iter().map(listen).collect())
    }

    /// Listens on `port` of every IPv4 address, and lets others listen there too.
    pub(crate) fn share(port: u16) -> Self {
        Self(vec![shared(([0, 0, 0, 0], port).into())])
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

/// A listening socket that lets others listen on its port (SO_REUSEPORT): the more specific address is preferred.
pub(crate) fn shared(address: SocketAddr) -> TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_reuse_port(true).expect("Linux knows it");
    socket.bind(&address.into()).expect("a port that is free or shared");
    socket.listen(128).expect("it listens");
    socket.into()
}

/// sd_listen_fds(3).
const FIRST: i32 = 3;
