//! An explanation as people read it.

use std::fmt;

use super::{Answer, Explanation, Headers};

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}\n", self.method, self.url)?;
        match (&self.site, &self.site_origin) {
            (Some(site), Some(origin)) => writeln!(f, "site        {site}  ({origin})")?,
            (Some(site), None) => writeln!(f, "site        {site}")?,
            (None, _) => self.no_site(f)?,
        }
        if let Some(route) = &self.route {
            writeln!(f, "route       {route}")?;
        }
        writeln!(f, "plain HTTP  {}", self.http)?;
        writeln!(f, "HTTPS       {}", self.https)?;
        if let Some(certificate) = &self.client_certificate {
            writeln!(f, "client      certificate {}", certificate.explanation)?;
        }
        section(f, "headers of the request", &self.request_headers)?;
        section(f, "headers of the answer, over HTTPS", &self.response_headers)?;
        self.settings(f)
    }
}

impl Explanation {
    fn no_site(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "site        none has this host")?;
        if let Some(meant) = &self.meant {
            write!(f, "; did you mean {meant}?")?;
        }
        writeln!(f, "\n            there are: {}", self.names.join(", "))
    }

    fn settings(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.settings.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nsettings that hold here")?;
        let lines =
            self.settings.iter().map(|setting| (format!("  {} = {}", setting.key, setting.value), &setting.origin));
        let lines: Vec<_> = lines.collect();
        let width = lines.iter().map(|(line, _)| line.chars().count()).filter(|width| *width <= 70).max().unwrap_or(0);
        lines.iter().try_for_each(|(line, origin)| writeln!(f, "{line:<width$}  # {origin}"))
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let action = match self {
            Self::Forwarded { upstream, action } => {
                write!(f, "goes to upstream {upstream}")?;
                action
            }
            Self::Redirected { status, location, action } => {
                write!(f, "{status} to {location}")?;
                action
            }
            Self::Refused { status, explanation, action } => {
                write!(f, "{status}: {explanation}")?;
                action
            }
            Self::HandshakeRefused => {
                return f.write_str("no handshake: alert unrecognized_name; 421 on a connection for another name");
            }
            Self::NotListened => return f.write_str("not listened on"),
        };
        match action {
            Some(action) => write!(f, "  (counted as {action})"),
            None => Ok(()),
        }
    }
}

fn section(f: &mut fmt::Formatter<'_>, title: &str, headers: &Headers) -> fmt::Result {
    if *headers == Headers::default() {
        return Ok(());
    }
    writeln!(f, "\n{title}")?;
    if !headers.removed.is_empty() {
        writeln!(f, "  removed   {}", headers.removed.join(", "))?;
    }
    headers.set.iter().try_for_each(|header| writeln!(f, "  set       {header}"))?;
    headers.changed.iter().try_for_each(|words| writeln!(f, "  changed   {words}"))
}
