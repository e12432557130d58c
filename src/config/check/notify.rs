//! `[[notify]]`.

use std::path::{Path, PathBuf};

use super::section::{Section, Sited, Text, choose};
use super::{Check, Objection, address, anchors, causes, proxy, route, shape};
use crate::config::code::Code;
use crate::config::problem::{Problem, quoted};
use crate::config::raw::{Node, Table, Value};
use crate::config::secret;
use crate::language::Lang;
use crate::notify::{
    Address, Channel, HookUrl, Kind, MailSettings, MailTls, ProgramSettings, Secret, Settings, WebhookSettings,
};
use crate::outward::Proxy;
use crate::pki::Password;
use crate::platform::{is_executable, is_open_to_all};

/// Reads every `[[notify]]`.
pub(super) fn read_all(check: &mut Check<'_>, root: &Section<'_>) -> Vec<Settings> {
    let mut all: Vec<Settings> = Vec::new();
    for table in root.tables(check, "notify") {
        let section = Section::open(check, table, &shape::NOTIFY);
        let Some(settings) = read(check, &section) else { continue };
        match all.iter().any(|other| other.name == settings.name) {
            true => refuse_second(check, &section, &settings.name),
            false => all.push(settings),
        }
    }
    all
}

fn read(check: &mut Check<'_>, section: &Section<'_>) -> Option<Settings> {
    let events = events(check, section);
    let language = section.choice(check, "language", &LANGUAGES).unwrap_or_default();
    let name = name(check, section);
    let channel = channel(check, section)?;
    let name = name.unwrap_or_else(|| default_name(&channel));
    Some(Settings { name, channel, events: events?, language })
}

fn name(check: &mut Check<'_>, section: &Section<'_>) -> Option<String> {
    let text = section.string(check, "name")?;
    if !route::is_label(text.value) {
        check.report(route::bad_label(text.value, text.place));
    }
    Some(text.value.to_owned())
}

fn default_name(channel: &Channel) -> String {
    match channel {
        Channel::Webhook(webhook) => webhook.url.host().to_owned(),
        Channel::Mail(mail) => mail.host.clone(),
        Channel::Program(program) => {
            let path = program.command.first().map(Path::new);
            path.and_then(Path::file_name).map_or_else(String::new, |name| name.to_string_lossy().into_owned())
        }
    }
}

fn refuse_second(check: &mut Check<'_>, section: &Section<'_>, name: &str) {
    let place = section.node("name").map_or_else(|| section.place(), |node| &node.place);
    let problem = Problem::error(Code::DuplicateName, format!("two notifiers are called {}", quoted(name))).at(place);
    let problem = problem.why("what was told is kept, and counted, by the name");
    check.report(problem.fix("give one of them another `name`"));
}

