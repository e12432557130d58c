//! A diagnosis for people at a terminal.

use std::fmt::Write as _;

use super::finding::{Audience, Finding, Level};
use super::house::HouseCall;
use super::judge::{Criteria, Diagnosis, Verdict};
use super::sight::{Hop, Sight, Walk};
use super::words::{FRAME, Lang, tell, title};
use crate::pki::Certificate;
use crate::time::Timestamp;

/// The whole text.
pub(super) fn text(sight: &Sight, diagnosis: &Diagnosis, lang: Lang, is_colored: bool) -> String {
    let paint = Paint { is_colored };
    let mut out = format!("{}\n{}\n\n", paint.bold(&sight.target.to_string()), looked_at(sight, lang));
    for (verdict, sentence) in sentences(diagnosis, lang) {
        push(&mut out, &paint.verdict(verdict, &format!("{sentence}.")));
    }
    push(&mut out, &format!("{}.", outlook(sight, diagnosis, lang)));
    push(&mut out, &format!("\n{}", paint.bold(FRAME.criteria.to(lang))));
    for (name, answer) in criteria(&diagnosis.criteria, lang) {
        let _ = writeln!(out, "  {name:<width$}  {answer}", width = 50);
    }
    push_findings(&mut out, &diagnosis.findings, lang, &paint);
    push(&mut out, &format!("\n{}", paint.bold(FRAME.seen.to(lang))));
    for (name, lines) in seen(sight, lang) {
        for (index, line) in lines.iter().enumerate() {
            let name = if index == 0 { name.as_str() } else { "" };
            let _ = writeln!(out, "  {name:<12}  {line}");
        }
    }
    out
}

/// A configuration, and then each of its sites.
pub(super) fn house(call: &HouseCall, lang: Lang, is_colored: bool) -> String {
    let paint = Paint { is_colored };
    let mut out = format!("{}\n", paint.bold(&call.config.display().to_string()));
    push(&mut out, &looked_at_by(call.at, &call.from, lang));
    push(&mut out, "");
    for sentence in house_sentences(call, lang) {
        push(&mut out, &format!("{sentence}."));
    }
    push_findings(&mut out, &call.findings, lang, &paint);
    for site in &call.sites {
        out.push('\n');
        out.push_str(&text(&site.sight, &site.diagnosis, lang, is_colored));
    }
    out
}

/// Whether something is to be done, and what was not looked at.
pub(super) fn house_sentences(call: &HouseCall, lang: Lang) -> Vec<&'static str> {
    let mut sentences = vec![if call.is_well() { FRAME.nothing_to_do } else { FRAME.something_to_do }.to(lang)];
    if call.is_offline {
        sentences.push(FRAME.offline.to(lang));
    } else if !call.is_running {
        sentences.push(FRAME.not_running.to(lang));
    }
    sentences
}

fn push_findings(out: &mut String, findings: &[Finding], lang: Lang, paint: &Paint) {
    for finding in findings {
        let told = tell(finding, lang);
        let heading = format!("{} {}: {}", finding.topic, level(finding.level, lang), told.title);
        push(out, &format!("\n{}", paint.level(finding.level, &heading)));
        push(out, &format!("  {}", told.what));
        push(out, &format!("  = {}: {}", FRAME.why.to(lang), told.why));
        push(out, &format!("  = {}: {}", FRAME.fix.to(lang), told.fix));
    }
}

fn push(out: &mut String, line: &str) {
    out.push_str(line);
    out.push('\n');
}

/// When and from where.
pub(super) fn looked_at(sight: &Sight, lang: Lang) -> String {
    looked_at_by(sight.at, &sight.from, lang)
}

pub(super) fn looked_at_by(at: Timestamp, from: &str, lang: Lang) -> String {
    let from = if from.is_empty() { "?" } else { from };
    FRAME.looked_at.fill(lang, &[("at", minute(at)), ("from", from.to_owned())])
}

fn minute(at: Timestamp) -> String {
    let text = at.to_string();
    match text.get(..16) {
        Some(minute) => format!("{} UTC", minute.replace('T', " ")),
        None => text,
    }
}

/// One plain sentence for each audience.
pub(super) fn sentences(diagnosis: &Diagnosis, lang: Lang) -> Vec<(Verdict, String)> {
    let sentence = |audience| {
        let who = match audience {
            Audience::Android => FRAME.android,
            Audience::Iphone => FRAME.iphone,
            Audience::Browsers => FRAME.browsers,
        };
        let verdict = diagnosis.verdict(audience);
        let root = diagnosis.root.as_ref().map(|(root, _)| root.clone()).unwrap_or_default();
        let mut facts = vec![("who", who.to(lang).to_owned()), ("root", root)];
        let say = match verdict {
            Verdict::Accepts => FRAME.accept,
            Verdict::AcceptsSince(version) => {
                let told = diagnosis.since.map_or_else(|| version.to_owned(), |support| support.told(version));
                facts.push(("version", told));
                FRAME.accept_since
            }
            Verdict::AcceptsWithRoot => FRAME.accept_with_root,
            Verdict::Refuses(topic) => {
                facts.push(("because", title(topic, lang).to_owned()));
                FRAME.refuse
            }
            Verdict::GetsNowhere(topic) => {
                facts.push(("because", title(topic, lang).to_owned()));
                FRAME.get_nowhere
            }
        };
        (verdict, say.fill(lang, &facts))
    };
    Audience::EVERY.map(sentence).into()
}

