//! What a process may do no more, and how many files it may open.

use std::io;

/// Lets no memory reach a disk or another process of the same user, and no program that we start gain rights.
///
/// To be called before the first thread starts. Does nothing on Windows, where memory is dumped only when an administrator
/// has asked for it.
///
/// # Why
///
/// Keys are in memory. A core dump would write them to a disk, and without `PR_SET_DUMPABLE` every process of the same user
/// could read them. The numbers that the metrics `process_*` are made of stay readable for ourselves: a process may always
/// look at its own `/proc/self/stat`, `limits` and `fd`.
///
/// # Errors
///
/// The system's own.
pub fn harden() -> io::Result<()> {
    system::harden()
}

/// Raises the number of files and sockets that may be open to what the system allows at most, and gives it; `None` is no
/// limit that we know.
///
/// # Errors
///
/// The system's own; the number stays as it was then.
pub fn raise_descriptor_limit() -> io::Result<Option<u64>> {
    system::raise_descriptor_limit()
}

#[cfg(unix)]
mod system {
    use std::io;

    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    pub(super) fn harden() -> io::Result<()> {
        setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
        only_on_linux()
    }

    #[cfg(target_os = "linux")]
    fn only_on_linux() -> io::Result<()> {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        use rustix::thread::set_no_new_privs;
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
        hand_low_ports_on()?;
        set_no_new_privs(true)?;
        Ok(())
    }

    /// A file with the right to low ports (setcap) gives it no more after `no_new_privs`, so what an upgrade starts has to
    /// inherit it. Under systemd's AmbientCapabilities= it does already, and the unit's filter forbids capset.
    #[cfg(target_os = "linux")]
    fn hand_low_ports_on() -> io::Result<()> {
        use rustix::thread::{
            CapabilitySet, capabilities, capability_is_in_ambient_set, configure_capability_in_ambient_set,
            set_capabilities,
        };
        let low_ports = CapabilitySet::NET_BIND_SERVICE;
        if rustix::process::geteuid().is_root() || capability_is_in_ambient_set(low_ports)? {
            return Ok(());
        }
        let mut rights = capabilities(None)?;
        if rights.permitted.contains(low_ports) {
            rights.inheritable |= low_ports;
            set_capabilities(None, rights)?;
            configure_capability_in_ambient_set(low_ports, true)?;
        }
        Ok(())
    }

    #[cfg(not(target_os = "linux"))]
    fn only_on_linux() -> io::Result<()> {
        Ok(())
    }

    pub(super) fn raise_descriptor_limit() -> io::Result<Option<u64>> {
        let limit = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
        Ok(limit.maximum)
    }
}

#[cfg(windows)]
mod system {
    use std::io;

    pub(super) fn harden() -> io::Result<()> {
        Ok(())
    }

    pub(super) fn raise_descriptor_limit() -> io::Result<Option<u64>> {
        Ok(None)
    }
}
