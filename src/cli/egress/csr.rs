//! `portvakt egress csr`.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::super::failure::Failure;
use super::super::print_out;
use super::super::settings::ConfigFile;
use super::{find, load};
use crate::egress::Environment;
use crate::pki::{KeyError, LeafFacts, PrivateKey, request_like};
use crate::platform;
use crate::source::ClientIdentitySettings;

#[derive(Debug, Args)]
#[command(
    after_help = "Both files are new: NAME-next.key, which only your user can read and which never leaves this machine, and
NAME-next.p10, which goes to your bank, or to whoever issues the certificate. Nothing is overwritten.

Example:
  portvakt egress csr bankid --like current --out /etc/portvakt"
)]
pub(in crate::cli) struct Csr {
    /// The egress, or the upstream with an identity.
    name: String,
    /// Whose subject and kind of key to take.
    #[arg(long, value_name = "WHICH", default_value = "current")]
    like: Like,
    /// Write the files into this folder.
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Like {
    /// `identity`.
    Current,
    /// `next`.
    Next,
}

impl Csr {
    pub(super) fn carry_out(&self) -> Result<(), Failure> {
        let (config, settings) = find(&self.config, &self.name)?;
        let files = match (self.like, &settings.next) {
            (Like::Current, _) => &settings.files,
            (Like::Next, Some(next)) => &next.files,
            (Like::Next, None) => return Err(no_next(&settings)),
        };
        let chain = load(files)?.chain().clone();
        // Whole, since a configuration's paths begin at its own folder.
        let folder = std::path::absolute(&self.out).unwrap_or_else(|_| self.out.clone());
        let paths = Paths::new(&folder, &self.name);
        paths.refuse_present()?;
        let key = PrivateKey::generate_like(&chain.leaf().key_type).map_err(|error| cannot_make(&error))?;
        let request = request_like(&chain, &key).map_err(|error| cannot_make(&error))?;
        paths.write(&key, &request)?;
        let is_bankid = super::is_bankid(&config, &self.name);
        print_out(&self.told(&paths, chain.leaf(), is_bankid));
        Ok(())
    }

    /// What was made, and what to do next.
    fn told(&self, paths: &Paths, leaf: &LeafFacts, is_bankid: bool) -> String {
        let (key, request) = (paths.key.display(), paths.request.display());
        let certificate = paths.key.with_extension("pem");
        let certificate = certificate.display();
        let (name, kind) = (&self.name, &leaf.key_type);
        let whom = if is_bankid { "your bank" } else { "the issuer of the certificate" };
        let seen =
            if leaf.display_name.is_empty() { String::new() } else { format!("users see: {}\n", leaf.display_name) };
        let test = match Environment::of_identity(leaf) {
            Some(Environment::Test) => "(It has the names of a test certificate: no bank issues one for it.)\n",
            _ => "",
        };
        format!(
            "key:       {key}  ({kind}, for your user only)\n\
             request:   {request}\n\
             subject:   as of CN={}, every attribute as it is there\n\
             {seen}{test}\n\
             1. Send {request} to {whom}. Never send the key.\n\
             2. When the certificate comes, put it beside the key, let the user that portvakt runs as read both, and write\n\
             \x20  for `{name}`:\n\
             \x20  next = {{ chain = \"{certificate}\", key = \"{key}\" }}\n\
             3. `portvakt check`, then `portvakt egress check {name}`. It takes over when it is valid, or at `from`,\n\
             \x20  without a lost request.\n",
            leaf.common_name
        )
    }
}

/// Where the two files go.
struct Paths {
    key: PathBuf,
    request: PathBuf,
}

impl Paths {
    fn new(folder: &Path, name: &str) -> Self {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let name: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
        let name = name.trim_start_matches('.');
        Self { key: folder.join(format!("{name}-next.key")), request: folder.join(format!("{name}-next.p10")) }
    }

    /// A key for which a certificate is on its way must not be lost.
    fn refuse_present(&self) -> Result<(), Failure> {
        let Some(present) = [&self.key, &self.request].into_iter().find(|path| path.symlink_metadata().is_ok()) else {
            return Ok(());
        };
        Err(Failure::Plain {
            what: format!("`{}` is there already", present.display()),
            why: "it may belong to an order that is on its way, and is not overwritten".to_owned(),
            fix: "give another folder with `--out`, or move the file away".to_owned(),
        })
    }

    fn write(&self, key: &PrivateKey, request: &str) -> Result<(), Failure> {
        write_new(&self.key, key.to_pem().as_bytes()).map_err(|error| cannot_write(&self.key, &error))?;
        write_new(&self.request, request.as_bytes()).map_err(|error| {
            // Without its request the key is of no use to anybody.
            let _ = fs::remove_file(&self.key);
            cannot_write(&self.request, &error)
        })
    }
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = platform::create_private_file(path)?;
    file.write_all(content).and_then(|()| file.sync_all()).inspect_err(|_| {
        let _ = fs::remove_file(path);
    })
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::Plain {
        what: format!("cannot write `{}`", path.display()),
        why: error.to_string(),
        fix: "name a folder that is there and that you may write, with `--out`".to_owned(),
    }
}

fn cannot_make(error: &KeyError) -> Failure {
    Failure::Plain {
        what: "no request can be made like that certificate".to_owned(),
        why: crate::causes::with_causes(error),
        fix: "make key and request with the tool of your bank, or with `openssl req`".to_owned(),
    }
}

fn no_next(settings: &ClientIdentitySettings) -> Failure {
    Failure::Plain {
        what: format!("`{}` has no `next`", settings.name),
        why: "the request was to have its names".to_owned(),
        fix: "use `--like current`".to_owned(),
    }
}
