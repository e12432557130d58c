//! Where the programs are that the tests talk to.

use std::env;
use std::path::{Path, PathBuf};

/// The program `name`: of the folder that `tests/peers` fills, else of the system.
///
/// # Panics
/// When it is missing: a test that is left out proves nothing.
pub(crate) fn program(name: &str) -> PathBuf {
    let mut folders = vec![fetched().join("bin")];
    folders.extend(env::var_os("PATH").iter().flat_map(env::split_paths));
    folders.extend(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    let found = folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("`{name}` is missing\n  hint: run `tests/peers`, or `tests/run`, which calls it"))
}

/// The folder that `tests/peers --dir` prints.
fn fetched() -> PathBuf {
    if let Some(dir) = env::var_os("PORTVAKT_PEERS") {
        return dir.into();
    }
    let home = env::var_os("HOME").unwrap_or_default();
    let cache = env::var_os("XDG_CACHE_HOME").map_or_else(|| Path::new(&home).join(".cache"), PathBuf::from);
    cache.join("portvakt/peers")
}
