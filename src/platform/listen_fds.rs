//! Listening sockets that the service manager opened for us: sd_listen_fds(3).

use std::io;
use std::net::TcpListener;

/// Takes what `LISTEN_FDS` and `LISTEN_PID` name; each once. Takes nothing on Windows, which has no such protocol.
///
/// To be called before the process opens anything or starts a thread: descriptors are known by number only, and the
/// variables are removed. An error stands for a descriptor that is no listening TCP socket; it is left alone.
pub fn listen_fds() -> Vec<io::Result<TcpListener>> {
    system::listen_fds()
}

#[cfg(unix)]
mod system {
    use std::io;
    use std::net::TcpListener;

    use listenfd::ListenFd;
    use rustix::net::sockopt::socket_acceptconn;

    pub(super) fn listen_fds() -> Vec<io::Result<TcpListener>> {
        let mut given = ListenFd::from_env();
        (0..given.len()).filter_map(|index| take(&mut given, index).transpose()).collect()
    }

    fn take(given: &mut ListenFd, index: usize) -> io::Result<Option<TcpListener>> {
        let Some(socket) = given.take_tcp_listener(index)? else { return Ok(None) };
        if !socket_acceptconn(&socket)? {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the socket does not listen"));
        }
        socket.set_nonblocking(true)?;
        Ok(Some(socket))
    }
}

#[cfg(windows)]
mod system {
    use std::io;
    use std::net::TcpListener;

    pub(super) fn listen_fds() -> Vec<io::Result<TcpListener>> {
        Vec::new()
    }
}
