//! The status as a page for people: one answer, nothing loaded, nothing run, light and dark, four languages.
//!
//! # Why
//!
//! Whoever is woken at night has to see within seconds what is wrong and what to do. So the verdict comes first, in one
//! sentence, then what somebody has to do, the worst first; everything else is there to be looked up. What portvakt, a CA or a server
//! has said stays in its own words and is marked as English, since that is what can be searched for.

mod bar;
mod budget;
mod certificates;
mod client_crls;
mod egress;
mod enforcement;
mod events;
mod identities;
mod notifiers;
mod process;
mod table;
mod upstreams;
mod verdict;

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::problem::{Problem, judge};
use super::status::Status;
use super::words::{FRAME, Lang, Say, distance, moment, sentence};
use crate::html::Html;
use crate::pki::sha256;
use crate::time::Timestamp;

/// Renders the page. Every value is escaped.
pub(super) fn render(status: &Status, lang: Lang) -> String {
    let problems = judge(status);
    let mut page = Page { html: Html::default(), status, lang };
    page.begin(&problems);
    page.html.open("main", "");
    verdict::write(&mut page, &problems);
    certificates::write(&mut page, &problems);
    client_crls::write(&mut page);
    identities::write(&mut page);
    egress::write(&mut page);
    upstreams::write(&mut page);
    enforcement::write(&mut page);
    notifiers::write(&mut page);
    events::write(&mut page);
    budget::write(&mut page);
    process::write(&mut page);
    page.html.close("main");
    page.end();
    page.html.into_string()
}

/// What a browser may do with the page: show it, with this one style and nothing else (CSP 3).
pub(super) fn policy() -> &'static str {
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        format!(
            "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            STANDARD.encode(sha256(STYLE.as_bytes()))
        )
    });
    &POLICY
}

/// The page as far as it is written.
struct Page<'a> {
    html: Html,
    status: &'a Status,
    lang: Lang,
}

impl Page<'_> {
    fn begin(&mut self, problems: &[Problem]) {
        let title =
            format!("{} · {} · portvakt", verdict::sentence(self.status, problems, self.lang), self.status.host);
        let html = &mut self.html;
        html.markup("<!DOCTYPE html>\n");
        html.start("html", &[("lang", self.lang.tag())]);
        html.markup("\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
        html.markup("<meta name=\"color-scheme\" content=\"light dark\">\n");
        html.tag("title", "", &title);
        html.markup("<style>");
        html.markup(STYLE);
        html.markup("</style>\n</head>\n<body>\n");
        self.header();
    }

    /// Whose page it is, and the languages.
    fn header(&mut self) {
        let (status, lang) = (self.status, self.lang);
        let html = &mut self.html;
        html.open("header", "top");
        html.open("p", "brand");
        html.inline("b", "", "portvakt");
        html.text(" ");
        html.inline("span", "host", &status.host);
        html.close("p");
        html.start("nav", &[("aria-label", FRAME.language.to(lang))]);
        html.open("ul", "");
        for other in Lang::ALL {
            html.open("li", "");
            let target = format!("?lang={}", other.tag());
            let mut attributes = vec![("href", &*target), ("lang", other.tag()), ("hreflang", other.tag())];
            attributes.extend((other == lang).then_some(("aria-current", "true")));
            html.start("a", &attributes);
            html.text(other.name());
            html.end("a");
            html.close("li");
        }
        html.close("ul");
        html.close("nav");
        html.close("header");
    }

    fn end(&mut self) {
        let lang = self.lang;
        let html = &mut self.html;
        html.open("footer", "");
        html.open("p", "");
        html.text(&format!("{}: ", FRAME.for_programs.to(lang)));
        for (index, target) in
            ["/status.json", "/status.schema.json", "/metrics", "/livez", "/readyz"].into_iter().enumerate()
        {
            html.text(if index == 0 { "" } else { " · " });
            html.start("a", &[("href", target)]);
            html.text(target.trim_start_matches('/'));
            html.end("a");
        }
        html.close("p");
        html.tag("p", "", &format!("portvakt {}", self.status.version));
        html.close("footer");
        html.markup("</body>\n</html>\n");
    }

    fn say(&self, say: Say) -> &'static str {
        say.to(self.lang)
    }

    /// A heading that can be linked to, at the begin of a section; [`Self::end_section`] ends it.
    fn section(&mut self, id: &str, title: &str) {
        self.html.start("section", &[("aria-labelledby", id)]);
        self.html.start("h2", &[("id", id)]);
        self.html.text(title);
        self.html.close("h2");
    }

    fn end_section(&mut self) {
        self.html.close("section");
    }

    /// Words of portvakt, a CA or a server, which are in English.
    fn own_words(&mut self, tag: &str, class: &str, text: &str) {
        let lang = [("lang", "en"), ("class", class)];
        self.html.start(tag, if class.is_empty() { &lang[..1] } else { &lang });
        self.html.prose(text);
        self.html.end(tag);
    }

    /// What the reader understands first, then the words that it was told in, which are in English.
    fn told(&mut self, what: Option<Say>, own: &str) {
        if let Some(say) = what {
            self.html.prose(&sentence(self.say(say)));
            self.html.text(". ");
        }
        self.own_words("span", "quote", own);
    }

    /// A point of time, and how far it is away.
    fn when(&mut self, at: Timestamp) {
        self.html.start("time", &[("datetime", &at.to_string())]);
        self.html.text(&format!("{} ", moment(at)));
        self.html.inline("small", "", &format!("({})", distance(at, self.status.now, self.lang)));
        self.html.end("time");
    }

    /// How far a point of time is away; which it is stands in the tip.
    fn away(&mut self, at: Timestamp) {
        self.html.start("time", &[("datetime", &at.to_string()), ("title", &moment(at))]);
        self.html.text(&distance(at, self.status.now, self.lang));
        self.html.end("time");
    }
}

const STYLE: &str = include_str!("style.css");
