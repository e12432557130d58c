//! A machine that is the same everywhere.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use portvakt::config::Environment;
use portvakt::time::Timestamp;

/// A machine on the first of June 2026, without IPv6, whose port 81 is taken and whose port 82 is forbidden, with
/// a user and a group `portvakt`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FixedMachine {
    /// We run as root.
    pub(crate) is_root: bool,
    /// The user has no home.
    pub(crate) is_homeless: bool,
}

impl Environment for FixedMachine {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(1_780_272_000)
    }

    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "HOME" if !self.is_homeless => Some("/home/operator".to_owned()),
            "APP_HOST" => Some("127.0.0.1".to_owned()),
            _ => None,
        }
    }

    fn is_root(&self) -> bool {
        self.is_root
    }

    fn knows_user(&self, name: &str) -> bool {
        ["root", "nobody", "portvakt"].contains(&name)
    }

    fn knows_group(&self, name: &str) -> bool {
        ["root", "nogroup", "portvakt"].contains(&name)
    }

    fn accounts(&self) -> Vec<String> {
        ["root", "nobody", "nogroup", "portvakt"].map(str::to_owned).to_vec()
    }

    fn try_listen(&self, address: SocketAddr) -> io::Result<()> {
        match address.port() {
            81 => Err(ErrorKind::AddrInUse.into()),
            82 => Err(ErrorKind::PermissionDenied.into()),
            83 => Err(ErrorKind::AddrNotAvailable.into()),
            _ => Ok(()),
        }
    }
}
