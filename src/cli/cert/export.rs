//! `portvakt cert export NAME`.

use std::env;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use zeroize::Zeroizing;

use super::super::failure::Failure;
use super::super::print_out;
use super::super::settings::ConfigFile;
use super::find;
use crate::app;
use crate::causes::with_causes;
use crate::config::{self, Purpose};
use crate::pki::{self, Identity, Password, Readers};
use crate::platform;
use crate::source::files::FilesSource;
use crate::source::{CertificateSettings, Settings};

#[derive(Debug, Args)]
#[command(
    after_help = "Files that are there are never overwritten. A file with the key is for its owner alone (0600). Into a folder,
certificate and key are written as NAME.pem and NAME.key (der: NAME.der and NAME.key.der; p12: one NAME.p12;
pfx: the same as NAME.pfx); into a file, everything goes there (der: the certificate alone).
Windows before Server 2019 cannot read AES: give it --old, and a long password.

Examples:
  portvakt cert export app.example.com --out app.pem
  portvakt cert export app.example.com --out /etc/other --with-key
  portvakt cert export app.example.com --out app.p12 --format p12 --with-key --password-file p12.pass
  portvakt cert export app.example.com --out app.pfx --format pfx --with-key --password-env PFX_PASSWORD --old"
)]
pub(in crate::cli) struct Export {
    /// The certificate: a site's name, or one of its domains.
    name: String,
    /// Write to this file, or into this folder.
    #[arg(long, value_name = "DIR|FILE")]
    out: PathBuf,
    /// pem is the whole chain, der the leaf alone, p12 and pfx all in one file with a password.
    #[arg(long, value_enum, default_value = "pem")]
    format: Format,
    /// Write the private key too.
    #[arg(long)]
    with_key: bool,
    /// The password of a p12 or pfx stands in the only line of this file.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The password of a p12 or pfx stands in this variable of the environment.
    #[arg(long, value_name = "NAME", conflicts_with = "password_file")]
    password_env: Option<String>,
    /// Encrypt a p12 or pfx by 3DES and SHA-1, for Windows before Server 2019 and others that read nothing newer.
    #[arg(long)]
    old: bool,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Pem,
    P12,
    Pfx,
    Der,
}

impl Format {
    /// Certificate and key go into one file with a password.
    fn is_pkcs12(self) -> bool {
        matches!(self, Self::P12 | Self::Pfx)
    }
}

/// A file to be written.
struct Part {
    path: PathBuf,
    content: Zeroizing<Vec<u8>>,
    is_secret: bool,
}

impl Export {
    pub(super) fn carry_out(&self) -> Result<(), Failure> {
        let config = config::load(self.config.path(), Purpose::CheckOffline)?.config;
        let settings = find(&config, &self.name)?;
        let identity = identity(&config, settings)?;
        let parts = self.parts(&settings.name, &identity)?;
        if let Some(there) = parts.iter().find(|part| part.path.exists()) {
            return Err(is_there(&there.path));
        }
        for part in &parts {
            write(part).map_err(|error| not_written(&part.path, &error))?;
            print_out(&format!("{}\n", part.path.display()));
        }
        Ok(())
    }

    fn parts(&self, name: &str, identity: &Identity) -> Result<Vec<Part>, Failure> {
        let is_folder = self.out.is_dir() || self.out.as_os_str().to_string_lossy().ends_with(std::path::is_separator);
        if is_folder {
            fs::create_dir_all(&self.out).map_err(|error| not_written(&self.out, &error))?;
        }
        let path = |ending: &str| match is_folder {
            true => self.out.join(format!("{}.{ending}", file_name(name))),
            false => self.out.clone(),
        };
        let public = |ending, content: Vec<u8>| Part { path: path(ending), content: content.into(), is_secret: false };
        let secret = |ending, content| Part { path: path(ending), content, is_secret: true };
        let chain = identity.chain();
        let mut parts = match self.format {
            Format::Pem => vec![public("pem", chain.to_pem().into_bytes())],
            Format::Der => {
                vec![public("der", chain.certificates().first().map(|der| der.to_vec()).unwrap_or_default())]
            }
            Format::P12 => vec![secret("p12", self.pkcs12(name, identity)?)],
            Format::Pfx => vec![secret("pfx", self.pkcs12(name, identity)?)],
        };
        if self.with_key && !self.format.is_pkcs12() {
            let key = match self.format {
                Format::Pem => secret("key", Zeroizing::new(identity.key().to_pem().as_bytes().to_vec())),
                Format::Der | Format::P12 | Format::Pfx => {
                    secret("key.der", Zeroizing::new(identity.key().der().to_vec()))
                }
            };
            match (is_folder, self.format) {
                (true, _) => parts.push(key),
                (false, Format::Pem) => parts = vec![joined(&parts, key)],
                (false, Format::Der | Format::P12 | Format::Pfx) => return Err(one_file_for_two()),
            }
        }
        Ok(parts)
    }

