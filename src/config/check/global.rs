//! What stands on the top level: state, proxies, log.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use tracing_subscriber::EnvFilter;

use super::section::{Section, Text};
use super::{Check, Objection, shape};
use crate::access;
use crate::config::code::Code;
use crate::config::environment::Environment;
use crate::config::problem::{Problem, quoted};
use crate::config::raw::{Node, Value};
use crate::config::{Config, LogFormat, LogSettings, RunAs, suggest};
use crate::platform::LONGEST_LOCAL_PATH;
use crate::route::AllowList;
use crate::source;

/// `state_dir`.
pub(super) fn state_dir(check: &mut Check<'_>, root: &Section<'_>) -> PathBuf {
    if let Some(text) = root.string(check, "state_dir") {
        return check.located(text);
    }
    if let Some((folder, variable)) = default_state_dir(check.environment, root.node("user").is_some()) {
        check.resolved.state_dir = variable;
        return folder;
    }
    let problem = Problem::error(Code::NoStateDir, "no place for keys and certificates is known")
        .why("`state_dir` is not set, and neither are `$STATE_DIRECTORY`, `$XDG_STATE_HOME` and `$HOME`");
    check.report(problem.fix("set `state_dir` to a folder that survives restarts"));
    PathBuf::new()
}

/// `control`; what is too long for a socket is told here, since the process would only find out at its start.
pub(super) fn control(check: &mut Check<'_>, root: &Section<'_>, state_dir: &Path) -> PathBuf {
    let written = root.string(check, "control");
    let path = match written {
        Some(text) => check.located(text),
        None => state_dir.join("control.sock"),
    };
    let length = path.as_os_str().len();
    if length > LONGEST_LOCAL_PATH {
        let title = format!("the path of the control socket is too long: {length} bytes");
        let problem = match written {
            Some(text) => Problem::error(Code::ControlPathTooLong, title).at(text.place),
            None => Problem::warning(Code::ControlPathTooLong, title),
        };
        let why = format!("the system takes up to {LONGEST_LOCAL_PATH} bytes, counted from the root");
        check.report(problem.why(why).fix("set `control` to a shorter one, such as `/run/portvakt/control.sock`"));
    }
    path
}

/// Where state is kept when nothing is said: what systemd gives us, the system's place, or the user's.
///
/// With `user` it is the system's: who starts as root and becomes another finds it again.
fn default_state_dir(environment: &dyn Environment, is_service: bool) -> Option<(PathBuf, Option<&'static str>)> {
    if let Some(given) = environment.variable("STATE_DIRECTORY") {
        let first = given.split(':').next().unwrap_or_default();
        if !cfg!(windows) && !first.is_empty() {
            return Some((PathBuf::from(first), Some("STATE_DIRECTORY")));
        }
    }
    if cfg!(windows) {
        return Some((PathBuf::from(environment.variable("ProgramData")?).join("portvakt"), Some("ProgramData")));
    }
    if environment.is_root() || is_service {
        return Some((PathBuf::from("/var/lib/portvakt"), None));
    }
    let set = |name| environment.variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let xdg = set("XDG_STATE_HOME").map(|state| (state, Some("XDG_STATE_HOME")));
    let (state, variable) = xdg.or_else(|| Some((set("HOME")?.join(".local/state"), Some("HOME"))))?;
    Some((state.join("portvakt"), variable))
}

/// `user` and `group`.
pub(super) fn run_as(check: &mut Check<'_>, root: &Section<'_>) -> Option<RunAs> {
    let (user, group) = (root.string(check, "user"), root.string(check, "group"));
    if check.opens_files() {
        user.into_iter().for_each(|user| require_account(check, user, "user", BECOME));
        group.into_iter().for_each(|group| require_account(check, group, "group", BECOME));
    }
    let Some(user) = user else {
        match group {
            Some(group) => refuse_lone_group(check, group),
            None if root.node("user").is_none() => warn_of_root(check),
            None => {}
        }
        return None;
    };
    Some(RunAs { user: user.value.to_owned(), group: group.map(|group| group.value.to_owned()) })
}

