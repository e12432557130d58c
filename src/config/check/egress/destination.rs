//! `destination`.

use super::super::address;
use super::super::client_identity::Audience;
use super::super::section::{Section, Sited, Text};
use super::super::{Check, Objection};
use crate::config::code::Code;
use crate::config::problem::{Problem, listed, quoted};
use crate::egress::{Environment, Preset, Service};

/// Where an egress leads.
pub(super) struct Destination<'a> {
    /// As it is written; of a preset alone, its host where the preset is written.
    pub(super) text: Text<'a>,
    /// Lower case, no brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// What the preset knows of it.
    pub(super) service: Option<&'static Service>,
}

impl<'a> Destination<'a> {
    /// As `Host` has it: without the port of https (RFC 9110 §4.2.2).
    pub(super) fn authority(&self) -> String {
        match self.port {
            443 if self.host.contains(':') => format!("[{}]", self.host),
            443 => self.host.clone(),
            port => address::join(&self.host, port),
        }
    }

    /// To whom an identity is shown.
    pub(super) fn audience(&self) -> Audience<'a> {
        Audience { environment: Environment::of_host(&self.host), place: self.text.place }
    }
}

/// Reads `https://host` or `https://host:port`; a preset has it already.
pub(super) fn read<'a>(
    check: &mut Check<'_>,
    section: &Section<'a>,
    preset: Option<&'static Preset>,
) -> Option<Destination<'a>> {
    let service = preset.map(|preset| &preset.services[0]);
    if let (true, Some(service), Some(place)) = (section.lacks("destination"), service, section.node("preset")) {
        let text = Sited { value: service.host, place: &place.place };
        return Some(Destination { text, host: service.host.to_owned(), port: 443, service: Some(service) });
    }
    // A preset that is not known has a destination too.
    if section.lacks("destination") && section.lacks("preset") {
        let problem = section.missing("destination").why("it says which service is called");
        check.report(problem.fix("write `destination = \"https://service.example\"`"));
    }
    let text = section.string(check, "destination")?;
    if is_plain(text.value) {
        check.report(plaintext(text));
        return None;
    }
    match parse(text.value) {
        Ok((host, port)) => of_preset(check, text, host, port, preset),
        Err(objection) => {
            let title = format!("{} is not a destination", quoted(text.value));
            check.refuse(Code::InvalidDestination, title, text, objection);
            None
        }
    }
}

fn of_preset<'a>(
    check: &mut Check<'_>,
    text: Text<'a>,
    host: String,
    port: u16,
    preset: Option<&'static Preset>,
) -> Option<Destination<'a>> {
    let service = preset.and_then(|preset| preset.service(&host)).filter(|_| port == 443);
    if let (Some(preset), None) = (preset, service) {
        let hosts: Vec<_> = preset.services.iter().map(|service| format!("https://{}", service.host)).collect();
        let title = format!("{} is not a host of {}", quoted(text.value), quoted(preset.name));
        let why = format!("the hosts of the preset are {}; its root is believed for them only", listed(&hosts));
        let fix = "leave `destination` out; for another host, `preset` and write `trust_anchors` and `allow`";
        check.refuse(Code::ForeignDestination, title, text, Objection::new(why, fix));
        return None;
    }
    Some(Destination { text, host, port, service })
}

fn is_plain(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("http"))
}

fn plaintext(text: Text<'_>) -> Problem {
    let title = format!("{} would be called without TLS", quoted(text.value));
    let problem = Problem::error(Code::PlaintextDestination, title).at(text.place);
    let problem = problem.why("a client certificate is shown in a TLS handshake; plain HTTP has none");
    problem.fix(format!("write {}", quoted(&text.value.replacen("http", "https", 1).replacen("HTTP", "https", 1))))
}

fn parse(text: &str) -> Result<(String, u16), Objection> {
    let Some((scheme, rest)) = text.split_once("://") else { return Err(no_scheme(text)) };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    if let Some((_, host)) = authority.rsplit_once('@') {
        let why = "a user name or password does not belong into a destination; it would be sent nowhere";
        return Err(Objection::new(why, format!("write {}", quoted(&format!("https://{host}")))));
    }
    if !scheme.eq_ignore_ascii_case("https") {
        let why = format!("the scheme {} is not `https`", quoted(scheme));
        return Err(Objection::new(why, format!("write {}", quoted(&format!("https://{authority}")))));
    }
    if !matches!(tail, "" | "/") {
        let why = "a request goes on with the path that the application has asked for; a destination has none";
        let fix = format!(
            "write {}; which paths may be asked for is said by `allow`",
            quoted(&format!("https://{authority}"))
        );
        return Err(Objection::new(why, fix));
    }
    let (host, port) = address::parse_authority(authority)?;
    Ok((host, port.unwrap_or(443)))
}

fn no_scheme(text: &str) -> Objection {
    let why = "a destination is a URL that begins with `https://`";
    if text.is_empty() || text.starts_with("unix:") {
        return Objection::new(why, "write it like `https://service.example`");
    }
    let host = text.split(['/', '?', '#']).next().unwrap_or(text);
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    Objection::new(why, format!("write {}", quoted(&format!("https://{host}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_destinations_when_parsed_then_host_and_port_or_why_not() {
        let to = |host: &str, port| Some((host.to_owned(), port));
        #[rustfmt::skip]
        let table = [
            ("https://Partner.example", to("partner.example", 443)), ("HTTPS://localhost:8443/", to("localhost", 8443)),
            ("https://[::1]:9", to("::1", 9)), ("https://a/b", None), ("https://a?b", None), ("https://u:p@a", None),
            ("ftp://a", None), ("a.example", None), ("", None), ("https://", None), ("https://a:0", None),
            ("unix:/run/a", None), ("https://a b", None), ("u:p@a/x", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn given_a_password_in_a_destination_when_refused_then_not_repeated() {
        for text in ["https://user:geheim@a", "user:geheim@a/x", "ftp://user:geheim@a"] {
            let objection = parse(text).unwrap_err();
            assert!(!format!("{objection:?}").contains("geheim"), "{objection:?}");
        }
    }
}
