//! Whether state can be kept, and keys are kept to ourselves. Needs no network.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::finding::Finding;
use super::super::topic::Topic;
use crate::config::Config;
use crate::platform;
use crate::source::{FileForm, FileSettings, Settings};

pub(super) fn findings(config: &Config) -> Vec<Finding> {
    let mut findings: Vec<_> = state(config).into_iter().collect();
    let keys = stored_keys(&config.state_dir).into_iter().chain(configured_keys(config));
    let open = keys.filter(|key| platform::is_mode_too_open(key).unwrap_or(false));
    findings.extend(open.map(|key| {
        let detail = "others than its owner may read the private key".to_owned();
        Finding::mend(Topic::Storage, vec![("path", key.display().to_string()), ("detail", detail)])
    }));
    findings
}

/// One that is not there will be made, if the folder above it can be written.
fn state(config: &Config) -> Option<Finding> {
    let dir = config.state_dir.as_path();
    let fault = |path: &Path, detail: String| {
        Some(Finding::fault(Topic::Storage, vec![("path", path.display().to_string()), ("detail", detail)]))
    };
    let existing = dir.ancestors().find(|path| path.exists())?;
    if !existing.is_dir() {
        return fault(existing, "it is a file, not a folder".to_owned());
    }
    // With `user` set it is written by somebody else, whose rights `portvakt run` sees to.
    if config.run_as.is_some() && !platform::is_root() {
        return None;
    }
    match tempfile::tempfile_in(existing) {
        Ok(_) => None,
        Err(error) => fault(existing, format!("{} cannot write there: {error}", platform::user())),
    }
}

/// The keys of every generation in the state directory, of the internal CA and of accounts.
fn stored_keys(state: &Path) -> Vec<PathBuf> {
    let mut keys = Vec::new();
    let mut folders = vec![(state.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth < DEEPEST => folders.push((path, depth + 1)),
                Ok(kind) if kind.is_file() && (name == "key.pem" || name == "account.json") => keys.push(path),
                _ => {}
            }
        }
    }
    keys.sort();
    keys
}

fn configured_keys(config: &Config) -> Vec<PathBuf> {
    let of_sites = config.certificates.iter().filter_map(|certificate| match &certificate.source {
        Settings::Files(files) => Some(files),
        Settings::Acme(_) | Settings::Internal => None,
    });
    let of_clients = config.client_identities.iter().flat_map(|identity| {
        [Some(&identity.files), identity.next.as_ref().map(|next| &next.files)].into_iter().flatten()
    });
    let mut keys: Vec<_> = of_sites.chain(of_clients).map(key).collect();
    keys.sort();
    keys.dedup();
    keys
}

fn key(files: &FileSettings) -> PathBuf {
    match &files.form {
        FileForm::Pair { key, .. } => key.clone(),
        FileForm::Pkcs12(file) => file.clone(),
    }
}

/// `certs/NAME/GENERATION`.
const DEEPEST: usize = 3;
