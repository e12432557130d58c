//! Starting the program anew beside this process, and giving it the listening sockets.
//!
//! # Why
//!
//! The sockets cross a socket pair that is the new process's standard input, so neither side has to know numbers of
//! descriptors or the other's process id, and each sees at once when the other is gone. Windows can hand a socket only to a
//! process that it names, and has no signal to ask for it: there a restart is a stop and a start.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

/// How this process was started.
#[derive(Clone, Debug)]
pub struct Program {
    file: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    /// To be asked at the start: later the file may be another, and the system then names the one that is gone.
    ///
    /// A name that leads over symbolic links is kept as it is, since an installation may turn them to the next version.
    ///
    /// # Errors
    ///
    /// The system's own, when it does not know the file.
    pub fn current() -> io::Result<Self> {
        let running = env::current_exe()?;
        let mut arguments = env::args_os();
        let named = arguments.next().and_then(|name| named(&name, env::var_os("PATH").as_deref()));
        let file = named.filter(|file| file.canonicalize().is_ok_and(|file| file == running)).unwrap_or(running);
        Ok(Self { file, arguments: arguments.collect() })
    }

    /// The program's file, absolute.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Starts what the file is now, with the same arguments. What it is to take over comes over the channel.
    ///
    /// # Errors
    ///
    /// The system's own, when the file cannot be run.
    pub fn start_successor(&self) -> io::Result<Successor> {
        let (ours, theirs) = system::pair()?;
        let mut command = Command::new(&self.file);
        command.args(&self.arguments).env(PREDECESSOR, std::process::id().to_string()).stdin(theirs);
        // They speak of this process, not of that one. Without its process id the watchdog is anybody's.
        for ours_alone in ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_PID"] {
            command.env_remove(ours_alone);
        }
        let child = command.spawn()?;
        Ok(Successor { child: Some(child), channel: Arc::new(Channel(ours)) })
    }
}