/// Reports a user or group whom nobody knows; `why` says what for it is there.
pub(super) fn require_account(check: &mut Check<'_>, text: Text<'_>, kind: &str, why: &str) {
    let name = text.value;
    let environment = check.environment;
    let is_known = if kind == "user" { environment.knows_user(name) } else { environment.knows_group(name) };
    if is_known {
        return;
    }
    let accounts = environment.accounts();
    let fix = match suggest::closest(name, accounts.iter().map(String::as_str)) {
        Some(meant) => format!("did you mean {}?", quoted(meant)),
        None if kind == "user" => {
            format!("create it: `useradd --system --shell /usr/sbin/nologin {name}`, or correct the name")
        }
        None => format!("create it: `groupadd --system {name}`, or correct the name"),
    };
    let objection = Objection::new(why, fix);
    check.refuse(Code::UnknownUser, format!("this machine knows no {kind} {}", quoted(name)), text, objection);
}

const BECOME: &str = "portvakt is to become it when the ports are open";

fn refuse_lone_group(check: &mut Check<'_>, group: Text<'_>) {
    let objection = Objection::new("only who becomes another user changes the group", "set `user` too");
    check.refuse(Code::Conflict, "`group` has no effect without `user`".to_owned(), group, objection);
}

fn warn_of_root(check: &mut Check<'_>) {
    if check.environment.is_root() && check.opens_files() {
        let problem = Problem::warning(Code::RunsAsRoot, "portvakt would keep all rights of root")
            .why("whoever finds a fault in it has the whole machine then; root is needed for nothing but low ports");
        check.report(problem.fix("set `user = \"portvakt\"`, or `user = \"root\"` when it has to be"));
    }
}

/// Reports when an account and certificates of a CA would be lost with a restart.
pub(super) fn warn_of_volatile_state(check: &mut Check<'_>, root: &Section<'_>, config: &Config) {
    let orders = config.certificates.iter().any(|it| matches!(it.source, source::Settings::Acme(_)));
    if !orders || !check.opens_files() || !check.environment.is_volatile(&config.state_dir) {
        return;
    }
    let folder = quoted(&config.state_dir.display().to_string());
    let title = format!("what portvakt keeps in {folder} is lost when the machine or the container starts anew");
    let problem = Problem::warning(Code::VolatileState, title).why(
        "the account at the CA, private keys and certificates go with it: each start orders them anew, and Let's Encrypt \
         issues five a week for the same names",
    );
    let problem = problem.fix("let `state_dir` lie on a disk, or on a volume that stays");
    check.report(match root.node("state_dir") {
        Some(node) => problem.at(&node.place),
        None => problem,
    });
}

/// `trusted_proxies`.
pub(super) fn trusted_proxies(check: &mut Check<'_>, root: &Section<'_>) -> Vec<IpNet> {
    let texts = root.strings(check, "trusted_proxies").unwrap_or_default();
    let trusted = |text| network(check, text, "trusted proxy", "X-Forwarded-For");
    texts.into_iter().filter_map(trusted).collect()
}

/// Reads a network whose members are `what`, and are believed for their `word`.
pub(super) fn network(check: &mut Check<'_>, text: Text<'_>, what: &str, word: &str) -> Option<IpNet> {
    let network = member(check, text, &format!("a {what}"))?;
    if network.prefix_len() == 0 {
        let title = format!("{} makes everybody a {what}", quoted(text.value));
        let problem = Problem::warning(Code::EverybodyTrusted, title)
            .at(text.place)
            .why(format!("a {what}'s {word} is believed, so anybody can claim any address"));
        check.report(problem.fix(format!("name the addresses that your {what} connects from")));
    }
    Some(network)
}

/// `allow_from` of a site or a route, where it stands.
pub(super) fn allow_from(check: &mut Check<'_>, section: &Section<'_>) -> Option<AllowList> {
    let texts = section.strings(check, "allow_from")?;
    if texts.is_empty() {
        let place = section.key_place("allow_from").unwrap_or_else(|| section.place());
        let problem = Problem::error(Code::InvalidNetwork, "`allow_from` names nobody").at(place);
        check.report(problem.fix("name the networks that may come, or leave the key out to serve everybody"));
    }
    Some(AllowList::new(texts.into_iter().filter_map(|text| member(check, text, "an allowed client")).collect()))
}

