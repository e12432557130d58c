//! Modes and `fsync` of POSIX.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

pub(super) fn create_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

pub(super) fn open_private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

pub(super) fn create_private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

pub(super) fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

pub(super) fn is_same_file(file: &File, path: &Path) -> io::Result<bool> {
    let (open, named) = (file.metadata()?, fs::metadata(path)?);
    Ok((open.dev(), open.ino()) == (named.dev(), named.ino()))
}

pub(super) fn let_all_read(file: &File) -> io::Result<()> {
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
    match File::open(path)?.sync_all() {
        // Some network and user-space file systems know no fsync of folders.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        result => result,
    }
}

pub(super) fn is_mode_too_open(path: &Path) -> io::Result<bool> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o077 != 0)
}

pub(super) fn is_open_to_all(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o004 != 0)
}

pub(super) fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o111 != 0)
}

/// By the kind of file system: memory, or the layer that a container has to itself.
#[cfg(target_os = "linux")]
pub(super) fn is_volatile(path: &Path) -> bool {
    const KINDS: [u32; 3] = [0x0102_1994, 0x8584_58f6, 0x794c_7630]; // tmpfs, ramfs, overlayfs of linux/magic.h
    let there = path.ancestors().find(|folder| folder.exists());
    let facts = there.and_then(|folder| rustix::fs::statfs(folder).ok());
    // As wide as a word of the processor, of which the kernel uses 32 bits.
    facts.is_some_and(|facts| KINDS.contains(&(facts.f_type as u32)))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn is_volatile(_path: &Path) -> bool {
    false
}

pub(super) fn own_group(command: &mut tokio::process::Command) {
    command.process_group(0);
}

pub(super) fn kill_group(id: u32) {
    let id = i32::try_from(id).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(id) = id {
        // It may have ended by itself.
        let _ = rustix::process::kill_process_group(id, rustix::process::Signal::KILL);
    }
}

/// As resolv.conf(5) has it: a file that names none, or is not there, means this machine.
pub(super) fn name_servers() -> io::Result<Vec<SocketAddr>> {
    let text = match fs::read("/etc/resolv.conf") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        other => other?,
    };
    let settings =
        resolv_conf::Config::parse(&text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    let mut servers: Vec<IpAddr> = settings.nameservers.into_iter().map(IpAddr::from).collect();
    if servers.is_empty() {
        servers.push(Ipv4Addr::LOCALHOST.into());
    }
    Ok(servers.into_iter().map(|server| SocketAddr::new(server, DNS)).collect())
}

const DNS: u16 = 53;

pub(super) fn user() -> String {
    format!("user id {}", rustix::process::geteuid().as_raw())
}

pub(super) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
