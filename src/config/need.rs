//! What a configuration needs of the file system.

use std::path::{Path, PathBuf};

use super::Config;
use crate::egress::Listen;
use crate::notify::Channel;
use crate::platform::Access;
use crate::source::Settings;
use crate::source::acme::ProviderSettings;

/// A file or a folder that a configuration names, and what is done with it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// What is done with it.
    pub access: Access,
    /// As configured, absolute.
    pub path: PathBuf,
    is_folder: bool,
}

impl Need {
    /// A program beside those that are configured.
    pub fn program(path: impl Into<PathBuf>) -> Self {
        Self::file(Access::Run, path)
    }

    fn file(access: Access, path: impl Into<PathBuf>) -> Self {
        Self { access, path: path.into(), is_folder: false }
    }

    /// The folder as it is named.
    pub(super) fn folder(&self) -> &Path {
        if self.is_folder { &self.path } else { self.path.parent().unwrap_or(&self.path) }
    }

    /// The folders that a right has to be to.
    ///
    /// # Why
    ///
    /// Files are renewed by renaming another over them, which a right to the one that is gone does not cover. So it is to the
    /// folder of the file, and to that of the one it leads to when it is a link. Of a file at the root of all it is to the file
    /// alone: that folder would be everything.
    pub fn folders(&self) -> Vec<PathBuf> {
        if self.is_folder {
            return vec![self.path.clone()];
        }
        let real = self.path.canonicalize().ok().map(|real| folder(&real));
        let mut folders: Vec<_> = std::iter::once(folder(&self.path)).chain(real).collect();
        folders.dedup();
        folders
    }
}

/// All that a configuration names, each once.
pub fn needs(config: &Config) -> Vec<Need> {
    let mut needs = vec![Need { access: Access::Write, path: config.state_dir.clone(), is_folder: true }];
    needs.extend(config.files.iter().map(|file| Need::file(Access::Read, file)));
    needs.extend(written(config).map(|file| Need::file(Access::Write, file)));
    needs.extend(programs(config).map(|file| Need::file(Access::Run, file)));
    needs.sort();
    needs.dedup();
    needs
}

/// Files that are made where there are none.
fn written(config: &Config) -> impl Iterator<Item = &Path> {
    let log = config.log.access.as_ref().and_then(|log| log.path.as_deref());
    let accounts = providers(config).filter_map(|provider| match provider {
        ProviderSettings::AcmeDns(settings) => Some(settings.account_file.as_path()),
        ProviderSettings::Rfc2136(_) | ProviderSettings::Exec(_) => None,
    });
    sockets(config).chain(log).chain(config.textfile.as_deref()).chain(accounts)
}

/// The sockets that are opened by a path.
pub fn sockets(config: &Config) -> impl Iterator<Item = &Path> {
    let of_egress = config.egress.iter().filter_map(|egress| match &egress.settings.listen {
        Listen::Unix { path, .. } => Some(path.as_path()),
        Listen::Tcp(_) => None,
    });
    std::iter::once(config.control.as_path()).chain(of_egress)
}

/// Programs of the operator's.
fn programs(config: &Config) -> impl Iterator<Item = &str> {
    let of_dns = providers(config).filter_map(|provider| match provider {
        ProviderSettings::Exec(settings) => settings.command.first(),
        ProviderSettings::Rfc2136(_) | ProviderSettings::AcmeDns(_) => None,
    });
    let of_notify = config.notify.iter().filter_map(|settings| match &settings.channel {
        Channel::Program(settings) => settings.command.first(),
        Channel::Webhook(_) | Channel::Mail(_) => None,
    });
    of_dns.chain(of_notify).map(String::as_str)
}

fn providers(config: &Config) -> impl Iterator<Item = &ProviderSettings> {
    let cas = config.certificates.iter().filter_map(|certificate| match &certificate.source {
        Settings::Acme(cas) => Some(cas),
        Settings::Internal | Settings::Files(_) => None,
    });
    cas.flat_map(|cas| cas.iter()).filter_map(|ca| ca.dns.as_ref()?.provider.as_ref())
}

fn folder(file: &Path) -> PathBuf {
    let folder = file.parent().filter(|folder| folder.parent().is_some());
    folder.unwrap_or(file).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_files_when_their_folders_are_asked_for_then_never_everything() {
        for (file, expected) in
            [("/no/etc/a.toml", "/no/etc"), ("/no/a", "/no"), ("/no-such-file", "/no-such-file"), ("/", "/")]
        {
            assert_eq!(Need::file(Access::Read, file).folders(), [PathBuf::from(expected)], "{file}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn given_a_link_when_its_folders_are_asked_for_then_that_of_the_file_too() {
        let (named, real) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(real.path().join("a.pem"), "").unwrap();
        std::os::unix::fs::symlink(real.path().join("a.pem"), named.path().join("a.pem")).unwrap();
        let folders = Need::file(Access::Read, named.path().join("a.pem")).folders();
        assert_eq!(folders, [named.path().to_owned(), real.path().canonicalize().unwrap()]);
    }
}
