//! Every certificate: its life, what clients get, what happens next and why, what went wrong.

use super::bar::{self, Life};
use super::{Page, Problem, sentence};
use crate::admin::problem::{Level, Matter};
use crate::admin::status::{Certificate, Diagnosis, Served};
use crate::admin::words::{ByHand, FRAME, Say, advice, because, day, days_left, moment, next, role, state};
use crate::lifecycle::State;
use crate::metrics::CertificateRole;

/// The worst first, then the first to end.
pub(super) fn write(page: &mut Page<'_>, problems: &[Problem]) {
    let level = |certificate: &Certificate| {
        let own = problems.iter().filter(|it| it.about == certificate.name && is_of(&it.matter, certificate.role));
        own.map(|it| it.level).min()
    };
    let status = page.status;
    let (mut own, others): (Vec<_>, Vec<_>) =
        status.certificates.iter().partition(|it| it.role == CertificateRole::Listener);
    own.sort_by_key(|it| (level(it).map_or(u8::MAX, |level| level as u8), it.not_after));
    // Those of servers stand with them, and what we show to servers with the identities.
    let is_elsewhere =
        |it: &&&Certificate| matches!(it.role, CertificateRole::EgressClient | CertificateRole::UpstreamPeer);
    let others: Vec<_> = others.iter().filter(|it| !is_elsewhere(it)).copied().collect();
    page.section("certificates", page.say(FRAME.certificates));
    if own.is_empty() {
        page.html.tag("p", "none", page.say(FRAME.none));
    } else {
        bar::legend(page);
    }
    list(page, &own, &level);
    if !others.is_empty() {
        page.html.tag("h3", "sub", page.say(FRAME.others));
        list(page, &others, &level);
    }
    page.end_section();
}

/// Whether it is about a certificate of this kind: a site's own and the root that its users are judged by share a name.
fn is_of(matter: &Matter, kind: CertificateRole) -> bool {
    match matter {
        Matter::Expired { role, .. } | Matter::Ends { role, .. } => *role == kind,
        Matter::Missing
        | Matter::Placeholder { .. }
        | Matter::NotServed { .. }
        | Matter::Failing { .. }
        | Matter::Overdue
        | Matter::ChainEnds { .. }
        | Matter::NotStored => kind == CertificateRole::Listener,
        _ => false,
    }
}

fn list(page: &mut Page<'_>, all: &[&Certificate], level: &dyn Fn(&Certificate) -> Option<Level>) {
    page.html.open("ul", "rows");
    for certificate in all {
        let class = match level(certificate) {
            Some(Level::Broken) => "bad",
            Some(Level::Mend) => "poor",
            Some(Level::Wait) => "calm",
            None => "good",
        };
        page.html.open("li", class);
        row(page, certificate, class == "poor");
        page.html.close("li");
    }
    page.html.close("ul");
}

fn row(page: &mut Page<'_>, certificate: &Certificate, is_late: bool) {
    page.html.open("div", "who");
    page.html.tag("h3", "name", &certificate.name);
    let names = match certificate.role {
        CertificateRole::Listener => short_list(page, certificate),
        other => role(other, page.lang).to_owned(),
    };
    if !names.is_empty() {
        page.html.tag("p", "names", &names);
    }
    page.html.close("div");
    life(page, certificate, is_late);
    page.html.open("div", "next");
    page.html.open("p", "state");
    page.html.inline("b", "", state(certificate.state, page.lang));
    if let (State::Issued | State::Static, Some(end)) = (certificate.state, certificate.not_after) {
        page.html.text(" · ");
        page.html.text(&days_left(end.since(page.status.now).as_secs() / 86_400, page.lang));
    }
    page.html.close("p");
    what_next(page, certificate);
    page.html.close("div");
    page.html.open("details", "");
    page.html.open("summary", "");
    page.html.text(page.say(FRAME.details));
    page.html.inline("span", "hidden", &format!(" {}", certificate.name));
    page.html.close("summary");
    details(page, certificate);
    page.html.close("details");
}

