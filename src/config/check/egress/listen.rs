//! `listen` of an egress, and who may call there.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::super::listen::{Bound, refuse_conflict, try_all};
use super::super::section::{Section, Text};
use super::super::{Check, Objection, address, global};
use crate::config::Purpose;
use crate::config::code::Code;
use crate::config::problem::{Place, Problem, quoted};
use crate::egress::{Listen, Token};
use crate::platform::{LONGEST_LOCAL_PATH, is_open_to_all};

/// What is listened on already.
pub(in crate::config::check) struct Taken<'a> {
    pub(in crate::config::check) addresses: Vec<Bound<'a>>,
    pub(in crate::config::check) sockets: Vec<(PathBuf, &'a Place)>,
}

/// Reads `listen` and `socket_group`.
pub(super) fn read<'a>(check: &mut Check<'_>, section: &Section<'a>, taken: &mut Taken<'a>) -> Option<Listen> {
    if section.lacks("listen") {
        let problem = section.missing("listen").why("the application calls us there, over plain HTTP");
        check.report(problem.fix("write `listen = \"127.0.0.1:9443\"`, or `\"unix:/run/portvakt/out.sock\"`"));
    }
    let group = section.string(check, "socket_group");
    let text = section.string(check, "listen")?;
    if let Some(path) = text.value.strip_prefix("unix:") {
        let path = check.base.join(path);
        check.resolved.note(text.place, format!("unix:{}", path.display()));
        judge_socket(check, text, &path);
        refuse_taken(check, text, &path, taken);
        if let Some(group) = group.filter(|_| check.opens_files()) {
            global::require_account(check, group, "group", "its members are to call the socket");
        }
        return Some(Listen::Unix { path, group: group.map(|group| group.value.to_owned()) });
    }
    if let Some(group) = group {
        let fix = "remove it, or listen on a Unix socket: `listen = \"unix:/run/portvakt/out.sock\"`";
        let objection = Objection::new("an address has no file whose rights could say who may call", fix);
        check.refuse(Code::Conflict, "`socket_group` has an effect on a Unix socket only".to_owned(), group, objection);
    }
    tcp(check, text, taken).map(Listen::Tcp)
}

fn tcp<'a>(check: &mut Check<'_>, text: Text<'a>, taken: &mut Taken<'a>) -> Option<SocketAddr> {
    let Ok(address) = text.value.parse() else {
        let title = format!("cannot listen on {}", quoted(text.value));
        check.refuse(Code::InvalidAddress, title, text, objection(text.value));
        return None;
    };
    let bound = Bound { key: "egress.listen", address, place: Some(text.place) };
    refuse_conflict(check, &taken.addresses, &bound);
    if check.purpose == Purpose::Check {
        try_all(check, std::slice::from_ref(&bound));
    }
    taken.addresses.push(bound);
    Some(address)
}

/// What was meant: an application calls us from this machine.
fn objection(text: &str) -> Objection {
    let port = text.rsplit(':').next().and_then(|port| port.parse::<u16>().ok()).filter(|port| *port > 0);
    if text.starts_with('/') {
        let why = "a path alone does not say that it is a Unix socket";
        return Objection::new(why, format!("write {}", quoted(&format!("unix:{text}"))));
    }
    let why = "an egress listens on an IP address and a port, or on a Unix socket";
    Objection::new(why, format!("write it like `127.0.0.1:{}` or `unix:/run/portvakt/out.sock`", port.unwrap_or(9443)))
}

fn judge_socket(check: &mut Check<'_>, text: Text<'_>, path: &Path) {
    let length = path.as_os_str().len();
    if length > LONGEST_LOCAL_PATH {
        let title = format!("the path of a Unix socket is too long: {length} bytes");
        let why = format!("the system takes up to {LONGEST_LOCAL_PATH} bytes, counted from the root");
        let objection = Objection::new(why, "choose a shorter one, such as `unix:/run/portvakt/out.sock`");
        check.refuse(Code::UnusableSocket, title, text, objection);
        return;
    }
    let has_folder = path.parent().is_some_and(Path::is_dir);
    if check.opens_files() && (!has_folder || path.is_dir()) {
        let why = if has_folder { "it is a folder" } else { "there is no such folder" };
        let problem =
            Problem::warning(Code::UnusableSocket, format!("nothing can listen on {} now", quoted(text.value)));
        let problem = problem.at(text.place).why(why).fix("make the folder; nobody else may write into it");
        check.report(problem.fix("under systemd `RuntimeDirectory=portvakt` makes `/run/portvakt` at the start"));
    }
}

fn refuse_taken<'a>(check: &mut Check<'_>, text: Text<'a>, path: &Path, taken: &mut Taken<'a>) {
    if let Some((_, first)) = taken.sockets.iter().find(|(other, _)| other == path) {
        let title = format!("{} is the socket of something else", quoted(text.value));
        let problem = Problem::error(Code::AddressConflict, title).at(text.place).related(first, "taken here");
        check.report(
            problem.why("an egress and the control socket too need one each").fix("give one of them another path"),
        );
    }
    taken.sockets.push((path.to_owned(), text.place));
}

/// Off loopback other machines can call, so that they need a token, and the operator's own list of what they may ask.
pub(super) fn judge_exposure(check: &mut Check<'_>, section: &Section<'_>, listen: Option<&Listen>) {
    let Some(Listen::Tcp(to)) = listen else { return };
    let Some(place) = section.node("listen").map(|node| &node.place) else { return };
    if address::is_loopback(&to.ip().to_string()) {
        return;
    }
    let mut fixes = Vec::new();
    if section.lacks("token_file") {
        fixes.push("let callers show a token: `token_file = \"app.token\"`");
    }
    if section.lacks("allow") {
        fixes.push("say yourself what they may ask for: `allow = [\"POST /rp/v6.0/*\"]`");
    }
    let loopback = format!("listen on `127.0.0.1:{}`, or on a Unix socket", to.port());
    if !fixes.is_empty() {
        let title = format!("whoever reaches `{to}` could act in your name");
        let problem = Problem::error(Code::EgressExposed, title).at(place);
        let problem = problem.why("callers over the network need a token, and an `allow` that you have written");
        check.report(fixes.into_iter().fold(problem, Problem::fix).fix(format!("or {loopback}")));
        return;
    }
    let problem =
        Problem::warning(Code::EgressInPlain, format!("`{to}` is called over plain HTTP, from other machines"));
    let problem = problem.at(place).why("whoever is on the way reads personal data, and the token");
    check.report(problem.fix(loopback).fix("or see to it that the network in between is yours alone, as in a Pod"));
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
    } else if is_open_to_all(&check.base.join(text.value)) {
        check.report(open_token(text));
    }
    token
}

fn bad_token(text: Text<'_>) -> Problem {
    let title = format!("{} holds no token", quoted(text.value));
    let least = Token::SHORTEST;
    Problem::error(Code::NoToken, title)
        .at(text.place)
        .why(format!("a token is one word of {least} characters at least, in ASCII, so that nobody guesses it"))
        .fix("make one: `(umask 077; openssl rand -base64 32 > NEW_FILE)`")
}

fn open_token(text: Text<'_>) -> Problem {
    let title = format!("every user of this machine can read the token in {}", quoted(text.value));
    let problem = Problem::warning(Code::TokenForAll, title).at(text.place);
    let problem = problem.why("whoever knows it may act in your name");
    problem.fix(format!("`chmod o= {}`; portvakt and the application have to read it, nobody else", text.value))
}
