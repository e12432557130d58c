//! What a configuration asks of the machine, apart from files.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::{env, io};

use crate::platform::{self, Places};
use crate::time::{Clock, SystemClock, Timestamp};

/// The machine, as far as a configuration depends on it. Tests give their own.
pub trait Environment {
    /// The time that validity is judged by.
    fn now(&self) -> Timestamp;

    /// An environment variable; `None` when it is not set or not Unicode.
    fn variable(&self, name: &str) -> Option<String>;

    /// Whether we run as root, so that the state belongs to the system.
    fn is_root(&self) -> bool;

    /// Whether the system knows this user.
    fn knows_user(&self, name: &str) -> bool;

    /// Whether the system knows this group.
    fn knows_group(&self, name: &str) -> bool;

    /// Users and groups, to find the one that was meant.
    fn accounts(&self) -> Vec<String>;

    /// Whether an address can be listened on now.
    ///
    /// # Errors
    ///
    /// What the system says when it cannot.
    fn try_listen(&self, address: SocketAddr) -> io::Result<()>;

    /// Whether what is written there is gone with the next start of the machine or the container.
    fn is_volatile(&self, path: &Path) -> bool;

    /// Whether a process can confine itself here (`landlock`).
    ///
    /// # Errors
    ///
    /// Why it cannot.
    fn can_confine(&self) -> io::Result<()>;

    /// What the process that is to have the configuration can open since its start; `None` is whatever the system lets it.
    fn granted(&self) -> Option<&Places>;
}

/// The machine that this process runs on.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    granted: Option<Places>,
}

impl Machine {
    /// The same, of which this process can open `granted` and nothing else.
    pub fn confined_to(granted: Option<Places>) -> Self {
        Self { granted }
    }
}

impl Environment for Machine {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    fn variable(&self, name: &str) -> Option<String> {
        env::var(name).ok()
    }

    fn is_root(&self) -> bool {
        platform::is_root()
    }

    fn knows_user(&self, name: &str) -> bool {
        platform::Account::find(name, None).is_ok_and(|found| found.is_some())
    }

    fn knows_group(&self, name: &str) -> bool {
        platform::knows_group(name)
    }

    fn accounts(&self) -> Vec<String> {
        [platform::user_names(), platform::group_names()].concat()
    }

    fn try_listen(&self, address: SocketAddr) -> io::Result<()> {
        TcpListener::bind(address).map(drop)
    }

    fn is_volatile(&self, path: &Path) -> bool {
        platform::is_volatile(path)
    }

    fn can_confine(&self) -> io::Result<()> {
        platform::can_confine()
    }

    fn granted(&self) -> Option<&Places> {
        self.granted.as_ref()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A machine on which every address is free: variables, and whether we are root.
    pub(in crate::config) struct With<'a>(pub &'a [(&'a str, &'a str)], pub bool);

    impl Environment for With<'_> {
        fn now(&self) -> Timestamp {
            Timestamp::default()
        }

        fn variable(&self, name: &str) -> Option<String> {
            self.0.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        }

        fn is_root(&self) -> bool {
            self.1
        }

        fn knows_user(&self, _: &str) -> bool {
            true
        }

        fn knows_group(&self, _: &str) -> bool {
            true
        }

        fn accounts(&self) -> Vec<String> {
            Vec::new()
        }

        fn try_listen(&self, _: SocketAddr) -> io::Result<()> {
            Ok(())
        }

        fn is_volatile(&self, _: &Path) -> bool {
            false
        }

        fn can_confine(&self) -> io::Result<()> {
            Ok(())
        }

        fn granted(&self) -> Option<&Places> {
            None
        }
    }
}