/// Names beside the one that it is called by.
fn short_list(page: &Page<'_>, certificate: &Certificate) -> String {
    let others: Vec<_> =
        certificate.names.iter().filter(|name| **name != certificate.name).map(String::as_str).collect();
    let shown = others.iter().take(MOST_NAMES).copied().collect::<Vec<_>>().join(", ");
    match others.len().checked_sub(MOST_NAMES) {
        Some(more @ 1..) => {
            format!("{shown}, {}", FRAME.and_more.fill(page.lang, &[("count", more.to_string())]))
        }
        _ => shown,
    }
}

fn life(page: &mut Page<'_>, certificate: &Certificate, is_late: bool) {
    page.html.open("div", "span");
    if let Some((issued, end)) = certificate.not_before.zip(certificate.not_after) {
        let (due, emergency) = (certificate.renewal_due, certificate.emergency);
        bar::write(page, &Life { issued, due, emergency, end, is_late });
        page.html.start("p", &[("class", "ends"), ("aria-hidden", "true")]);
        page.html.inline("span", "", &day(issued));
        page.html.inline("span", "", &day(end));
        page.html.close("p");
    }
    page.html.close("div");
}

fn what_next(page: &mut Page<'_>, certificate: &Certificate) {
    page.html.open("p", "step");
    let Some(planned) = &certificate.next else {
        page.html.text(next("nothing", by_hand(page, certificate), page.lang));
        return page.html.close("p");
    };
    page.html.text(next(&planned.action, by_hand(page, certificate), page.lang));
    if let Some(at) = planned.at.filter(|_| planned.action != "nothing") {
        page.html.text(" ");
        page.away(at);
    }
    page.html.close("p");
}

/// Whether somebody has to replace it, and whether that is late already.
fn by_hand(page: &Page<'_>, certificate: &Certificate) -> ByHand {
    match certificate.not_after {
        _ if !certificate.renewal_manual => ByHand::No,
        Some(end) if end < page.status.now => ByHand::Now,
        _ => ByHand::InTime,
    }
}

fn details(page: &mut Page<'_>, certificate: &Certificate) {
    page.html.open("dl", "facts");
    if certificate.role == CertificateRole::Listener {
        served(page, certificate);
    }
    next_and_why(page, certificate);
    failure(page, certificate);
    for (say, text) in [
        (FRAME.names, certificate.names.join(", ")),
        (FRAME.issuer, certificate.issuer.clone()),
        (FRAME.key, certificate.key_type.clone()),
        (FRAME.serial, certificate.serial.clone()),
        (FRAME.fingerprint, certificate.sha256.clone()),
    ] {
        if !text.is_empty() {
            fact(page, say, |page| page.html.text(&text));
        }
    }
    for (say, at) in [
        (FRAME.issued, certificate.not_before),
        (FRAME.due, certificate.renewal_due),
        (FRAME.emergency, certificate.emergency),
        (FRAME.end, certificate.not_after),
    ] {
        if let Some(at) = at {
            fact(page, say, |page| page.when(at));
        }
    }
    page.html.close("dl");
}

/// What handshakes with our own listeners show: all at once where it is right, else each that is not.
fn served(page: &mut Page<'_>, certificate: &Certificate) {
    let status = page.status;
    let seen: Vec<_> = status.served.iter().filter(|seen| seen.certificate == certificate.name).collect();
    let good: Vec<&&Served> = seen.iter().filter(|seen| seen.as_published == Some(true)).collect();
    if let Some(last) = good.iter().filter_map(|seen| seen.at).max() {
        let (count, all) = (good.len().to_string(), seen.len().to_string());
        let facts = [("count", count), ("all", all), ("when", moment(last))];
        fact(page, FRAME.clients_get, |page| page.html.text(&FRAME.seen_everywhere.fill(page.lang, &facts)));
    }
    for listener in listeners(&good) {
        fact(page, FRAME.listens, |page| page.own_words("span", "", &listener));
    }
    for seen in seen.iter().filter(|seen| seen.as_published != Some(true)).take(MOST_SERVED) {
        fact(page, FRAME.clients_get, |page| match seen.as_published {
            None => page.html.text(&format!("{} · {}: {}", seen.name, seen.listener, page.say(FRAME.not_looked))),
            Some(_) => {
                page.html.open("b", "alarm");
                page.own_words("span", "", &format!("{} on {}: {}", seen.name, seen.listener, seen.found));
                page.html.end("b");
            }
        });
    }
}