/// All when nothing is said; `None` when nothing that is said is an event.
fn events(check: &mut Check<'_>, section: &Section<'_>) -> Option<Vec<Kind>> {
    let Some(texts) = section.strings(check, "events") else { return Some(Kind::ALL.to_vec()) };
    if texts.is_empty() {
        let place = section.key_place("events").unwrap_or_else(|| section.place());
        let problem =
            Problem::error(Code::NotifiesOfNothing, "`events` is empty, so that nobody is ever told").at(place);
        check.report(problem.fix("name what is to be told, or leave the key out: then it is everything"));
        return None;
    }
    let words = Kind::ALL.map(|kind| (kind.as_str(), kind));
    let mut kinds = Vec::new();
    for kind in texts.into_iter().filter_map(|text| choose(check, "notify.events", text, &words)) {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    Some(kinds)
}

/// Exactly one way.
fn channel(check: &mut Check<'_>, section: &Section<'_>) -> Option<Channel> {
    let ways: Vec<_> = WAYS.into_iter().filter(|way| section.node(way).is_some()).collect();
    match ways[..] {
        ["webhook"] => webhook(check, section).map(Channel::Webhook),
        ["smtp"] => section.table(check, "smtp").and_then(|table| mail(check, table)).map(Channel::Mail),
        ["exec"] => program(check, section).map(Channel::Program),
        [] if WAYS.iter().any(|way| section.is_misspelt(way)) => None,
        [] => {
            let problem =
                Problem::error(Code::NoWayToNotify, "a notifier does not say how to notify").at(section.place());
            let problem =
                problem.fix("write `webhook = \"https://..\"`, `smtp = { .. }` or `exec = { command = [..] }`");
            check.report(problem);
            None
        }
        _ => {
            let place = section.key_place(ways[1]).unwrap_or_else(|| section.place());
            let title = format!("`{}` and `{}` exclude each other", ways[0], ways[1]);
            let problem = Problem::error(Code::NoWayToNotify, title).at(place);
            check.report(problem.fix("write a `[[notify]]` for each of them"));
            None
        }
    }
}

/// A URL alone, or a table.
fn webhook(check: &mut Check<'_>, section: &Section<'_>) -> Option<WebhookSettings> {
    if let Some(Node { place, value: Value::String(url) }) = section.node("webhook") {
        let url = hook_url(check, Sited { value: url, place })?;
        let proxy = proxy_of_environment(check, &url);
        return Some(WebhookSettings { url, token: None, trust_anchors: None, proxy });
    }
    let table = section.table(check, "webhook")?;
    let section = Section::open(check, table, &shape::WEBHOOK);
    let token = secret(check, &section, "token_file", "token");
    let trust_anchors = anchors::read(check, &section);
    let proxy = proxy::read(check, &section);
    if section.lacks("url") {
        check.report(section.missing("url").fix("write where messages are posted to: `url = \"https://..\"`"));
    }
    let url = section.string(check, "url").and_then(|text| hook_url(check, text))?;
    let proxy = proxy.or_else(|| proxy_of_environment(check, &url));
    Some(WebhookSettings { url, token, trust_anchors, proxy })
}

fn proxy_of_environment(check: &mut Check<'_>, url: &HookUrl) -> Option<Proxy> {
    proxy::of_environment(check, &url.to_string(), "webhook.proxy")
}

/// Its path may be all that guards it, so that a message does not repeat it.
fn hook_url(check: &mut Check<'_>, text: Text<'_>) -> Option<HookUrl> {
    let url = HookUrl::parse(text.value);
    let objection = match &url {
        _ if text.value.contains('@') => Objection::new(
            "a user name or password does not belong into a URL",
            "take what stands before the `@` away; a token goes into `token_file`",
        ),
        Some(url) if url.scheme() == "https" => return Some(url.clone()),
        Some(url) if url.scheme() == "http" && address::is_loopback(url.host()) => return Some(url.clone()),
        Some(url) if url.scheme() == "http" => Objection::new(
            "over plain HTTP everybody on the way reads the messages and the token",
            "write `https://`; plain HTTP is for a program on this machine only",
        ),
        Some(_) | None => Objection::new("it is no https URL", "write it like `https://hooks.example.com/portvakt`"),
    };
    check.refuse(Code::InvalidWebhook, "messages cannot be posted to this URL".to_owned(), text, objection);
    None
}

fn mail(check: &mut Check<'_>, table: &Table) -> Option<MailSettings> {
    let section = Section::open(check, table, &shape::SMTP);
    let tls = section.choice(check, "tls", &TLS).unwrap_or_default();
    let trust_anchors = anchors::read(check, &section);
    let login = login(check, &section);
    for (key, fix) in [
        ("server", "write the mail server that takes your mail: `server = \"mail.example.com\"`"),
        ("from", "write whose mail it is: `from = \"portvakt@example.com\"`"),
        ("to", "write who gets it: `to = \"ops@example.com\"`"),
    ] {
        if section.lacks(key) {
            check.report(section.missing(key).fix(fix));
        }
    }
    let from = section.string(check, "from").and_then(|text| mail_address(check, text));
    let to = recipients(check, &section);
    let (host, port) = section.string(check, "server").and_then(|text| mail_server(check, text, tls))?;
    let port = port.unwrap_or_else(|| tls.port());
    Some(MailSettings { host, port, tls, trust_anchors, login, from: from?, to: to? })
}

fn mail_server(check: &mut Check<'_>, text: Text<'_>, tls: MailTls) -> Option<(String, Option<u16>)> {
    let (host, port) = match address::parse_authority(text.value) {
        Ok(server) => server,
        Err(Objection { why, .. }) => {
            let fix = "write it like `mail.example.com` or `mail.example.com:587`";
            let title = format!("{} is not a mail server", quoted(text.value));
            check.refuse(Code::InvalidMailServer, title, text, Objection::new(why, fix));
            return None;
        }
    };
    if tls == MailTls::Off && !address::is_loopback(&host) {
        let objection = Objection::new(
            "everybody on the way would read the messages, and the password where there is one",
            "write `tls = \"starttls\"` or `tls = \"implicit\"`; without TLS only a server on this machine is spoken to",
        );
        check.refuse(Code::PlaintextMail, format!("mail would go to {} in clear", quoted(&host)), text, objection);
        return None;
    }
    Some((host, port))
}

/// `user`, and its password.
fn login(check: &mut Check<'_>, section: &Section<'_>) -> Option<(String, Secret)> {
    let user = section.string(check, "user");
    let password = secret(check, section, "password_file", "password");
    match (user, password) {
        (Some(user), Some(password)) => Some((user.value.to_owned(), password)),
        (Some(_), None) if section.lacks("password_file") && section.lacks("password") => {
            let problem = section.missing("password_file").why("a mail server asks a `user` for a password");
            check.report(problem.fix("write `password_file = \"mail.pw\"`, or leave `user` out"));
            None
        }
        (None, Some(_)) if section.lacks("user") => {
            check.report(section.missing("user").why("a password belongs to somebody").fix("write `user = \"..\"`"));
            None
        }
        _ => None,
    }
}

fn recipients(check: &mut Check<'_>, section: &Section<'_>) -> Option<Vec<Address>> {
    let texts = section.strings(check, "to")?;
    if texts.is_empty() {
        let place = section.key_place("to").unwrap_or_else(|| section.place());
        let problem = Problem::error(Code::InvalidMailAddress, "`to` names nobody").at(place);
        check.report(problem.fix("write who gets the mail: `to = \"ops@example.com\"`"));
        return None;
    }
    let all: Vec<_> = texts.into_iter().filter_map(|text| mail_address(check, text)).collect();
    (!all.is_empty()).then_some(all)
}

fn mail_address(check: &mut Check<'_>, text: Text<'_>) -> Option<Address> {
    match text.value.parse() {
        Ok(address) => Some(address),
        Err(error) => {
            let objection = Objection::new(
                format!("one address stands in one string: {}", causes(&error).to_lowercase()),
                "write it like `ops@example.com` or `Operations <ops@example.com>`, several as a list",
            );
            let title = format!("{} is not a mail address", quoted(text.value));
            check.refuse(Code::InvalidMailAddress, title, text, objection);
            None
        }
    }
}

fn program(check: &mut Check<'_>, section: &Section<'_>) -> Option<ProgramSettings> {
    let table = section.table(check, "exec")?;
    let section = Section::open(check, table, &shape::EXEC);
    let timeout = section.duration(check, "timeout").unwrap_or(ProgramSettings::TIMEOUT);
    let texts = section.strings(check, "command").unwrap_or_default();
    let Some((first, arguments)) = texts.split_first() else {
        if section.lacks("command") || section.node("command").is_some_and(|node| matches!(&node.value, Value::List(_)))
        {
            let problem = section.missing("command").why("the program gets each message as JSON on its standard input");
            check.report(problem.fix("write `command = [\"/usr/local/bin/tell\"]`, the program and its arguments"));
        }
        return None;
    };
    let program = executable(check, *first)?;
    let arguments = arguments.iter().map(|text| text.value.to_owned());
    Some(ProgramSettings { command: std::iter::once(program).chain(arguments).collect(), timeout })
}

/// The program's path; it is not looked for in `PATH`, which differs between a terminal and a service.
fn executable(check: &mut Check<'_>, text: Text<'_>) -> Option<String> {
    let refuse = |check: &mut Check<'_>, why: &str, fix: String| {
        let title = format!("{} cannot be run", quoted(text.value));
        check.refuse(Code::InvalidNotifyProgram, title, text, Objection::new(why, fix));
    };
    if !text.value.contains(['/', '\\']) {
        let fix = format!("write its path, such as `/usr/local/bin/{0}`, or `./{0}` beside this file", text.value);
        refuse(check, "it is no path, and `PATH` is not searched", fix);
        return None;
    }
    let path: PathBuf = check.located(text);
    if check.opens_files() {
        let (why, fix) = match (path.is_file(), text.value.contains(' ')) {
            (true, _) if is_executable(&path) => return path.to_str().map(str::to_owned),
            (true, _) => ("it is not executable", "make it so: `chmod +x`"),
            (false, true) => {
                ("no shell splits it into words", "write a list: `command = [\"/path/to/program\", \"argument\"]`")
            }
            (false, false) if path.is_dir() => ("it is a folder", "name the program in it"),
            (false, false) => ("there is no such file", "put the program there, or correct the path"),
        };
        refuse(check, why, fix.to_owned());
    }
    path.to_str().map(str::to_owned)
}