fn member(check: &mut Check<'_>, text: Text<'_>, what: &str) -> Option<IpNet> {
    let network = text.value.parse::<IpNet>().or_else(|_| text.value.parse::<IpAddr>().map(IpNet::from));
    let Ok(network) = network else {
        let objection = Objection::new(
            format!("{what} is an IP address or a network in CIDR notation"),
            "write it like `192.0.2.7`, `10.0.0.0/8` or `2001:db8::/32`",
        );
        check.refuse(Code::InvalidNetwork, format!("{} is not a network", quoted(text.value)), text, objection);
        return None;
    };
    Some(network.trunc())
}

/// `[log]`.
pub(super) fn log(check: &mut Check<'_>, root: &Section<'_>) -> LogSettings {
    let Some(table) = root.table(check, "log") else { return LogSettings::default() };
    let section = Section::open(check, table, &shape::LOG);
    let format = section.choice(check, "format", &[("text", LogFormat::Text), ("json", LogFormat::Json)]);
    let level = section.string(check, "level").and_then(|text| level(check, text));
    let default = LogSettings::default();
    let access = access(check, &section);
    LogSettings { format: format.unwrap_or_default(), level: level.unwrap_or(default.level), access }
}

/// `log.access`: whether, or where and how.
fn access(check: &mut Check<'_>, log: &Section<'_>) -> Option<access::Settings> {
    let defaults = access::Settings::default();
    let table = match log.node("access") {
        None => return None,
        Some(Node { value: Value::Boolean(is_on), .. }) => return is_on.then_some(defaults),
        Some(Node { value: Value::Table(table), .. }) => table,
        Some(node) => {
            let problem = log.wrong_type("access", node, "`true`, `false` or a table");
            check.report(
                problem.fix("write `access = true` for standard output, or `access = { path = \"access.log\" }`"),
            );
            return None;
        }
    };
    let section = Section::open(check, table, &shape::ACCESS);
    let path = section.string(check, "path").map(|text| access_path(check, text));
    let query = section.choice(check, "query", &[("redact", access::Query::Redact), ("keep", access::Query::Keep)]);
    let sample = section.number(check, "sample", 1, 1_000_000).unwrap_or(defaults.sample);
    Some(access::Settings { path, query: query.unwrap_or_default(), sample })
}

/// The file itself is made when it is first written; its folder is not.
fn access_path(check: &mut Check<'_>, text: Text<'_>) -> PathBuf {
    let path = check.located(text);
    let has_folder = path.parent().is_some_and(Path::is_dir);
    if check.opens_files() && (!has_folder || path.is_dir()) {
        let why = if has_folder { "it is a folder" } else { "there is no such folder" };
        let fix = "make the folder, or name a file in one that is there; for standard output leave `path` out";
        let title = format!("the access log cannot be written to {}", quoted(text.value));
        check.refuse(Code::AccessLogNowhere, title, text, Objection::new(why, fix));
    }
    path
}

fn level(check: &mut Check<'_>, text: Text<'_>) -> Option<String> {
    match EnvFilter::builder().parse(text.value) {
        Ok(_) if !text.value.trim().is_empty() => Some(text.value.to_owned()),
        _ => {
            let objection = Objection::new(
                "known levels are `error`, `warn`, `info`, `debug` and `trace`, also for one part: `portvakt=debug`",
                "write `info`, or `info,portvakt=debug`",
            );
            check.refuse(Code::InvalidLogLevel, format!("{} is not a log level", quoted(text.value)), text, objection);
            None
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::config::environment::tests::With;

    #[test]
    fn given_no_state_dir_when_looked_up_then_systemd_root_user_in_this_order() {
        let home = ("HOME", "/home/a");
        let rows: [(&[_], bool, Option<&str>); 6] = [
            (&[home], false, Some("/home/a/.local/state/portvakt")),
            (&[home, ("XDG_STATE_HOME", "/s")], false, Some("/s/portvakt")),
            (&[home], true, Some("/var/lib/portvakt")),
            (&[home, ("STATE_DIRECTORY", "/var/lib/a:/var/lib/b")], true, Some("/var/lib/a")),
            (&[home, ("STATE_DIRECTORY", "")], true, Some("/var/lib/portvakt")),
            (&[], false, None),
        ];
        for (variables, is_root, expected) in rows {
            let found = default_state_dir(&With(variables, is_root), false).map(|(folder, _)| folder);
            assert_eq!(found, expected.map(PathBuf::from), "{variables:?} root: {is_root}");
        }
    }
}
