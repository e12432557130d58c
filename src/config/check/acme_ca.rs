//! What `[acme]` and each `[[acme.next]]` say about one CA beyond its directory.

use super::section::{Section, Text};
use super::{Check, causes, shape};
use crate::config::code::Code;
use crate::config::problem::{Problem, quoted};
use crate::config::secret;
use crate::pki::Password;
use crate::source::PasswordSource;
use crate::source::acme::{ExternalAccount, mac_key};

/// Reads `eab`: who we are to a CA that gives accounts only to those whom it knows (RFC 8555 §7.3.4).
pub(super) fn eab(check: &mut Check<'_>, section: &Section<'_>) -> Option<ExternalAccount> {
    let table = section.table(check, "eab")?;
    let eab = Section::open(check, table, &shape::EAB);
    let kid = eab.string(check, "kid");
    if kid.is_none() && eab.lacks("kid") {
        let fix = "add the key id that the CA shows beside the key: `kid = \"..\"`";
        check.report(eab.missing("kid").fix(fix));
    }
    let (file, given) = (eab.string(check, "key_file"), eab.string(check, "key"));
    let key = match (file, given) {
        (Some(_), Some(given)) => {
            let problem = Problem::error(Code::Conflict, "`key` and `key_file` exclude each other").at(given.place);
            check.report(problem.fix("remove one of them"));
            None
        }
        (Some(file), None) => Some(key_file(check, file)),
        (None, Some(given)) => key(check, given),
        (None, None) if eab.lacks("key_file") && eab.lacks("key") => {
            let fix = "add a file with the key that the CA shows beside the key id: `key_file = \"FILE\"`";
            check.report(eab.missing("key_file").fix(fix).fix("or `key = \"${NAME}\"`, from the environment"));
            None
        }
        (None, None) => None,
    };
    Some(ExternalAccount { kid: kid?.value.to_owned(), key: key? })
}

/// It is read anew when an account is registered.
fn key_file(check: &mut Check<'_>, text: Text<'_>) -> PasswordSource {
    if check.opens_files()
        && let Some(bytes) = check.read(text, "key of the external account")
    {
        let read = Password::from_file(&bytes).map_err(|error| causes(&error));
        if let Err(why) = read.and_then(|text| mac_key(&text).map(drop).map_err(|error| causes(&error))) {
            let title = format!("{} holds no key of an external account", quoted(text.value));
            let problem = Problem::error(Code::UnusableExternalKey, title).at(text.place).label(why);
            check.report(problem.fix("copy the MAC key from where the CA shows it beside the key id, in one line"));
        }
    }
    PasswordSource::File(check.path(text))
}

fn key(check: &mut Check<'_>, text: Text<'_>) -> Option<PasswordSource> {
    if !secret::is_variable(text.place.text()) {
        let problem = Problem::error(
            Code::PasswordInConfiguration,
            "the key of the external account stands in the configuration",
        );
        let problem = problem
            .at(text.place)
            .why("configurations are read, copied and kept by many; who has the key gets accounts in your name");
        let problem = problem.fix("put it into a file that only portvakt can read: `key_file = \"FILE\"`");
        check.report(problem.fix("or take it from the environment: `key = \"${NAME}\"`"));
        return None;
    }
    let key = Password::new(text.value);
    if mac_key(&key).is_err() {
        let title = "the variable holds no key of an external account";
        let problem = Problem::error(Code::UnusableExternalKey, title).at(text.place);
        let problem = problem.why("it is at least 16 bytes in base64url");
        check.report(problem.fix("copy the MAC key from where the CA shows it beside the key id"));
    }
    Some(PasswordSource::Given(key))
}
