//! `listen` of an egress, and who may call there.

use super::super::section::{Section, Text};
use super::super::{Check, Objection};
use crate::config::code::Code;
use crate::config::problem::{Problem, quoted};
use crate::egress::{Listen, Token};

/// Reads `listen` and `socket_group`.
pub(super) fn read(check: &mut Check<'_>, section: &Section<'_>) -> Option<Listen> {
    if section.lacks("listen") {
        let problem = section.missing("listen").why("the application calls us there, over plain HTTP");
        check.report(problem.fix("write `listen = \"127.0.0.1:9443\"`, or `\"unix:/run/portvakt/out.sock\"`"));
    }
    let group = section.string(check, "socket_group");
    let text = section.string(check, "listen")?;
    if let Some(path) = text.value.strip_prefix("unix:") {
        let path = check.base.join(path);
        check.resolved.note(text.place, format!("unix:{}", path.display()));
        return Some(Listen::Unix { path, group: group.map(|group| group.value.to_owned()) });
    }
    if let Some(group) = group {
        let objection = Objection::new("an address has no file whose rights could say who may call", "remove it");
        check.refuse(Code::Conflict, "`socket_group` has an effect on a Unix socket only".to_owned(), group, objection);
    }
    match text.value.parse() {
        Ok(address) => Some(Listen::Tcp(address)),
        Err(_) => {
            let title = format!("cannot listen on {}", quoted(text.value));
            check.refuse(Code::InvalidAddress, title, text, super::super::listen::objection(text.value));
            None
        }
    }
}

/// `token_file`: what callers have to show. Without files to open there is none.
pub(super) fn token(check: &mut Check<'_>, section: &Section<'_>) -> Option<Token> {
    let text = section.string(check, "token_file")?;
    if !check.opens_files() {
        check.path(text);
        return None;
    }
    let bytes = zeroize::Zeroizing::new(check.read(text, "token")?);
    let token = Token::from_file(&bytes);
    if token.is_none() {
        check.report(bad_token(text));
    }
    token
}

fn bad_token(text: Text<'_>) -> Problem {
    let title = format!("{} holds no token", quoted(text.value));
    let least = Token::SHORTEST;
    Problem::error(Code::NoToken, title)
        .at(text.place)
        .why(format!("a token is one word of {least} characters at least, in ASCII, so that nobody guesses it"))
        .fix(format!("make one: `openssl rand -base64 32 > {}`", text.value))
}
