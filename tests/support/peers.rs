//! Where the programs are that the tests talk to.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

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

/// The system's library `name`, a path below a folder for libraries.
///
/// # Panics
/// When it is missing.
pub(crate) fn library(name: &str) -> PathBuf {
    let folders = ["/usr/lib", "/usr/lib64", "/lib"].map(PathBuf::from);
    let below = |folder: &PathBuf| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut all = folders.iter().flat_map(|folder| below(folder).chain([folder.clone()]));
    let found = all.find_map(|folder| Some(folder.join(name)).filter(|path| path.is_file()));
    found.unwrap_or_else(|| panic!("`{name}` is missing\n  hint: run `tests/peers`, or `tests/run`, which calls it"))
}

/// Python with `bankid-sdk`, and no other packages of the user's.
///
/// # Panics
/// When it is missing.
pub(crate) fn python() -> Command {
    python_with("python", "bankid_sdk")
}

/// Python with the packages that `tests/peers` fetches into `folder`, `module` among them, and no others of the user's.
///
/// # Panics
/// When they are missing.
pub(crate) fn python_with(folder: &str, module: &str) -> Command {
    let packages = fetched().join(folder);
    let is_there = packages.join(module).is_dir();
    assert!(is_there, "`{module}` is missing\n  hint: run `tests/peers`, or `tests/run`, which calls it");
    let mut command = Command::new(program("python3"));
    command.arg("-s").env("PYTHONPATH", packages).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// The folder with what reads and judges files for Kubernetes.
///
/// # Panics
/// When it is missing.
pub(crate) fn kubernetes() -> PathBuf {
    let folder = fetched().join("kubernetes");
    let is_there = folder.join("helm_python").is_dir();
    assert!(is_there, "`helm-python-sdk` is missing\n  hint: run `tests/peers`, or `tests/run`, which calls it");
    folder
}

/// The folder that `tests/peers --dir` prints.
pub(crate) fn fetched() -> PathBuf {
    if let Some(dir) = env::var_os("PORTVAKT_PEERS") {
        return dir.into();
    }
    let home = env::var_os("HOME").unwrap_or_default();
    let cache = env::var_os("XDG_CACHE_HOME").map_or_else(|| Path::new(&home).join(".cache"), PathBuf::from);
    cache.join("portvakt/peers")
}
