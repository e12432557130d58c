//! Identities in files, of a site or of a client: which files they are, and what is wrong with them.

use std::path::{Path, PathBuf};

use super::section::{Section, Text};
use super::{Check, causes};
use crate::config::code::Code;
use crate::config::problem::{Problem, quoted};
use crate::config::secret;
use crate::pki::{Assembled, IdentityError, KeyError, Password, Pkcs12Error};
use crate::source::files::{FilesError, FilesSource};
use crate::source::{FileForm, FileSettings, PasswordSource};

/// An identity in files, as far as it can be told.
pub(super) struct Files<'a> {
    pub(super) settings: FileSettings,
    /// The file that it is named by; `None` when that is not written.
    pub(super) main: Option<Text<'a>>,
    /// What they hold; `None` when files are not opened, or a problem was reported.
    pub(super) held: Option<Assembled>,
}

/// Reads the table that stands at `key`, and the files that it names where files may be opened.
pub(super) fn read<'a>(check: &mut Check<'_>, section: &Section<'a>, key: &str) -> Files<'a> {
    let mut named = Named::default();
    let password = password(check, section, &mut named);
    let form = if section.lacks("pkcs12") {
        pair(check, section, key, &mut named)
    } else {
        pkcs12(check, section, &mut named)
    };
    let settings = FileSettings { form, password };
    let main = named.of(settings.main()).map(|(text, _)| text);
    let held = (check.opens_files() && named.is_whole()).then(|| load(check, &settings, &named)).flatten();
    Files { settings, main, held }
}

fn load(check: &mut Check<'_>, settings: &FileSettings, named: &Named<'_>) -> Option<Assembled> {
    match FilesSource::new(settings.clone()).load() {
        Ok(assembled) => Some(assembled),
        Err(errors) => {
            errors.iter().for_each(|error| report(check, error, named));
            None
        }
    }
}

/// Files as the operator names them.
#[derive(Default)]
struct Named<'a> {
    files: Vec<(PathBuf, Text<'a>, &'static str)>,
    lacks: bool,
}

impl<'a> Named<'a> {
    /// Notes a file; `what` is what it should hold.
    fn add(&mut self, check: &mut Check<'_>, text: Option<Text<'a>>, what: &'static str) -> PathBuf {
        let Some(text) = text else {
            self.lacks = true;
            return PathBuf::new();
        };
        let path = check.path(text);
        self.files.push((path.clone(), text, what));
        path
    }

    fn is_whole(&self) -> bool {
        !self.lacks
    }

    /// As it is written, and what it should hold. Every path in an error is one that was noted.
    fn of(&self, path: &Path) -> Option<(Text<'a>, &'static str)> {
        self.files.iter().find(|(known, ..)| known == path).map(|(_, text, what)| (*text, *what))
    }

    /// Where the key's file is named; chain and key may be one file.
    fn of_key(&self, path: &Path) -> Option<Text<'a>> {
        self.files.iter().rfind(|(known, ..)| known == path).map(|(_, text, _)| *text)
    }
}

fn pair<'a>(check: &mut Check<'_>, section: &Section<'a>, at: &str, named: &mut Named<'a>) -> FileForm {
    require(check, section, "chain", at);
    require(check, section, "key", at);
    let texts = section.strings(check, "chain").unwrap_or_default();
    if texts.is_empty() {
        named.lacks = true;
        if let Some(place) = section.node("chain").map(|node| &node.place).filter(|place| place.text() == "[]") {
            let problem =
                Problem::error(Code::MissingKey, format!("`{}` names no file", section.name("chain"))).at(place);
            check.report(problem.fix("write the file with the certificate, and those with its intermediates"));
        }
    }
    let chain = texts.into_iter().map(|text| named.add(check, Some(text), CHAIN)).collect();
    let key = section.string(check, "key");
    FileForm::Pair { chain, key: named.add(check, key, KEY) }
}

