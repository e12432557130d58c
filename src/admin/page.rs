//! The status as a page for people: one file, nothing loaded, light and dark.

use std::fmt::{self, Display, Write};
use std::time::Duration;

use super::status::{Certificate, ClientIdentity, Next, Observing, ShownIdentity, Status, Upstream};
use crate::lifecycle::State;
use crate::time::Timestamp;

/// Renders the page. Every value is escaped.
pub(super) fn render(status: &Status) -> String {
    let mut page = String::with_capacity(8 * 1024);
    // Writing to a `String` does not fail.
    let _ = write_page(&mut page, status);
    page
}

fn write_page(page: &mut String, status: &Status) -> fmt::Result {
    write!(page, "{HEAD}<h1>portvakt {}</h1>", Escaped(&status.version))?;
    write_summary(page, status)?;
    status.observe.iter().try_for_each(|site| write_observed(page, site, status.now))?;
    write_certificates(page, status)?;
    write_served(page, status)?;
    write_client_identities(page, status)?;
    write_troubles(page, status)?;
    write_upstreams(page, &status.upstreams)?;
    write_listeners(page, status)?;
    page.write_str(FOOT)
}

fn write_summary(page: &mut String, status: &Status) -> fmt::Result {
    let reload = &status.last_reload;
    let config_file = status.config_file.as_deref().unwrap_or("command line");
    let (class, word) =
        if reload.ok { ("good", "worked") } else { ("bad", "failed; the configuration before it serves on") };
    write!(
        page,
        "<p>Running for {} since {}. Configuration: <code>{}</code>, last load {} <b class={class}>{word}</b>.</p>",
        Rough(Duration::from_secs(status.uptime)),
        status.started,
        Escaped(config_file),
        reload.at,
    )?;
    match &reload.error {
        Some(error) => write!(page, "<pre>{}</pre>", Escaped(error)),
        None => Ok(()),
    }
}

/// What the operator of an observed site decides by.
fn write_observed(page: &mut String, site: &Observing, now: Timestamp) -> fmt::Result {
    let title = format!("What would break on {}", Escaped(&site.site));
    let columns = ["Path", "Client", "Requests", "With <code>temporary</code>", "First seen", "Last seen"];
    write_table(page, &title, &columns, &site.requests, |page, seen| {
        let (class, word) = match seen.risk {
            "breaks" => ("bad", "refused (403)"),
            "may_break" => ("poor", "sent to https; see whether it follows and trusts the certificate"),
            _ => ("good", "sent to https; browsers follow"),
        };
        match &seen.path {
            Some(path) => write!(page, "<td><code>{}</code>", Escaped(path))?,
            None => page.write_str("<td>other paths")?,
        }
        write!(page, "<td>{}<td>{}<br><small>last: {}</small>", seen.who, seen.count, Escaped(seen.method))?;
        write!(page, "<td><b class={class}>{word}</b><br><small>{}</small>", Escaped(seen.why))?;
        write!(page, "<td>{}<td>{}", When(Some(seen.first_seen), now), When(Some(seen.last_seen), now))
    })?;
    let (class, refused) = match site.would_refuse {
        0 => ("good", "no request".to_owned()),
        count => ("bad", format!("{count} requests")),
    };
    write!(
        page,
        "<p>The site is in <code>observe</code>: nothing is refused or redirected. Since {} <b class={class}>{refused}</b> over \
         plain HTTP would have been refused, and {} sent to https. Watch it for as long as the rarest client needs to call once; \
         when nothing stands here that must go on, set <code>mode = \"temporary\"</code>.</p>",
        site.since, site.would_redirect,
    )
}

