//! Users, and becoming one: rights are given up before the first thread starts.
//!
//! # Why
//!
//! The kernel keeps rights for each thread; what the first one gives up before there are others, none of them has. Windows
//! services are given their account by the service manager.

use std::io;
use std::path::Path;

/// A user and a group, as the system knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Name of the user.
    pub name: String,
    /// Number of the user.
    pub user: u32,
    /// Number of the group.
    pub group: u32,
}

impl Account {
    /// Looks up a user, and a group in place of the user's own; `None` when the system knows either not.
    ///
    /// # Errors
    ///
    /// The system's own, when it cannot be asked.
    pub fn find(user: &str, group: Option<&str>) -> io::Result<Option<Self>> {
        system::find(user, group)
    }

    /// Becomes this user for ever: no other groups, and no right but the one to open ports below 1024, where it was there.
    ///
    /// # Errors
    ///
    /// When other threads run already, or the rights to do it are missing.
    pub fn become_it(&self) -> io::Result<()> {
        system::become_it(self)
    }

    /// Makes a folder for this user alone (0700), and the folders above it that are missing.
    ///
    /// # Errors
    ///
    /// As [`std::fs::create_dir_all`].
    pub fn create_private_dir(&self, path: &Path) -> io::Result<()> {
        system::create_private_dir(path, self)
    }
}

/// Whether we have every right on this machine.
pub fn is_root() -> bool {
    system::own_id() == Some(0)
}

/// Number of the user that we are; `None` where users have none.
pub fn own_id() -> Option<u32> {
    system::own_id()
}

/// Number of the user that a file or folder belongs to; `None` where users have none.
///
/// # Errors
///
/// As [`std::fs::metadata`].
pub fn owner(path: &Path) -> io::Result<Option<u32>> {
    system::owner(path)
}

/// Whether the system knows this group.
pub fn knows_group(name: &str) -> bool {
    system::knows_group(name)
}

/// Names of users, to find the one that was meant.
pub fn user_names() -> Vec<String> {
    system::names("/etc/passwd")
}

/// Names of groups, to find the one that was meant.
pub fn group_names() -> Vec<String> {
    system::names("/etc/group")
}

#[cfg(unix)]
mod system {
    use std::io;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    use nix::unistd::{Gid, Group, Uid, User, setgid, setgroups, setuid};

    use super::Account;

    pub(super) fn find(user: &str, group: Option<&str>) -> io::Result<Option<Account>> {
        let Some(found) = User::from_name(user)? else { return Ok(None) };
        let group = match group {
            Some(name) => Group::from_name(name)?.map(|group| group.gid),
            None => Some(found.gid),
        };
        Ok(group.map(|group| Account { name: found.name, user: found.uid.as_raw(), group: group.as_raw() }))
    }

    pub(super) fn become_it(account: &Account) -> io::Result<()> {
        require_one_thread()?;
        let kept = rights::keep_over_change()?;
        setgroups(&[])?;
        setgid(Gid::from_raw(account.group))?;
        setuid(Uid::from_raw(account.user))?;
        rights::drop_all_but(kept)?;
        if account.user != 0 && setuid(Uid::from_raw(0)).is_ok() {
            return Err(io::Error::other("root can be become again"));
        }
        Ok(())
    }

    pub(super) fn create_private_dir(path: &Path, account: &Account) -> io::Result<()> {
        let missing: Vec<_> = path.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !dir.exists()).collect();
        crate::platform::create_private_dir(path)?;
        for dir in missing {
            std::os::unix::fs::chown(dir, Some(account.user), Some(account.group))?;
        }
        Ok(())
    }

    pub(super) fn own_id() -> Option<u32> {
        Some(rustix::process::geteuid().as_raw())
    }

    pub(super) fn owner(path: &Path) -> io::Result<Option<u32>> {
        std::fs::metadata(path).map(|about| Some(about.uid()))
    }

    pub(super) fn knows_group(name: &str) -> bool {
        Group::from_name(name).is_ok_and(|found| found.is_some())
    }

    pub(super) fn names(file: &str) -> Vec<String> {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        text.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.to_owned()).collect()
    }

    /// Where threads cannot be counted, nothing is said of them.
    fn require_one_thread() -> io::Result<()> {
        match std::fs::read_dir("/proc/self/task").map(Iterator::count) {
            Ok(threads) if threads > 1 => Err(io::Error::other(format!("{threads} threads run already"))),
            _ => Ok(()),
        }
    }

    #[cfg(target_os = "linux")]
    mod rights {
        use std::io;

        use rustix::thread::{
            CapabilitySet, CapabilitySets, capabilities, configure_capability_in_ambient_set, set_capabilities,
            set_keep_capabilities,
        };

        /// What is kept of our rights when the user changes.
        pub(super) fn keep_over_change() -> io::Result<CapabilitySet> {
            set_keep_capabilities(true)?;
            Ok(capabilities(None)?.permitted & CapabilitySet::NET_BIND_SERVICE)
        }

        /// The program that an upgrade starts has them too.
        pub(super) fn drop_all_but(kept: CapabilitySet) -> io::Result<()> {
            set_keep_capabilities(false)?;
            set_capabilities(None, CapabilitySets { effective: kept, permitted: kept, inheritable: kept })?;
            if !kept.is_empty() {
                configure_capability_in_ambient_set(kept, true)?;
            }
            Ok(())
        }
    }

    #[cfg(not(target_os = "linux"))]
    mod rights {
        pub(super) fn keep_over_change() -> std::io::Result<()> {
            Ok(())
        }

        pub(super) fn drop_all_but((): ()) -> std::io::Result<()> {
            Ok(())
        }
    }
}

#[cfg(windows)]
mod system {
    use std::io;
    use std::path::Path;

    use super::Account;

    pub(super) fn find(_: &str, _: Option<&str>) -> io::Result<Option<Account>> {
        Err(unsupported())
    }

    pub(super) fn become_it(_: &Account) -> io::Result<()> {
        Err(unsupported())
    }

    pub(super) fn create_private_dir(path: &Path, _: &Account) -> io::Result<()> {
        crate::platform::create_private_dir(path)
    }

    pub(super) fn own_id() -> Option<u32> {
        None
    }

    pub(super) fn owner(_: &Path) -> io::Result<Option<u32>> {
        Ok(None)
    }

    pub(super) fn knows_group(_: &str) -> bool {
        false
    }

    pub(super) fn names(_: &str) -> Vec<String> {
        Vec::new()
    }

    fn unsupported() -> io::Error {
        io::Error::new(io::ErrorKind::Unsupported, "on Windows the service manager sets the account")
    }
}
