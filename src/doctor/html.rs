//! A diagnosis on one page of paper, to be handed over. Nothing in it comes from elsewhere, and nothing in it runs.

use super::finding::{Finding, Level};
use super::house::HouseCall;
use super::judge::{Diagnosis, Verdict};
use super::sight::Sight;
use super::text::{criteria, house_sentences, level, looked_at, looked_at_by, outlook, seen, sentences};
use super::words::{FRAME, Lang, tell};
use crate::html::{Html, escaped};

/// The whole document.
pub(super) fn page(sight: &Sight, diagnosis: &Diagnosis, lang: Lang) -> String {
    let target = sight.target.to_string();
    let title = format!("{}: {target}", FRAME.title.to(lang));
    let mut body = Html::default();
    body.tag("p", "kind", FRAME.title.to(lang));
    url(&mut body, sight, diagnosis, lang);
    footer(&mut body, lang);
    document(lang, &title, &body.into_string())
}

/// A configuration, and each of its sites on a page of its own.
pub(super) fn house(call: &HouseCall, lang: Lang) -> String {
    let file = call.config.display().to_string();
    let mut body = Html::default();
    body.tag("p", "kind", FRAME.house_title.to(lang));
    body.tag("h1", "", &file);
    body.tag("p", "when", &looked_at_by(call.at, &call.from, lang));
    body.tag("h2", "", FRAME.verdict.to(lang));
    let class = if call.is_well() { "outlook good" } else { "outlook bad" };
    body.tag("p", class, &format!("{}.", house_sentences(call, lang).join(". ")));
    findings(&mut body, &call.findings, lang);
    for site in &call.sites {
        body.open("div", "site");
        url(&mut body, &site.sight, &site.diagnosis, lang);
        body.close("div");
    }
    footer(&mut body, lang);
    document(lang, &format!("{}: {file}", FRAME.house_title.to(lang)), &body.into_string())
}

fn url(body: &mut Html, sight: &Sight, diagnosis: &Diagnosis, lang: Lang) {
    body.tag("h1", "", &sight.target.to_string());
    body.tag("p", "when", &looked_at(sight, lang));
    body.tag("h2", "", FRAME.verdict.to(lang));
    let is_well = if diagnosis.is_well() { "outlook good" } else { "outlook bad" };
    body.tag("p", is_well, &format!("{}.", outlook(sight, diagnosis, lang)));
    body.open("ul", "verdicts");
    for (verdict, sentence) in sentences(diagnosis, lang) {
        body.tag("li", verdict_class(verdict), &format!("{sentence}."));
    }
    body.close("ul");
    body.tag("h2", "", FRAME.criteria.to(lang));
    criteria_table(body, diagnosis, lang);
    findings(body, &diagnosis.findings, lang);
    body.tag("h2", "", FRAME.seen.to(lang));
    seen_table(body, sight, lang);
}

fn findings(body: &mut Html, findings: &[Finding], lang: Lang) {
    if !findings.is_empty() {
        body.tag("h2", "", FRAME.findings.to(lang));
    }
    findings.iter().for_each(|it| finding(body, it, lang));
}

fn footer(body: &mut Html, lang: Lang) {
    body.open("footer", "");
    let version = [("version", env!("CARGO_PKG_VERSION").to_owned())];
    body.tag("span", "", &FRAME.made_with.fill(lang, &version));
    body.tag("span", "sign", FRAME.signature.to(lang));
    body.close("footer");
}

fn document(lang: Lang, title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n",
        lang.tag(),
        escaped(title)
    )
}

fn criteria_table(body: &mut Html, diagnosis: &Diagnosis, lang: Lang) {
    body.open("table", "criteria");
    for ((name, answer), met) in criteria(&diagnosis.criteria, lang).into_iter().zip(diagnosis.criteria.each()) {
        let class = match met {
            Some(true) => "good",
            Some(false) => "bad",
            None => "",
        };
        body.open("tr", "");
        body.tag("th", "", name);
        body.tag("td", class, answer);
        body.close("tr");
    }
    body.close("table");
}

fn finding(body: &mut Html, finding: &Finding, lang: Lang) {
    let told = tell(finding, lang);
    let class = match finding.level {
        Level::Broken => "finding broken",
        Level::Mend => "finding mend",
        Level::Note => "finding note",
    };
    body.open("section", class);
    body.open("h3", "");
    body.tag("span", "level", level(finding.level, lang));
    body.tag("span", "", &capital(told.title));
    body.tag("span", "code", &finding.topic.to_string());
    body.close("h3");
    body.open("p", "");
    body.prose(&format!("{}.", capital(&told.what)));
    body.close("p");
    for (name, words) in [(FRAME.why, told.why), (FRAME.fix, told.fix)] {
        body.open("p", "");
        body.tag("b", "", &format!("{}:", capital(name.to(lang))));
        let end = if words.ends_with('?') { "" } else { "." };
        body.prose(&format!(" {}{end}", capital(&words)));
        body.close("p");
    }
    body.close("section");
}

fn seen_table(body: &mut Html, sight: &Sight, lang: Lang) {
    body.open("table", "seen");
    for (name, lines) in seen(sight, lang) {
        body.open("tr", "");
        body.tag("th", "", &name);
        body.open("td", "");
        lines.iter().for_each(|line| body.tag("div", "", line));
        body.close("td");
        body.close("tr");
    }
    body.close("table");
}

const fn verdict_class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accepts | Verdict::AcceptsSince(_) | Verdict::AcceptsWithRoot => "good",
        Verdict::Refuses(_) | Verdict::GetsNowhere(_) => "bad",
    }
}

/// Begins with a capital, unless it begins with a name or an address.
fn capital(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next();
    let is_name = ["http", "iPhone", "portvakt"].iter().any(|name| text.starts_with(name));
    let is_word = chars.clone().next().is_none_or(char::is_alphabetic) && !is_name;
    match first {
        Some(first) if is_word => first.to_uppercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}

const STYLE: &str = include_str!("report.css");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_sentence_when_it_begins_with_a_word_then_with_a_capital() {
        assert_eq!(capital("över"), "Över");
        for text in ["iPhones z", "https://a.example/: x", "192.0.2.1 y", "`host` z", ""] {
            assert_eq!(capital(text), text);
        }
    }
}