fn require(check: &mut Check<'_>, section: &Section<'_>, key: &str, at: &str) {
    if section.lacks(key) {
        let problem = section.missing(key).why("a certificate from files needs the chain and its private key");
        let problem = problem.fix(format!("write `{at} = {{ chain = \"chain.pem\", key = \"key.pem\" }}`"));
        check.report(problem.fix("or, for a .p12 or .pfx: `{ pkcs12 = \"FILE\", password_file = \"FILE\" }`"));
    }
}

fn pkcs12<'a>(check: &mut Check<'_>, section: &Section<'a>, named: &mut Named<'a>) -> FileForm {
    for key in ["chain", "key"] {
        if let Some(place) = section.key_place(key) {
            let problem = Problem::error(Code::Conflict, format!("`{key}` has no place beside `pkcs12`")).at(place);
            check.report(problem.why("a PKCS #12 file holds the chain and the key").fix("remove one of them"));
        }
    }
    let file = section.string(check, "pkcs12");
    FileForm::Pkcs12(named.add(check, file, PKCS12))
}

fn password<'a>(check: &mut Check<'_>, section: &Section<'a>, named: &mut Named<'a>) -> Option<PasswordSource> {
    let file = section.string(check, "password_file");
    let given = section.string(check, "password");
    if let (Some(_), Some(given)) = (file, given) {
        let problem =
            Problem::error(Code::Conflict, "`password` and `password_file` exclude each other").at(given.place);
        check.report(problem.fix("remove one of them"));
    }
    if let Some(given) = given.filter(|given| !secret::is_variable(given.place.text())) {
        let title = "a password stands in the configuration";
        let problem = Problem::error(Code::PasswordInConfiguration, title).at(given.place);
        let problem = problem.why("configurations are read, copied and kept by many; a password must not be");
        let problem = problem.fix("put it into a file that only portvakt can read: `password_file = \"FILE\"`");
        check.report(problem.fix("or take it from the environment: `password = \"${NAME}\"`"));
    }
    match (file, given) {
        (Some(file), _) => Some(PasswordSource::File(named.add(check, Some(file), PASSWORD))),
        (None, Some(given)) => Some(PasswordSource::Given(Password::new(given.value))),
        (None, None) => None,
    }
}

fn report(check: &mut Check<'_>, error: &FilesError, named: &Named<'_>) {
    match error {
        FilesError::Unreadable { path, source, .. } => {
            let Some((text, what)) = named.of(path) else { return };
            check.cannot_read(text, what, source);
        }
        FilesError::Password { path, source } => {
            let Some((text, _)) = named.of(path) else { return };
            let title = format!("{} holds no password", quoted(text.value));
            let problem = Problem::error(Code::WrongPassword, title).at(text.place).label(source.to_string());
            check.report(problem.fix("give a text file with the password in its only line"));
        }
        FilesError::Chain { path, source } => {
            let Some((text, _)) = named.of(path) else { return };
            let title = format!("{} holds no certificate chain", quoted(text.value));
            let problem = Problem::error(Code::NoChain, title).at(text.place).label(causes(source));
            check.report(problem.fix("give the certificate and its intermediates, in PEM, DER or PKCS #7"));
        }
        FilesError::Key { path, source } => {
            let Some(text) = named.of_key(path) else { return };
            check.report(key_problem(source, text));
        }
        FilesError::Pkcs12 { path, source } => {
            let Some((text, _)) = named.of(path) else { return };
            check.report(pkcs12_problem(source, text));
        }
        FilesError::Mismatch { chain, key, source } => {
            let (Some((chain, _)), Some(key)) = (named.of(chain), named.of_key(key)) else { return };
            check.report(mismatch(source, chain, key));
        }
    }
}

fn key_problem(error: &KeyError, text: Text<'_>) -> Problem {
    let name = quoted(text.value);
    match error {
        KeyError::PasswordMissing => password_missing(text),
        KeyError::WrongPassword => wrong_password(text, "pkey"),
        KeyError::OldEncryption | KeyError::UnsupportedEncryption { .. } => {
            let title = format!("the private key {name} is encrypted in a way that is not supported");
            let problem = Problem::error(Code::UnsupportedEncryption, title).at(text.place).label(error.to_string());
            problem.fix(format!("convert it: `openssl pkcs8 -topk8 -in {} -out new.key`", text.value))
        }
        _ => {
            let title = format!("{name} holds no usable private key");
            let problem = Problem::error(Code::NoKey, title).at(text.place).label(causes(error));
            problem.fix("give a file with a PKCS #8, PKCS #1 or SEC 1 key, in PEM or DER")
        }
    }
}

