//! The process itself: its configuration, its listeners, and sites that are spoken to in another way.

use super::Page;
use super::certificates::fact;
use crate::admin::words::{FRAME, moment};

pub(super) fn write(page: &mut Page<'_>) {
    let status = page.status;
    page.section("process", page.say(FRAME.process));
    page.html.open("dl", "facts");
    fact(page, FRAME.runs, |page| page.when(status.started));
    fact(page, FRAME.last_load, |page| {
        match &status.config_file {
            Some(file) => page.html.inline("code", "", file),
            None => page.html.text(page.say(FRAME.command_line)),
        }
        let say = if status.last_reload.ok { FRAME.in_use_since } else { FRAME.refused_at };
        page.html.text(&format!(", {}", say.fill(page.lang, &[("when", moment(status.last_reload.at))])));
    });
    fact(page, FRAME.listens, |page| {
        page.html.open("ul", "plain");
        for listener in &status.listeners {
            page.html.open("li", "");
            page.html.inline("code", "", &format!("{} {}", listener.kind.as_str(), listener.address));
            page.html.close("li");
        }
        page.html.close("ul");
    });
    if !status.http1_only.is_empty() {
        fact(page, FRAME.without_h2, without_http2);
    }
    page.html.close("dl");
    page.end_section();
}

fn without_http2(page: &mut Page<'_>) {
    page.html.open("ul", "plain");
    for site in &page.status.http1_only {
        page.html.open("li", "");
        page.html.inline("b", "name", &site.site);
        page.html.text(": ");
        match site.since {
            Some(at) => page.html.text(&FRAME.asks_ntlm.fill(page.lang, &[("when", moment(at))])),
            None => page.html.inline("code", "", "affinity = \"connection\""),
        }
        page.html.close("li");
    }
    page.html.close("ul");
}