/// Whether something is to be done, and when it stops working.
pub(super) fn outlook(sight: &Sight, diagnosis: &Diagnosis, lang: Lang) -> String {
    let first = if diagnosis.is_well() { FRAME.nothing_to_do } else { FRAME.something_to_do }.to(lang);
    let Some(ends) = diagnosis.ends else { return first.to_owned() };
    let refuses = |audience: &Audience| matches!(diagnosis.verdict(*audience), Verdict::Refuses(_));
    if sight.at <= ends && Audience::EVERY.iter().all(refuses) {
        return format!("{first}. {}", FRAME.for_nobody.to(lang));
    }
    let (say, apart) = match sight.at <= ends {
        true => (FRAME.works_until, ends.since(sight.at)),
        false => (FRAME.stopped, sight.at.since(ends)),
    };
    let days = (apart.as_secs() / 86_400).to_string();
    format!("{first}. {}", say.fill(lang, &[("date", day(ends)), ("days", days)]))
}

pub(super) fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

/// Each criterion, and whether it is met.
pub(super) fn criteria(criteria: &Criteria, lang: Lang) -> Vec<(&'static str, &'static str)> {
    let answer = |met: Option<bool>| match met {
        Some(true) => FRAME.yes.to(lang),
        Some(false) => FRAME.no.to(lang),
        None => FRAME.not_seen.to(lang),
    };
    vec![
        (FRAME.criterion_name.to(lang), answer(criteria.name)),
        (FRAME.criterion_date.to(lang), answer(criteria.date)),
        (FRAME.criterion_authority.to(lang), answer(criteria.authority)),
    ]
}

pub(super) fn level(level: Level, lang: Lang) -> &'static str {
    match level {
        Level::Broken => FRAME.broken.to(lang),
        Level::Mend => FRAME.mend.to(lang),
        Level::Note => FRAME.note.to(lang),
    }
}

/// Names and lines: addresses, certificates, answers.
pub(super) fn seen(sight: &Sight, lang: Lang) -> Vec<(String, Vec<String>)> {
    let mut rows = Vec::new();
    for looked in &sight.addresses {
        let line = match &looked.outcome {
            Ok(shown) => {
                let staple = shown.is_stapled.then_some("OCSP staple");
                let alpn = Some(shown.alpn.as_str()).filter(|alpn| !alpn.is_empty());
                let words = [Some(shown.version.as_str()), Some(shown.cipher.as_str()), alpn, staple];
                let words: Vec<_> = words.into_iter().flatten().filter(|word| !word.is_empty()).collect();
                words.join(", ")
            }
            Err(trouble) => trouble.detail(),
        };
        rows.push((FRAME.address.to(lang).to_owned(), vec![format!("{}  {line}", looked.address)]));
    }
    if let Some((_, shown)) = sight.first_shown() {
        rows.extend(shown.chain.iter().map(|it| (FRAME.certificate.to(lang).to_owned(), certificate(it, lang))));
    }
    for walk in [&sight.secure, &sight.plain].into_iter().flatten() {
        rows.extend((!walk.hops.is_empty()).then(|| (FRAME.answers.to(lang).to_owned(), answers(walk))));
    }
    rows
}

fn certificate(certificate: &Certificate, lang: Lang) -> Vec<String> {
    let facts = certificate.facts();
    let mut lines = vec![
        certificate.subject().to_owned(),
        format!("{} {}", FRAME.issued_by.to(lang), certificate.issuer()),
        format!(
            "{} {} .. {}, {} {}",
            FRAME.valid.to(lang),
            day(facts.not_before),
            day(facts.not_after),
            FRAME.key.to(lang),
            facts.key_type
        ),
    ];
    if !facts.names.is_empty() {
        let names: Vec<_> = facts.names.iter().take(MOST_NAMES).map(String::as_str).collect();
        let more = if facts.names.len() > MOST_NAMES { ", ..." } else { "" };
        lines.push(format!("{} {}{more}", FRAME.names.to(lang), names.join(", ")));
    }
    lines.push(format!("sha256 {}", facts.fingerprint));
    lines.iter().map(|line| line.chars().map(|c| if c.is_control() { '?' } else { c }).collect()).collect()
}

fn answers(walk: &Walk) -> Vec<String> {
    let line = |hop: &Hop| {
        let mut line = format!("{} {}", hop.status, hop.url);
        if !hop.location.is_empty() {
            line.push_str(&format!(" -> {}", hop.location));
        }
        if !hop.hsts.is_empty() {
            line.push_str(&format!("  (HSTS {})", hop.hsts));
        }
        line
    };
    walk.hops.iter().take(MOST_HOPS).map(line).collect()
}

const MOST_NAMES: usize = 8;
const MOST_HOPS: usize = 6;

/// Colours, on a terminal.
struct Paint {
    is_colored: bool,
}

impl Paint {
    fn code(&self, code: &str, text: &str) -> String {
        if self.is_colored { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn bold(&self, text: &str) -> String {
        self.code("1", text)
    }

    fn verdict(&self, verdict: Verdict, text: &str) -> String {
        match verdict {
            Verdict::Accepts | Verdict::AcceptsSince(_) | Verdict::AcceptsWithRoot => self.code("32", text),
            Verdict::Refuses(_) | Verdict::GetsNowhere(_) => self.code("31", text),
        }
    }

    fn level(&self, level: Level, text: &str) -> String {
        match level {
            Level::Broken => self.code("1;31", text),
            Level::Mend => self.code("1;33", text),
            Level::Note => self.bold(text),
        }
    }
}
