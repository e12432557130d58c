//! Access lists of Windows, inherited from the folder.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::SocketAddr;
use std::path::Path;

pub(super) fn create_private_dir(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

pub(super) fn open_private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

pub(super) fn create_private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

pub(super) fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

pub(super) fn is_same_file(_file: &File, path: &Path) -> io::Result<bool> {
    fs::metadata(path).map(|_| true)
}

pub(super) fn sync_dir(_path: &Path) -> io::Result<()> {
    Ok(())
}

pub(super) fn is_mode_too_open(path: &Path) -> io::Result<bool> {
    fs::metadata(path).map(|_| false)
}

pub(super) fn is_open_to_all(_path: &Path) -> bool {
    false
}

pub(super) fn let_all_read(_file: &std::fs::File) -> io::Result<()> {
    Ok(())
}

pub(super) fn is_executable(path: &Path) -> bool {
    path.is_file()
}

pub(super) fn is_volatile(_path: &Path) -> bool {
    false
}

pub(super) fn own_group(_command: &mut tokio::process::Command) {}

pub(super) fn kill_group(_id: u32) {}

/// Those of all network adapters that are up.
pub(super) fn name_servers() -> io::Result<Vec<SocketAddr>> {
    let adapters = ipconfig::get_adapters().map_err(io::Error::other)?;
    let up = adapters.iter().filter(|adapter| adapter.oper_status() == ipconfig::OperStatus::IfOperStatusUp);
    let servers = up.flat_map(|adapter| adapter.dns_servers().iter().copied());
    Ok(servers.map(|server| SocketAddr::new(server, DNS)).collect())
}

const DNS: u16 = 53;

pub(super) fn user() -> String {
    match std::env::var("USERNAME") {
        Ok(name) => format!("user `{name}`"),
        Err(_) => "the service's user".to_owned(),
    }
}

pub(super) fn host_name() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_default()
}