fn write_certificates(page: &mut String, status: &Status) -> fmt::Result {
    let columns = ["Name", "State", "For", "Issuer", "Valid until", "Next", "Last error"];
    write_table(page, "Certificates", &columns, &status.certificates, |page, certificate| {
        let class = class_of(certificate.state);
        write!(page, "<td>{}<br><small>{}</small>", Escaped(&certificate.name), certificate.role.as_str())?;
        write!(page, "<td><b class={class}>{}</b>", certificate.state.as_str())?;
        write!(page, "<td>{}", Escaped(&certificate.names.join(", ")))?;
        write!(page, "<td>{}<br><small>{}</small>", Escaped(&certificate.issuer), Escaped(&certificate.key_type))?;
        write!(page, "<td>{}<td>", When(certificate.not_after, status.now))?;
        write_next(page, certificate, status.now)?;
        write!(page, "<td>{}", Escaped(certificate.last_error.as_deref().unwrap_or("none")))?;
        match &certificate.rehearsal {
            Some(rehearsal) => write!(page, "<br><small>rehearsal: {}</small>", Escaped(rehearsal)),
            None => Ok(()),
        }
    })
}

/// What clients really get; of many names those alone that get something else.
fn write_served(page: &mut String, status: &Status) -> fmt::Result {
    let is_short = status.served.len() <= MOST_SERVED;
    let rows: Vec<_> = status.served.iter().filter(|seen| is_short || seen.as_published != Some(true)).collect();
    if rows.is_empty() && !is_short {
        return write!(page, "<h2>What clients get</h2><p>All {} names are served as published.", status.served.len());
    }
    let columns = ["Name", "Listener", "What a handshake shows", "Seen"];
    write_table(page, "What clients get", &columns, &rows, |page, seen| {
        let class = match seen.as_published {
            Some(true) => "good",
            Some(false) => "bad",
            None => "poor",
        };
        write!(page, "<td>{}<td><code>{}</code>", Escaped(&seen.name), Escaped(&seen.listener))?;
        write!(page, "<td><b class={class}>{}</b><td>{}", Escaped(&seen.found), When(seen.at, status.now))
    })
}

fn write_next(page: &mut String, certificate: &Certificate, now: Timestamp) -> fmt::Result {
    let Some(Next { action, at, why, .. }) = &certificate.next else {
        return page.write_str(if certificate.renewal_manual { "replace by hand" } else { "nothing planned" });
    };
    write!(page, "{}", Escaped(action))?;
    match at {
        Some(at) => write!(page, ": {}", When(Some(*at), now))?,
        None if action == "nothing" => {}
        None => page.write_str(" now")?,
    }
    write!(page, "<br><small>{}</small>", Escaped(why))?;
    match certificate.renewal_information.as_ref().and_then(|it| it.explanation.as_deref()) {
        Some(url) => write!(page, "<br><small>The CA explains: <code>{}</code></small>", Escaped(url)),
        None => Ok(()),
    }
}

/// Who we are to others; nothing where nobody asks.
fn write_client_identities(page: &mut String, status: &Status) -> fmt::Result {
    if status.client_identities.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> =
        status.client_identities.iter().flat_map(|of| of.identities.iter().map(move |shown| (of, shown))).collect();
    let columns = ["Destination", "Identity", "Name that people see", "Valid until", "State", "Next"];
    write_table(page, "Client identities", &columns, &rows, |page, (of, shown)| {
        write!(page, "<td>{}<td>{}", Escaped(&of.destination), shown.slot)?;
        write!(page, "<br><small>CN={}</small>", Escaped(&shown.subject))?;
        write!(page, "<td>{}<td>{}<td>", Escaped(&shown.display_name), When(shown.not_after, status.now))?;
        write_identity_state(page, of, shown)?;
        write!(page, "<td>{}", Escaped(&of.next.action))?;
        match of.next.at {
            Some(at) => write!(page, ": {}", When(Some(at), status.now)),
            None => Ok(()),
        }
    })
}