/// A file, read when it is needed, or a variable.
fn secret(check: &mut Check<'_>, section: &Section<'_>, file_key: &str, key: &str) -> Option<Secret> {
    let (file, given) = (section.string(check, file_key), section.string(check, key));
    if let (Some(_), Some(given)) = (file, given) {
        let title = format!("`{key}` and `{file_key}` exclude each other");
        check.report(Problem::error(Code::Conflict, title).at(given.place).fix("remove one of them"));
    }
    let secret = match (file, given) {
        (Some(file), _) => Sited { value: Secret::File(check.path(file)), place: file.place },
        (None, Some(given)) if secret::is_variable(given.place.text()) => {
            Sited { value: Secret::Given(Password::new(given.value)), place: given.place }
        }
        (None, Some(given)) => {
            let title = format!("a {key} stands in the configuration");
            let problem = Problem::error(Code::PasswordInConfiguration, title).at(given.place);
            let problem =
                problem.why("configurations are read, copied and kept by many; a password or token must not be");
            let problem =
                problem.fix(format!("put it into a file that only portvakt can read: `{file_key} = \"FILE\"`"));
            check.report(problem.fix(format!("or take it from the environment: `{key} = \"${{NAME}}\"`")));
            return None;
        }
        (None, None) => return None,
    };
    if check.opens_files() || matches!(secret.value, Secret::Given(_)) {
        judge(check, &secret, key);
    }
    Some(secret.value)
}

