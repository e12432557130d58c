//! The service manager that started us: sd_notify(3).

use std::env;
use std::io;
use std::time::Duration;

/// Who wants to hear how the process is; perhaps nobody.
#[derive(Debug, Default)]
pub struct Supervisor {
    socket: Option<system::Socket>,
    watchdog: Option<Duration>,
}

/// What it can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice<'a> {
    /// Serving; also the end of a reload.
    Ready,
    /// The configuration is being read again.
    Reloading,
    /// The end has begun.
    Stopping,
    /// Not stuck.
    Alive,
    /// The process is taken over by the one with this id.
    MainProcess(u32),
    /// Needs this much more time from now on.
    MoreTime(Duration),
    /// For people, in one line.
    Status(&'a str),
}

impl Supervisor {
    /// As the environment names it: `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`.
    ///
    /// # Errors
    ///
    /// When `NOTIFY_SOCKET` is no address that this system knows.
    pub fn from_environment() -> io::Result<Self> {
        let Some(name) = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Ok(Self::default());
        };
        let variable = |name| env::var(name).ok();
        let watchdog = watchdog(variable("WATCHDOG_USEC").as_deref(), variable("WATCHDOG_PID").as_deref());
        Ok(Self { socket: Some(system::Socket::new(&name)?), watchdog })
    }

    /// Within which time it wants to hear [`Notice::Alive`]; `None` when it does not ask for it.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Tells it; nothing happens when there is nobody to tell. Blocks for a second at most.
    ///
    /// # Errors
    ///
    /// The system's own, when the message cannot be sent.
    pub fn tell(&self, notices: &[Notice<'_>]) -> io::Result<()> {
        match &self.socket {
            Some(socket) => socket.send(&message(notices, system::monotonic())),
            None => Ok(()),
        }
    }
}

/// The time limit, unless it is meant for another process.
fn watchdog(limit: Option<&str>, process: Option<&str>) -> Option<Duration> {
    let is_ours = process.is_none_or(|id| id.parse() == Ok(std::process::id()));
    let limit = limit.and_then(|text| text.parse().ok()).filter(|micros| *micros > 0 && is_ours);
    limit.map(Duration::from_micros)
}

fn message(notices: &[Notice<'_>], monotonic: Duration) -> String {
    let lines: Vec<_> = notices
        .iter()
        .map(|notice| match notice {
            Notice::Ready => "READY=1".to_owned(),
            // By the time it carries the manager knows which of its wishes is being carried out.
            Notice::Reloading => format!("RELOADING=1\nMONOTONIC_USEC={}", monotonic.as_micros()),
            Notice::Stopping => "STOPPING=1".to_owned(),
            Notice::Alive => "WATCHDOG=1".to_owned(),
            Notice::MainProcess(id) => format!("MAINPID={id}"),
            Notice::MoreTime(time) => format!("EXTEND_TIMEOUT_USEC={}", time.as_micros()),
            // A line break would begin another assignment.
            Notice::Status(text) => format!("STATUS={}", text.replace(['\n', '\r'], " ")),
        })
        .collect();
    lines.join("\n")
}

#[cfg(unix)]
mod system {
    use std::ffi::OsStr;
    use std::io;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    use std::time::Duration;

    #[derive(Debug)]
    pub(super) struct Socket(SocketAddr);

    impl Socket {
        pub(super) fn new(name: &OsStr) -> io::Result<Self> {
            match name.as_bytes() {
                [b'@', name @ ..] => abstract_address(name).map(Self),
                [b'/', ..] => SocketAddr::from_pathname(name).map(Self),
                _ => Err(unknown("it begins with neither `/` nor `@`")),
            }
        }

        /// A new socket each time, as sd_notify(3) does: the manager may have made its own anew.
        pub(super) fn send(&self, message: &str) -> io::Result<()> {
            let socket = UnixDatagram::unbound()?;
            socket.set_write_timeout(Some(PATIENCE))?;
            socket.send_to_addr(message.as_bytes(), &self.0).map(drop)
        }
    }

    #[cfg(target_os = "linux")]
    fn abstract_address(name: &[u8]) -> io::Result<SocketAddr> {
        use std::os::linux::net::SocketAddrExt;
        SocketAddr::from_abstract_name(name)
    }

    #[cfg(not(target_os = "linux"))]
    fn abstract_address(_name: &[u8]) -> io::Result<SocketAddr> {
        Err(unknown("this system has no abstract sockets"))
    }

    fn unknown(why: &str) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidInput, why)
    }

    /// Since the machine was started, as the service manager counts it.
    pub(super) fn monotonic() -> Duration {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        Duration::try_from(now).unwrap_or_default()
    }

    /// A manager that is stuck must not hold us up.
    const PATIENCE: Duration = Duration::from_secs(1);
}

#[cfg(windows)]
mod system {
    use std::ffi::OsStr;
    use std::io;
    use std::time::Duration;

    #[derive(Debug)]
    pub(super) struct Socket;

    impl Socket {
        pub(super) fn new(_name: &OsStr) -> io::Result<Self> {
            Err(io::Error::new(io::ErrorKind::Unsupported, "Windows has no notification socket"))
        }

        pub(super) fn send(&self, _message: &str) -> io::Result<()> {
            Ok(())
        }
    }

    pub(super) fn monotonic() -> Duration {
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_notices_when_written_then_one_assignment_a_line() {
        for (notices, expected) in [
            (&[Notice::Ready, Notice::Status("serving")][..], "READY=1\nSTATUS=serving"),
            (&[Notice::Reloading], "RELOADING=1\nMONOTONIC_USEC=2000001"),
            (
                &[Notice::Stopping, Notice::MoreTime(Duration::from_secs(35))],
                "STOPPING=1\nEXTEND_TIMEOUT_USEC=35000000",
            ),
            (&[Notice::Alive], "WATCHDOG=1"),
            (&[Notice::MainProcess(7)], "MAINPID=7"),
            (&[Notice::Status("a\nREADY=1\rb")], "STATUS=a READY=1 b"),
        ] {
            assert_eq!(message(notices, Duration::from_micros(2_000_001)), expected);
        }
    }

    #[test]
    fn given_a_watchdog_when_meant_for_us_then_its_limit() {
        let own = std::process::id().to_string();
        for (limit, process, expected) in [
            (Some("20000000"), Some(own.as_str()), Some(Duration::from_secs(20))),
            (Some("20000000"), None, Some(Duration::from_secs(20))),
            (Some("20000000"), Some("1"), None),
            (Some("20000000"), Some("x"), None),
            (Some("0"), None, None),
            (Some("-1"), None, None),
            (None, None, None),
        ] {
            assert_eq!(watchdog(limit, process), expected, "{limit:?} {process:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn given_an_abstract_socket_when_told_then_it_arrives() {
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::net::{SocketAddr, UnixDatagram};
        let name = format!("portvakt-test-{}", std::process::id());
        let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let socket = system::Socket::new(format!("@{name}").as_ref()).unwrap();

        Supervisor { socket: Some(socket), watchdog: None }.tell(&[Notice::Ready]).unwrap();

        let mut message = [0; 64];
        let length = manager.recv(&mut message).unwrap();
        assert_eq!(&message[..length], b"READY=1");
        assert!(system::Socket::new("elsewhere".as_ref()).is_err());
    }
}