fn write_identity_state(page: &mut String, of: &ClientIdentity, shown: &ShownIdentity) -> fmt::Result {
    let is_over = shown.days_left.is_some_and(|days| days < 0);
    let (class, word) = match (&shown.trouble, &shown.refused, shown.is_in_use) {
        (Some(trouble), _, _) => ("bad", trouble.as_str()),
        (None, Some(refused), _) => ("bad", refused.detail.as_str()),
        (None, None, _) if is_over => ("bad", "expired"),
        (None, None, true) => ("good", "in use"),
        (None, None, false) => ("poor", "waiting"),
    };
    write!(page, "<b class={class}>{}</b>", Escaped(word))?;
    match of.why.as_deref().filter(|_| shown.is_in_use) {
        Some(why) => write!(page, "<br><small>{}</small>", Escaped(why)),
        None => Ok(()),
    }
}

fn write_upstreams(page: &mut String, upstreams: &[Upstream]) -> fmt::Result {
    let peers: Vec<_> = upstreams.iter().flat_map(|up| up.peers.iter().map(move |peer| (&up.name, peer))).collect();
    write_table(page, "Upstreams", &["Name", "Address", "Health", "Last error"], &peers, |page, (name, peer)| {
        let (class, word) = match (peer.healthy, peer.state) {
            (true, _) => ("good", "healthy"),
            (false, "down") => ("bad", "down"),
            (false, _) => ("bad", "unreachable"),
        };
        write!(page, "<td>{}<td><code>{}</code>", Escaped(name), Escaped(&peer.address))?;
        write!(page, "<td><b class={class}>{word}</b>")?;
        write!(page, "<td>{}", Escaped(peer.last_error.as_deref().unwrap_or("none")))
    })
}

/// What answers have told about servers; nothing where there is nothing to mend.
fn write_troubles(page: &mut String, status: &Status) -> fmt::Result {
    if status.troubles.is_empty() {
        return Ok(());
    }
    let columns = ["Code", "Upstream or route", "What to mend", "Seen"];
    write_table(page, "To be mended", &columns, &status.troubles, |page, trouble| {
        write!(
            page,
            "<td>{}<td>{}<td><b class=bad>{}</b>",
            trouble.code,
            Escaped(&trouble.about),
            Escaped(trouble.what)
        )?;
        write!(page, "<br><small>{}</small><td>{} times, last ", Escaped(trouble.fix), trouble.count)?;
        write!(page, "{}", When(Some(trouble.last_seen), status.now))
    })
}

fn write_listeners(page: &mut String, status: &Status) -> fmt::Result {
    write_table(page, "Listeners", &["Kind", "Address"], &status.listeners, |page, listener| {
        write!(page, "<td>{}<td><code>{}</code>", listener.kind.as_str(), Escaped(&listener.address))
    })?;
    if !status.http1_only.is_empty() {
        write_table(page, "Sites without HTTP/2", &["Site", "Why"], &status.http1_only, |page, site| {
            write!(page, "<td>{}<td>", Escaped(&site.site))?;
            match site.since {
                Some(at) => {
                    write!(page, "its server asks for NTLM or Negotiate, first seen {}", When(Some(at), status.now))
                }
                None => page.write_str("<code>affinity = \"connection\"</code>"),
            }
        })?;
    }
    write_table(page, "ACME accounts", &["Directory", "Account"], &status.acme, |page, acme| {
        let account = acme.account.as_deref().unwrap_or("none yet");
        write!(page, "<td><code>{}</code><td><code>{}</code>", Escaped(&acme.directory), Escaped(account))
    })
}

/// A headline and a table; the headline alone says `none` for an empty one.
fn write_table<T>(
    page: &mut String,
    title: &str,
    columns: &[&str],
    rows: &[T],
    write_row: impl Fn(&mut String, &T) -> fmt::Result,
) -> fmt::Result {
    write!(page, "<h2>{title}</h2>")?;
    if rows.is_empty() {
        return page.write_str("<p>none</p>");
    }
    page.write_str("<div><table><tr>")?;
    columns.iter().try_for_each(|column| write!(page, "<th scope=col>{column}"))?;
    for row in rows {
        page.write_str("\n<tr>")?;
        write_row(page, row)?;
    }
    page.write_str("</table></div>")
}