fn pkcs12_problem(error: &Pkcs12Error, text: Text<'_>) -> Problem {
    let name = quoted(text.value);
    let problem = |code, title| Problem::error(code, title).at(text.place).label(causes(error));
    match error {
        Pkcs12Error::PasswordMissing => password_missing(text),
        Pkcs12Error::WrongPassword => wrong_password(text, "pkcs12"),
        Pkcs12Error::Unsupported { .. } | Pkcs12Error::TooManyIterations => {
            let problem = problem(Code::UnsupportedEncryption, format!("{name} cannot be opened"));
            let open = format!("openssl pkcs12 -in {} -out all.pem", text.value);
            problem.fix(format!("write it anew: `{open}`, then `openssl pkcs12 -export -in all.pem -out new.p12`"))
        }
        Pkcs12Error::Malformed { .. } => problem(Code::NoPkcs12, format!("{name} is no PKCS #12 file"))
            .fix("give a .p12 or .pfx file; for PEM, DER or .p7b write `chain` and `key`"),
        Pkcs12Error::NoKey { .. } => problem(Code::NoPkcs12, format!("{name} holds no private key"))
            .fix("export it again with its private key, or write `chain` and `key`"),
        Pkcs12Error::SeveralKeys { .. } => problem(Code::NoPkcs12, format!("{name} holds several private keys"))
            .fix("export the one that is meant into a file of its own"),
        Pkcs12Error::Key(_) => problem(Code::NoKey, format!("{name} holds no usable private key"))
            .fix("order a certificate for an RSA key of 2048 bits or more, or an EC key"),
    }
}

fn password_missing(text: Text<'_>) -> Problem {
    let title = format!("{} is encrypted, and no password is given", quoted(text.value));
    let problem = Problem::error(Code::PasswordMissing, title).at(text.place);
    let problem = problem.fix("add `password_file = \"FILE\"`, a file with the password in its only line");
    problem.fix("or `password = \"${NAME}\"`, from the environment")
}

fn wrong_password(text: Text<'_>, command: &str) -> Problem {
    let title = format!("the password does not open {}", quoted(text.value));
    let problem = Problem::error(Code::WrongPassword, title).at(text.place);
    let problem = problem.why("the password is another one, or the file is damaged");
    problem.fix(format!("try it: `openssl {command} -in {} -noout`", text.value))
}

fn mismatch(error: &IdentityError, chain_file: Text<'_>, key_file: Text<'_>) -> Problem {
    let (key, chain) = (quoted(key_file.value), quoted(chain_file.value));
    match error {
        IdentityError::Mismatch => {
            let problem =
                Problem::error(Code::KeyMismatch, format!("the private key {key} does not belong to {chain}"))
                    .at(key_file.place)
                    .why("no certificate there is for its public key; was one file replaced without the other?")
                    .fix("give the key that the certificate was ordered with");
            if key_file.place.span() == chain_file.place.span() {
                problem
            } else {
                problem.related(chain_file.place, "the certificate")
            }
        }
        IdentityError::Chain(error) => {
            let title = format!("{chain} holds no certificate chain");
            let problem = Problem::error(Code::NoChain, title).at(chain_file.place).label(causes(error));
            problem.fix("give the certificate and its intermediates, in PEM, DER or PKCS #7")
        }
        IdentityError::Key(_) | IdentityError::Make(_) | IdentityError::NoAuthority => {
            let problem = Problem::error(Code::NoKey, format!("{key} cannot be used with {chain}")).at(key_file.place);
            problem.label(causes(error)).fix("give the key that the certificate was ordered with")
        }
    }
}

const CHAIN: &str = "certificate chain";
const KEY: &str = "private key";
const PKCS12: &str = "PKCS #12 file";
const PASSWORD: &str = "password file";
