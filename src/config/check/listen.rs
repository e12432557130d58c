//! `[listen]` and `[limits]`.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::section::{Section, Sited, Text};
use super::{Check, Objection, global, limits, shape};
use crate::config::Purpose;
use crate::config::code::Code;
use crate::config::problem::{Place, Problem, quoted};
use crate::config::raw::{Node, Value};
use crate::listener::{Limits, Settings};
use crate::route;

/// `[listen]` and `[limits]` as they are meant.
pub(super) struct Listen<'a> {
    pub(super) listener: Settings,
    pub(super) public_https_port: u16,
    /// Limits of requests, where neither site nor route has its own.
    pub(super) requests: route::Limits,
    /// What is taken.
    pub(super) bound: Vec<Bound<'a>>,
}

/// One address and the key that it comes from.
#[derive(Clone)]
pub(super) struct Bound<'a> {
    /// Such as `listen.https`.
    pub(super) key: &'static str,
    pub(super) address: SocketAddr,
    /// `None` for a default.
    pub(super) place: Option<&'a Place>,
}

/// Reads both tables. Where nobody comes from outside, only what is written is listened on for traffic.
pub(super) fn read<'a>(check: &mut Check<'_>, root: &Section<'a>, is_for_egress_only: bool) -> Listen<'a> {
    let (limits, requests) = limits(check, root);
    let table = root.table(check, "listen");
    let section = table.map(|table| Section::open(check, table, &shape::LISTEN));
    let mut defaults = Settings::default();
    if is_for_egress_only {
        (defaults.http, defaults.https) = Default::default();
    } else {
        require_traffic(check, section);
    }
    let bound = [
        addresses(check, section, "listen.http", defaults.http),
        addresses(check, section, "listen.https", defaults.https),
        addresses(check, section, "listen.admin", defaults.admin),
    ];
    let all = bound.concat();
    for (index, later) in all.iter().enumerate() {
        refuse_conflict(check, &all[..index], later);
    }
    warn_of_exposure(check, &bound[2]);
    if check.purpose == Purpose::Check {
        bound.iter().for_each(|listener| try_all(check, listener));
    }
    let port = section.and_then(|section| section.number(check, "public_https_port", 1, u16::MAX.into()));
    let [http, https, admin] =
        bound.map(|listener| listener.into_iter().map(|bound| bound.address).collect::<Vec<_>>());
    let first_port = https.first().map_or(443, SocketAddr::port);
    let public_https_port = port.and_then(|port| u16::try_from(port).ok()).unwrap_or(first_port);
    let networks = section.and_then(|section| section.strings(check, "proxy_protocol")).unwrap_or_default();
    let load_balancer = |text| global::network(check, text, "load balancer", "PROXY header");
    let proxy_protocol = networks.into_iter().filter_map(load_balancer).collect();
    Listen {
        listener: Settings { http, https, admin, egress: Vec::new(), limits, proxy_protocol },
        public_https_port,
        requests,
        bound: all,
    }
}

fn limits(check: &mut Check<'_>, root: &Section<'_>) -> (Limits, route::Limits) {
    let defaults = Limits::default();
    let Some(table) = root.table(check, "limits") else { return (defaults, route::Limits::default()) };
    let section = Section::open(check, table, &shape::LIMITS);
    let mut connections = |key, default: usize| {
        let number = section.number(check, key, 1, MOST_CONNECTIONS).and_then(|number| usize::try_from(number).ok());
        number.unwrap_or(default)
    };
    let (total, per_client) = (
        connections("connections", defaults.connections),
        connections("connections_per_client", defaults.connections_per_client),
    );
    let limits = Limits {
        connections: total,
        connections_per_client: per_client,
        handshake: section.duration(check, "handshake_timeout").unwrap_or(defaults.handshake),
        header: section.duration(check, "header_timeout").unwrap_or(defaults.header),
        keep_alive: section.duration(check, "keep_alive").unwrap_or(defaults.keep_alive),
        collected: limits::size_of(check, &section, "collected").unwrap_or(defaults.collected),
    };
    (limits, limits::everywhere(check, &section))
}

fn addresses<'a>(
    check: &mut Check<'_>,
    section: Option<Section<'a>>,
    key: &'static str,
    defaults: Vec<SocketAddr>,
) -> Vec<Bound<'a>> {
    let name = key.trim_start_matches("listen.");
    let texts = section.and_then(|section| match section.node(name) {
        Some(Node { place, value: Value::Integer(_) }) => Some(vec![Sited { value: place.text(), place }]),
        _ => section.strings(check, name),
    });
    let Some(texts) = texts else {
        return defaults.into_iter().map(|address| Bound { key, address, place: None }).collect();
    };
    texts.into_iter().map(|text| bound(check, key, text)).collect()
}

/// Reads one address. In place of one that is refused stands port 0 of loopback, so that nothing follows from it.
fn bound<'a>(check: &mut Check<'_>, key: &'static str, text: Text<'a>) -> Bound<'a> {
    let address = text.value.parse().unwrap_or_else(|_| {
        let title = format!("cannot listen on {}", quoted(text.value));
        check.refuse(Code::InvalidAddress, title, text, objection(text.value));
        SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
    });
    Bound { key, address, place: Some(text.place) }
}