fn class_of(state: State) -> &'static str {
    match state {
        State::Issued | State::Static => "good",
        State::Placeholder => "poor",
        State::Expired | State::Missing => "bad",
    }
}

/// Text in HTML, between tags.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            other => f.write_char(other),
        })
    }
}

/// A point of time, and how far it is from another.
struct When(Option<Timestamp>, Timestamp);

impl Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(Some(time), now) = *self else { return f.write_str("not at all") };
        match time > now {
            true => write!(f, "{time}<br><small>in {}</small>", Rough(time.since(now))),
            false => write!(f, "{time}<br><small>{} ago</small>", Rough(now.since(time))),
        }
    }
}

/// A length of time in the two units that matter.
struct Rough(Duration);

impl Display for Rough {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
        match (days, hours, minutes) {
            (0, 0, 0) => write!(f, "{seconds} s"),
            (0, 0, _) => write!(f, "{minutes} min"),
            (0, _, _) => write!(f, "{hours} h {} min", minutes % 60),
            (1..10, _, _) => write!(f, "{days} d {} h", hours % 24),
            _ => write!(f, "{days} d"),
        }
    }
}

/// More are a wall in which nobody finds the bad one.
const MOST_SERVED: usize = 50;
const HEAD: &str = "<!DOCTYPE html>
<html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'><title>portvakt</title>
<style>
:root { color-scheme: light dark; font: 15px/1.45 system-ui, sans-serif }
body { max-width: 75rem; margin: 1.5rem auto; padding: 0 1rem }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin: 1.5rem 0 .4rem }
div { overflow-x: auto } table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8886 }
small { opacity: .75 } pre { overflow-x: auto; padding: .6rem; border: 1px solid #8886 }
.good { color: light-dark(#17692f, #6fce8b) } .poor { color: light-dark(#8a5a00, #e8b54a) } .bad { color: light-dark(#b01919, #ff8a80) }
</style>
";

const FOOT: &str = "
<p><small>The same for programs: <a href=/status.json>status.json</a>, <a href=/metrics>metrics</a>,
<a href=/livez>livez</a>, <a href=/readyz>readyz</a>, <a href='/readyz?cert=strict'>readyz?cert=strict</a>.</small></p>
";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn given_a_length_of_time_when_displayed_then_two_units() {
        #[rustfmt::skip]
        let table = [
            (0, "0 s"), (59, "59 s"), (60, "1 min"), (3_599, "59 min"), (3_600, "1 h 0 min"), (86_399, "23 h 59 min"),
            (86_400, "1 d 0 h"), (863_999, "9 d 23 h"), (864_000, "10 d"),
        ];
        for (seconds, text) in table {
            assert_eq!(Rough(Duration::from_secs(seconds)).to_string(), text);
        }
    }

    #[test]
    fn given_a_time_when_displayed_then_before_or_after_now() {
        let now = Timestamp::from_unix(1_000);
        assert_eq!(When(None, now).to_string(), "not at all");
        assert_eq!(
            When(Some(now + Duration::from_secs(5)), now).to_string(),
            "1970-01-01T00:16:45Z<br><small>in 5 s</small>"
        );
        assert_eq!(
            When(Some(now - Duration::from_secs(5)), now).to_string(),
            "1970-01-01T00:16:35Z<br><small>5 s ago</small>"
        );
    }

    proptest! {
        #[test]
        fn given_any_text_when_escaped_then_no_markup(text: String) {
            let escaped = Escaped(&text).to_string();
            prop_assert!(!escaped.contains(['<', '>', '"', '\'']));
            let back = escaped.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'");
            prop_assert_eq!(back.replace("&amp;", "&"), text);
        }
    }
}
