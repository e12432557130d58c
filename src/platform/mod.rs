//! What differs between operating systems: private files, signals, the service manager.
//!
//! In: paths, and what the system hands to a process. Out: folders and files that only our user can read, and the certainty
//! that they survive a power cut; the operator's wishes; words to whoever started us. Imports std, tokio's signals and
//! rustix; knows nothing of what the files hold.
//!
//! # Why
//!
//! Windows has no modes: a new file takes the access list of its folder, so the state directory's list, set when it was
//! made, guards everything below it. It also has no way to flush a folder; renames there are journalled by NTFS.

mod account;
mod bounded;
mod confine;
mod handover;
mod harden;
mod listen_fds;
mod local;
mod signal;
mod sockets;
mod supervisor;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use unix as system;
#[cfg(windows)]
use windows as system;

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

pub use account::{Account, group_names, is_root, knows_group, own_id, owner, user_names};
pub use bounded::{Ended, run_bounded};
pub use confine::{Access, CONFINE_FIX, Confinement, Places, can_confine, confine};
pub use handover::{Channel, Program, Successor};
pub use harden::{harden, raise_descriptor_limit};
pub use listen_fds::listen_fds;
pub use local::{LONGEST_LOCAL_PATH, LocalListener, LocalStream};
pub use signal::{Signal, Signals};
pub use sockets::{PortOwner, hold_writes, port_owners};
pub use supervisor::{Notice, Supervisor};

/// Creates a folder that only our user can enter (0700), and the folders above it.
///
/// # Errors
///
/// As [`std::fs::create_dir_all`]; none when it is there already.
pub fn create_private_dir(path: &Path) -> io::Result<()> {
    system::create_private_dir(path)
}

/// Opens a file for reading and writing, and creates it for our user alone (0600) when it is not there.
///
/// # Errors
///
/// As [`std::fs::OpenOptions::open`].
pub fn open_private_file(path: &Path) -> io::Result<File> {
    system::open_private_file(path)
}

/// Creates a file for our user alone (0600). One that is there already is not touched.
///
/// # Errors
///
/// As [`std::fs::OpenOptions::open`]; [`io::ErrorKind::AlreadyExists`] for a file that is there.
pub fn create_private_file(path: &Path) -> io::Result<File> {
    system::create_private_file(path)
}

/// Opens a file to append to, and creates it for our user and group (0640) when it is not there.
///
/// # Errors
///
/// As [`std::fs::OpenOptions::open`].
pub fn append_to(path: &Path) -> io::Result<File> {
    system::append_to(path)
}

/// Whether a name leads to an open file. On Windows an open file cannot be moved, so that it always does.
///
/// # Errors
///
/// As [`std::fs::metadata`].
pub fn is_same_file(file: &File, path: &Path) -> io::Result<bool> {
    system::is_same_file(file, path)
}

/// Lets every user of the machine read a file (0644), whatever the process' mask says. On Windows its folder decides.
///
/// # Errors
///
/// As [`File::set_permissions`].
pub fn let_all_read(file: &File) -> io::Result<()> {
    system::let_all_read(file)
}

/// Makes names created, renamed or removed in a folder durable.
///
/// # Errors
///
/// As [`File::sync_all`], but none from a file system that cannot flush folders: there is nothing to mend then.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    system::sync_dir(path)
}

/// Whether others than our user may read this file or enter this folder.
///
/// # Errors
///
/// As [`std::fs::metadata`].
pub fn is_mode_too_open(path: &Path) -> io::Result<bool> {
    system::is_mode_too_open(path)
}

/// Whether every user of the machine may read this file, whatever group they are in. What cannot be told is not.
pub fn is_open_to_all(path: &Path) -> bool {
    system::is_open_to_all(path)
}

/// Whether a file can be run as a program by somebody. On Windows that is not told by the file.
pub fn is_executable(path: &Path) -> bool {
    system::is_executable(path)
}

/// Whether what is written there is gone with the next start of the machine or the container. What cannot be told is not; a
/// folder that is not there yet is as the one that it will lie in.
pub fn is_volatile(path: &Path) -> bool {
    system::is_volatile(path)
}

/// Has a program started in a group of its own, so that [`kill_group`] reaches what it starts. Windows has no groups.
pub fn own_group(command: &mut tokio::process::Command) {
    system::own_group(command);
}

/// Kills every process of the group that begins with `id`, as far as there is one. Windows has no groups.
pub fn kill_group(id: u32) {
    system::kill_group(id);
}

/// The name servers that the system asks, in their order. Waits for the disk.
///
/// # Errors
///
/// The system's own, and [`io::ErrorKind::InvalidData`] for settings that cannot be read.
pub fn name_servers() -> io::Result<Vec<SocketAddr>> {
    system::name_servers()
}

/// Who we are to the file system, for messages.
pub fn user() -> String {
    match confine::is_confined() {
        false => system::user(),
        true => {
            format!("{} (which `landlock` confines to the folders that were configured at the start)", system::user())
        }
    }
}

/// The name of this machine; empty when it has none.
pub fn host_name() -> String {
    system::host_name()
}