fn judge(check: &mut Check<'_>, secret: &Sited<'_, Secret>, what: &str) {
    if let Err(error) = secret.value.load() {
        let problem = Problem::error(Code::UnusableNotifySecret, format!("no {what} can be had here")).at(secret.place);
        let why = match &error {
            crate::notify::NoSecret::Unreadable { source, .. } => super::reason(source),
            crate::notify::NoSecret::Garbled { source, .. } => source.to_string(),
            crate::notify::NoSecret::Empty => error.to_string(),
        };
        check.report(
            problem.label(why).fix(format!("put the {what} into it, alone on its line, readable for portvakt")),
        );
        return;
    }
    if let Secret::File(path) = &secret.value
        && is_open_to_all(path)
    {
        let title = format!("every user of this machine can read the {what}");
        let problem = Problem::warning(Code::ExposedNotifySecret, title).at(secret.place);
        let problem = problem.why("whoever has it can send in your name");
        check.report(problem.fix("let only the user that portvakt runs as read it: `chmod 600`"));
    }
}

const WAYS: [&str; 3] = ["webhook", "smtp", "exec"];

const LANGUAGES: [(&str, Lang); 4] = [("en", Lang::En), ("sv", Lang::Sv), ("nb", Lang::Nb), ("de", Lang::De)];

const TLS: [(&str, MailTls); 3] =
    [("starttls", MailTls::StartTls), ("implicit", MailTls::Implicit), ("none", MailTls::Off)];