/// The file that a command names, as a shell finds it.
fn named(name: &OsStr, folders: Option<&OsStr>) -> Option<PathBuf> {
    if Path::new(name).components().count() > 1 {
        return std::path::absolute(name).ok();
    }
    env::split_paths(folders?).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// The process that is to take over. It is killed when this drops before [`Successor::release`].
#[derive(Debug)]
pub struct Successor {
    child: Option<Child>,
    channel: Arc<Channel>,
}

impl Successor {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// The way to speak to it.
    pub fn channel(&self) -> Arc<Channel> {
        self.channel.clone()
    }

    /// How it ended, when it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().ok().flatten()
    }

    /// Lets it live.
    pub fn release(mut self) {
        self.child = None;
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            self.channel.close();
            // Fails only when it is gone already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Between the process that serves and the one that is to take over. Its calls block.
#[derive(Debug)]
pub struct Channel(system::Socket);

impl Channel {
    /// The way to the process that we are to take over from; `None` when there is none.
    ///
    /// To be called once: the channel is our standard input, which is `/dev/null` afterwards.
    ///
    /// # Errors
    ///
    /// The system's own, when standard input is no such channel.
    pub fn to_predecessor() -> io::Result<Option<Self>> {
        let is_ours = |id: OsString| id.to_str().and_then(|id| id.parse().ok()) == Some(system::parent());
        if !env::var_os(PREDECESSOR).is_some_and(is_ours) {
            return Ok(None);
        }
        system::take_standard_input().map(|socket| Some(Self(socket)))
    }

    /// Says a word, and gives a copy of a socket with it.
    ///
    /// # Errors
    ///
    /// The system's own, when the other side is gone.
    pub fn send(&self, word: &str, socket: Option<&TcpListener>) -> io::Result<()> {
        system::send(&self.0, word, socket)
    }

    /// Waits for a word, and the socket that came with it; `None` when the other side is gone.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] when nothing comes within `limit`.
    pub fn receive(&self, limit: Duration) -> io::Result<Option<(String, Option<TcpListener>)>> {
        system::receive(&self.0, limit)
    }

    /// Ends it on both sides; whoever waits is told.
    pub fn close(&self) {
        system::close(&self.0);
    }
}

/// Names the process that is to be taken over from. A parent that is another process means that the variable is a relic.
const PREDECESSOR: &str = "PORTVAKT_PREDECESSOR";

#[cfg(target_os = "linux")]
mod system {
    use std::fs::File;
    use std::io::{self, IoSlice, IoSliceMut};
    use std::mem::MaybeUninit;
    use std::net::TcpListener;
    use std::os::fd::{AsFd, OwnedFd};
    use std::process::Stdio;
    use std::time::Duration;

    use rustix::net::sockopt::{Timeout, set_socket_timeout};
    use rustix::net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
        SendFlags, Shutdown, SocketFlags, SocketType, recvmsg, sendmsg, shutdown, socketpair,
    };

    pub(super) type Socket = OwnedFd;

    pub(super) fn pair() -> io::Result<(Socket, Stdio)> {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((ours, Stdio::from(theirs)))
    }

    pub(super) fn parent() -> u32 {
        std::os::unix::process::parent_id()
    }

    pub(super) fn take_standard_input() -> io::Result<Socket> {
        let socket = io::stdin().as_fd().try_clone_to_owned()?;
        rustix::net::sockopt::socket_type(&socket)?;
        rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
        Ok(socket)
    }

    pub(super) fn send(socket: &Socket, word: &str, listener: Option<&TcpListener>) -> io::Result<()> {
        let given: Vec<_> = listener.iter().map(|listener| listener.as_fd()).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !given.is_empty() {
            // There is room for one.
            control.push(SendAncillaryMessage::ScmRights(&given));
        }
        sendmsg(socket, &[IoSlice::new(word.as_bytes())], &mut control, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    pub(super) fn receive(socket: &Socket, limit: Duration) -> io::Result<Option<(String, Option<TcpListener>)>> {
        set_socket_timeout(socket, Timeout::Recv, Some(limit))?;
        let mut text = [0; LONGEST];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(socket, &mut [IoSliceMut::new(&mut text)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
        let mut given = None;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                given = descriptors.into_iter().next().map(TcpListener::from);
            }
        }
        let word = String::from_utf8_lossy(&text[..received.bytes]).into_owned();
        Ok((received.bytes > 0).then_some((word, given)))
    }

    pub(super) fn close(socket: &Socket) {
        // Fails only when it is closed already.
        let _ = shutdown(socket, Shutdown::Both);
    }

    /// Bytes of a word.
    const LONGEST: usize = 256;
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;
    use std::net::TcpListener;
    use std::process::Stdio;
    use std::time::Duration;

    #[derive(Debug)]
    pub(super) struct Socket;

    pub(super) fn pair() -> io::Result<(Socket, Stdio)> {
        Err(unsupported())
    }

    pub(super) fn parent() -> u32 {
        0
    }

    pub(super) fn take_standard_input() -> io::Result<Socket> {
        Err(unsupported())
    }

    pub(super) fn send(_: &Socket, _: &str, _: Option<&TcpListener>) -> io::Result<()> {
        Err(unsupported())
    }

    pub(super) fn receive(_: &Socket, _: Duration) -> io::Result<Option<(String, Option<TcpListener>)>> {
        Err(unsupported())
    }

    pub(super) fn close(_: &Socket) {}

    fn unsupported() -> io::Error {
        io::Error::new(io::ErrorKind::Unsupported, "sockets are handed over on Linux only: stop and start it instead")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_command_when_it_is_a_path_or_a_name_then_the_file_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("portvakt");
        std::fs::write(&file, "").unwrap();

        assert_eq!(named("portvakt".as_ref(), Some(folder.path().as_os_str())), Some(file.clone()));
        assert_eq!(named("other".as_ref(), Some(folder.path().as_os_str())), None);
        assert_eq!(named(file.as_os_str(), None), Some(file));
        assert_eq!(named("./portvakt".as_ref(), None), std::path::absolute("portvakt").ok());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn given_a_channel_when_a_socket_is_sent_then_it_is_the_same_and_the_end_is_seen() {
        use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
        let pair = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        let (one, other) = (Channel(pair.0), Channel(pair.1));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();

        one.send("own", Some(&listener)).unwrap();
        one.send("done", None).unwrap();

        let limit = Duration::from_secs(10);
        let (word, socket) = other.receive(limit).unwrap().unwrap();
        assert_eq!((word.as_str(), socket.unwrap().local_addr().unwrap()), ("own", listener.local_addr().unwrap()));
        assert!(matches!(other.receive(limit).unwrap(), Some((word, None)) if word == "done"));
        assert_eq!(other.receive(Duration::from_millis(1)).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(one);
        assert!(other.receive(limit).unwrap().is_none());
    }
}