fn listeners(seen: &[&&Served]) -> Vec<String> {
    let mut all: Vec<_> = seen.iter().map(|seen| seen.listener.clone()).collect();
    all.sort();
    all.dedup();
    all
}

fn next_and_why(page: &mut Page<'_>, certificate: &Certificate) {
    let Some(planned) = &certificate.next else { return };
    fact(page, FRAME.next, |page| {
        page.html.text(next(&planned.action, by_hand(page, certificate), page.lang));
        if let Some(at) = planned.at.filter(|_| planned.action != "nothing") {
            page.html.text(" ");
            page.when(at);
        }
        page.html.text(&format!(", {} ", page.say(FRAME.because)));
        match because(planned.reason, page.lang) {
            Some(why) => page.html.text(why),
            None => page.own_words("span", "", &planned.why),
        }
    });
    let Some(told) = &certificate.renewal_information else { return };
    if let Some((start, end)) = told.start.zip(told.end) {
        fact(page, FRAME.ca_window, |page| page.html.text(&format!("{} – {}", moment(start), moment(end))));
    }
    if let Some(url) = &told.explanation {
        fact(page, FRAME.ca_explains, |page| page.html.inline("code", "", url));
    }
}

fn failure(page: &mut Page<'_>, certificate: &Certificate) {
    if let Some(failure) = &certificate.last_failure {
        fact(page, FRAME.last_error, |page| {
            let advice = advice(failure.reason);
            page.html.inline("b", "alarm", page.say(advice.what));
            page.html.text(". ");
            page.html.prose(page.say(advice.fix));
            page.html.text(&format!(". {} ", page.say(FRAME.own_words)));
            page.own_words("span", "quote", &failure.detail);
            if let Some(fix) = &failure.fix {
                page.html.text(" ");
                page.own_words("span", "quote", fix);
            }
            page.html.text(&format!(" {}: ", page.say(FRAME.more)));
            page.html.inline("code", "", &format!("portvakt help {}", failure.code));
        });
        fact(page, FRAME.last_try, |page| {
            page.when(failure.at);
            let count = certificate.consecutive_failures.to_string();
            page.html.text(&format!(" · {}", FRAME.in_a_row.fill(page.lang, &[("count", count)])));
        });
    }
    if let Some(rehearsal) = &certificate.rehearsal {
        fact(page, FRAME.rehearsal, |page| page.own_words("span", "quote", rehearsal));
    }
    if let Some(diagnosis) = &certificate.diagnosis {
        fact(page, FRAME.doctor, |page| self::diagnosis(page, diagnosis));
    }
}

fn diagnosis(page: &mut Page<'_>, diagnosis: &Diagnosis) {
    page.when(diagnosis.at);
    if diagnosis.findings.is_empty() {
        page.html.text(&format!(" · {}", page.say(FRAME.doctor_finds_nothing)));
    }
    page.html.open("ul", "");
    for finding in &diagnosis.findings {
        page.html.open("li", "");
        page.html.prose(&sentence(finding.what.to(page.lang)));
        page.html.text(". ");
        page.html.prose(&sentence(finding.fix.to(page.lang)));
        page.html.text(&format!(". {}: ", page.say(FRAME.more)));
        page.html.inline("code", "", &format!("portvakt help {}", finding.code));
        page.html.close("li");
    }
    page.html.close("ul");
}

/// A term and what belongs to it.
pub(super) fn fact(page: &mut Page<'_>, term: Say, write: impl FnOnce(&mut Page<'_>)) {
    page.html.open("div", "");
    page.html.tag("dt", "", page.say(term));
    page.html.open("dd", "");
    write(page);
    page.html.close("dd");
    page.html.close("div");
}

const MOST_NAMES: usize = 3;
/// More are a wall in which nobody finds the bad one.
const MOST_SERVED: usize = 20;