/// What was meant in place of `IP:port`.
pub(super) fn objection(text: &str) -> Objection {
    if let Ok(port) = text.trim_start_matches('*').strip_prefix(':').unwrap_or(text).parse::<u16>() {
        let fix = format!(
            "write `0.0.0.0:{port}` for every IPv4 address, `[::]:{port}` for every IPv6 address, or a list of both"
        );
        return Objection::new("a port alone does not say on which addresses", fix);
    }
    if let Some((ip, port)) = without_brackets(text) {
        let other = text.parse().map(|whole: Ipv6Addr| format!(", or `[{whole}]:443` if all of it is the address"));
        let fix = format!("write `[{ip}]:{port}`{}", other.unwrap_or_default());
        return Objection::new("where the port begins is not clear", fix);
    }
    match text.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => return Objection::new("the port is missing", format!("write it like `{ip}:443`")),
        Ok(IpAddr::V6(ip)) => {
            return Objection::new("where the port begins is not clear", format!("write it like `[{ip}]:443`"));
        }
        Err(_) => {}
    }
    let why = "an address to listen on is an IP address and a port";
    match text.rsplit_once(':') {
        Some(("localhost", port)) => Objection::new(why, format!("write {}", quoted(&format!("127.0.0.1:{port}")))),
        Some((host, port)) if host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() => {
            let why = format!("the port {} is no number from 1 to 65535", quoted(port));
            Objection::new(why, format!("write it like `{host}:443`"))
        }
        _ => Objection::new(why, "write it like `127.0.0.1:5001` or `[::1]:5001`"),
    }
}

/// An IPv6 address with a port put behind it.
fn without_brackets(text: &str) -> Option<(Ipv6Addr, u16)> {
    let (ip, port) = text.rsplit_once(':')?;
    Some((ip.parse().ok()?, port.parse().ok().filter(|port| *port > 0)?))
}

fn require_traffic(check: &mut Check<'_>, section: Option<Section<'_>>) {
    let Some(section) = section.filter(|section| is_off(section, "http") && is_off(section, "https")) else { return };
    let problem = Problem::error(Code::NothingToListenOn, "neither HTTP nor HTTPS is listened on").at(section.place());
    check.report(problem.why("`[]` switches a listener off").fix("leave `https` out for port 443 on every address"));
}

/// `[]`.
fn is_off(section: &Section<'_>, key: &str) -> bool {
    section.node(key).is_some_and(|node| matches!(&node.value, Value::List(items) if items.is_empty()))
}

/// Reports an address that is taken.
pub(super) fn refuse_conflict(check: &mut Check<'_>, taken: &[Bound<'_>], later: &Bound<'_>) {
    if let Some(earlier) = taken.iter().find(|earlier| overlap(earlier.address, later.address)) {
        check.report(conflict(earlier, later));
    }
}

fn conflict(earlier: &Bound<'_>, later: &Bound<'_>) -> Problem {
    let title = format!("`{}` and `{}` both want `{}`", earlier.key, later.key, later.address);
    let problem = Problem::error(Code::AddressConflict, title).fix("give one of them another port");
    match (earlier.place, later.place) {
        (Some(earlier), Some(later)) => problem.at(later).related(earlier, "taken here"),
        (Some(place), None) | (None, Some(place)) => problem.at(place).why("the other one has it by default"),
        (None, None) => problem,
    }
}

/// Whether two addresses cannot be bound at once; `[::]` is bound for IPv6 only.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let is_same_family = a.is_ipv4() == b.is_ipv4();
    let is_same_host = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    is_same_family && is_same_host && a.port() == b.port() && a.port() != 0
}

fn warn_of_exposure(check: &mut Check<'_>, admin: &[Bound<'_>]) {
    for bound in admin.iter().filter(|bound| !bound.address.ip().is_loopback()) {
        let title = format!("the admin listener is open to other machines on `{}`", bound.address);
        let problem = Problem::warning(Code::AdminExposed, title)
            .why("it answers anybody who reaches it, over plain HTTP")
            .fix("listen on `127.0.0.1:9464`, or let a firewall or network policy admit your monitoring only");
        check.report(placed(problem, bound.place));
    }
}

/// Tries to listen on each address; on a machine without IPv6 that is a notice only.
pub(super) fn try_all(check: &mut Check<'_>, listener: &[Bound<'_>]) {
    for bound in listener {
        let Err(error) = check.environment.try_listen(bound.address) else { continue };
        check.report(placed(cannot_listen(bound.address, &error), bound.place));
    }
}

fn cannot_listen(address: SocketAddr, error: &std::io::Error) -> Problem {
    let port = address.port();
    let problem = Problem::warning(Code::CannotListen, format!("cannot listen on `{address}` now"));
    let is_any_ipv6 = address.is_ipv6() && (address.ip().is_unspecified() || address.ip().is_loopback());
    match error.kind() {
        ErrorKind::AddrInUse => problem
            .why("another program listens there, or a portvakt that is running already")
            .fix(format!("see which one with `ss -ltnp 'sport = :{port}'`")),
        ErrorKind::PermissionDenied => problem
            .why("ports below 1024 need a right of their own")
            .fix("give it in the systemd unit with `AmbientCapabilities=CAP_NET_BIND_SERVICE`, or run as root"),
        _ if is_any_ipv6 => Problem::warning(Code::NoIpv6, format!("no IPv6 here: `{address}` is not listened on"))
            .why("the machine has IPv6 switched off")
            .fix(format!("nothing, or listen on `{}:{port}` only", Ipv4Addr::UNSPECIFIED)),
        ErrorKind::AddrNotAvailable => problem
            .why("no interface of this machine has that address")
            .fix(format!("choose one that `ip address` shows, or `{}:{port}`", Ipv4Addr::UNSPECIFIED)),
        _ => problem.why(error.to_string()).fix("choose another address"),
    }
}

fn placed(problem: Problem, place: Option<&Place>) -> Problem {
    match place {
        Some(place) => problem.at(place),
        None => problem,
    }
}

/// As many as file descriptors can be had.
const MOST_CONNECTIONS: u32 = 1_000_000;
