//! `proxy`, wherever it stands, and what the environment says in its place.

use super::section::Section;
use super::{Check, Objection};
use crate::config::code::Code;
use crate::config::problem::Problem;
use crate::config::secret;
use crate::outward::Proxy;

/// Reads `proxy`.
pub(super) fn read(check: &mut Check<'_>, section: &Section<'_>) -> Option<Proxy> {
    let text = section.string(check, "proxy")?;
    if text.value.contains('@') && !secret::is_variable(text.place.text()) {
        let problem = Problem::error(Code::PasswordInConfiguration, "a user stands in the URL of the proxy");
        let problem =
            problem.at(text.place).why("configurations are read, copied and kept by many; a password must not be");
        check.report(problem.fix("take the whole URL from the environment: `proxy = \"${NAME}\"`"));
        return None;
    }
    match Proxy::parse(text.value) {
        Ok(proxy) => Some(proxy),
        Err(error) => {
            let objection = Objection::new(error.to_string(), "write it like `http://proxy.example.com:3128`");
            check.refuse(Code::InvalidProxy, "`proxy` names no proxy that can be used".to_owned(), text, objection);
            None
        }
    }
}

/// The proxy that the environment wants for a URL; `key` is what would rule over it. This machine itself is never reached
/// through one.
pub(super) fn of_environment(check: &mut Check<'_>, url: &str, key: &str) -> Option<Proxy> {
    if is_this_machine(url) {
        return None;
    }
    let variable = |names: [&'static str; 2]| {
        names.into_iter().find_map(|name| Some((name, check.environment.variable(name).filter(|v| !v.is_empty())?)))
    };
    let (name, value) = variable(["HTTPS_PROXY", "https_proxy"])?;
    let no_proxy = variable(["NO_PROXY", "no_proxy"]).map(|(_, value)| value);
    match Proxy::of_environment(url, Some(&value), no_proxy.as_deref()) {
        Ok(proxy) => proxy,
        Err(error) => {
            let title = format!("the environment variable `{name}` names no proxy that can be used");
            let problem = Problem::warning(Code::InvalidProxy, title).why(error.to_string());
            check.report(problem.fix(format!("set it like `http://proxy.example.com:3128`, or set `{key}`")));
            None
        }
    }
}

fn is_this_machine(url: &str) -> bool {
    let Ok(url) = url.parse::<http::Uri>() else { return false };
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}