    fn pkcs12(&self, name: &str, identity: &Identity) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let password = self.password()?;
        let key = self.with_key.then(|| identity.key());
        let readers = if self.old { Readers::Old } else { Readers::Modern };
        let file = pki::pkcs12(name, identity.chain(), key, &password, readers);
        file.map(Zeroizing::new).map_err(|error| Failure::Plain {
            what: "no PKCS#12 can be made".to_owned(),
            why: error.to_string(),
            fix: "take another `--format`".to_owned(),
        })
    }

    fn password(&self) -> Result<Password, Failure> {
        let (place, bytes) = match (&self.password_file, &self.password_env) {
            (Some(path), _) => (path.display().to_string(), fs::read(path).map_err(|error| error.to_string())),
            (None, Some(name)) => {
                let text = env::var(name).map_err(|_| "it is not set, or no text".to_owned());
                (format!("${name}"), text.map(String::into_bytes))
            }
            (None, None) => {
                let what = "`--format p12` and `pfx` need a password: `--password-file FILE` or `--password-env NAME`";
                return Err(Failure::Usage(what.to_owned()));
            }
        };
        let told = |why: String| no_password(format!("cannot take the password from `{place}`"), why);
        let bytes = Zeroizing::new(bytes.map_err(told)?);
        let password = Password::from_file(&bytes).map_err(|error| told(error.to_string()))?;
        if password.is_empty() { Err(told("it is empty".to_owned())) } else { Ok(password) }
    }
}

fn no_password(what: String, why: String) -> Failure {
    let fix =
        "name a file with the password in its only line, `--password-file FILE`, or a variable, `--password-env NAME`";
    Failure::Plain { what, why, fix: fix.to_owned() }
}

/// What is in service by what lies on the disk.
fn identity(config: &config::Config, settings: &CertificateSettings) -> Result<Identity, Failure> {
    let nothing = |why: String, fix: &str| Failure::Plain {
        what: format!("there is no certificate `{}` to export", settings.name),
        why,
        fix: fix.to_owned(),
    };
    if let Settings::Files(files) = &settings.source {
        let loaded = FilesSource::new(files.clone()).load();
        return loaded.map(|assembled| assembled.identity).map_err(|errors| {
            let why = errors.first().map(|error| with_causes(error)).unwrap_or_default();
            nothing(why, "see `portvakt check`, which names the place")
        });
    }
    let store = app::store(config)?;
    let stored = store.map(|store| store.load_identity(&settings.name)).transpose().map_err(super::store_failure)?;
    let nowhere = || format!("none was issued yet, or not kept in `{}`", config.state_dir.display());
    stored.flatten().map(|stored| stored.identity).ok_or_else(|| nothing(nowhere(), "see `portvakt cert show`"))
}

fn joined(parts: &[Part], key: Part) -> Part {
    let before: Vec<u8> = parts.iter().flat_map(|part| part.content.iter().copied()).collect();
    let mut content = Zeroizing::new(Vec::with_capacity(before.len() + key.content.len()));
    content.extend_from_slice(&before);
    content.extend_from_slice(&key.content);
    Part { path: key.path, content, is_secret: true }
}

/// Never over what is there; one that cannot be finished is taken away again.
fn write(part: &Part) -> io::Result<()> {
    let mut file = match part.is_secret {
        true => platform::create_private_file(&part.path)?,
        false => File::create_new(&part.path)?,
    };
    let written = file.write_all(&part.content).and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = fs::remove_file(&part.path);
    }
    written
}

/// `*` is no letter of a file's name everywhere.
fn file_name(name: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
    let name: String = name.chars().map(plain).collect();
    name.trim_start_matches('.').to_owned()
}

fn is_there(path: &Path) -> Failure {
    Failure::Plain {
        what: format!("`{}` is there already", path.display()),
        why: "an export overwrites nothing: it may be the only copy of a key".to_owned(),
        fix: "name another file with `--out`, or move this one away".to_owned(),
    }
}

fn not_written(path: &Path, error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::AlreadyExists {
        return is_there(path);
    }
    Failure::Plain {
        what: format!("cannot write `{}`", path.display()),
        why: error.to_string(),
        fix: "name a file in a folder that is there and that you may write".to_owned(),
    }
}

fn one_file_for_two() -> Failure {
    Failure::Plain {
        what: "certificate and key do not go into one DER file".to_owned(),
        why: "DER holds one thing".to_owned(),
        fix: "name a folder with `--out`, or take `--format pem` or `p12`".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_names_when_made_files_then_legal_everywhere_and_never_hidden() {
        for (name, file) in [("a.test", "a.test"), ("*.a.test", "_.a.test"), ("[::1]:443", "___1__443"), ("../x", "_x")]
        {
            assert_eq!(file_name(name), file);
        }
    }
}
