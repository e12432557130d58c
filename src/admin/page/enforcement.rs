//! What became of requests over plain HTTP, and what the end of `observe` would break.

use super::Page;
use super::table::table;
use crate::admin::status::{Enforced, Observed, Observing};
use crate::admin::words::{FRAME, client, moment, would};

pub(super) fn write(page: &mut Page<'_>) {
    let status = page.status;
    if !status.enforcement.is_empty() {
        page.section("enforcement", page.say(FRAME.enforcement));
        counts(page, &status.enforcement);
        page.end_section();
    }
    for site in &status.observe {
        observed(page, site);
    }
}

/// Of many sites those alone where something came; the rest is a wall of zeros.
fn counts(page: &mut Page<'_>, sites: &[Enforced]) {
    let is_shown = |site: &&Enforced| sites.len() <= FEW || site.mode == "observe" || total(site) > 0;
    let shown: Vec<_> = sites.iter().filter(is_shown).collect();
    // Elsewhere they are what never happens.
    let is_observing = shown.iter().any(|site| site.mode == "observe");
    let mut columns =
        vec![FRAME.site, FRAME.mode, FRAME.redirected, FRAME.rejected, FRAME.credential_blocked, FRAME.allowed];
    columns.extend([FRAME.would_redirect, FRAME.would_reject].into_iter().filter(|_| is_observing));
    let columns: Vec<_> = columns.into_iter().map(|column| page.say(column)).collect();
    if !shown.is_empty() {
        table(page, page.say(FRAME.enforcement), &columns, &shown, |page, cells, site| {
            cells.cell(page, "wide", |page| page.html.inline("b", "name", &site.site));
            cells.cell(page, "", |page| page.html.inline("code", "", site.mode));
            let would = [site.would_redirect, site.would_reject].into_iter().filter(|_| is_observing);
            let done = [site.redirected, site.rejected, site.credential_blocked, site.allowed];
            for count in done.into_iter().chain(would) {
                cells.text(page, if count == 0 { "number zero" } else { "number" }, &number(count));
            }
        });
    }
    if shown.len() < sites.len() {
        let count = [("count", (sites.len() - shown.len()).to_string())];
        page.html.tag("p", "note after", &FRAME.quiet_sites.fill(page.lang, &count));
    }
}

const fn total(site: &Enforced) -> u64 {
    site.redirected + site.rejected + site.credential_blocked + site.allowed + site.would_redirect + site.would_reject
}

/// What the operator of an observed site decides by.
fn observed(page: &mut Page<'_>, site: &Observing) {
    let title = FRAME.would_break.fill(page.lang, &[("site", site.site.clone())]);
    let id = format!("observe-{}", page.status.observe.iter().position(|it| it.site == site.site).unwrap_or_default());
    page.section(&id, &title);
    let facts = [
        ("when", moment(site.since)),
        ("refuse", number(site.would_refuse)),
        ("redirect", number(site.would_redirect)),
    ];
    page.html.open("p", "note");
    page.html.prose(&FRAME.observe_note.fill(page.lang, &facts));
    page.html.close("p");
    if !site.requests.is_empty() {
        requests(page, &title, &site.requests);
    }
    page.end_section();
}

fn requests(page: &mut Page<'_>, title: &str, requests: &[Observed]) {
    let columns = [FRAME.path, FRAME.client, FRAME.count, FRAME.with_temporary, FRAME.last_seen].map(|it| page.say(it));
    table(page, title, &columns, requests, |page, cells, seen| {
        cells.cell(page, "wide", |page| match &seen.path {
            Some(path) => page.html.inline("code", "", path),
            None => page.html.text(page.say(FRAME.other_paths)),
        });
        cells.cell(page, "", |page| page.html.text(client(seen.client, page.lang).unwrap_or(seen.who)));
        cells.cell(page, "number", |page| {
            page.html.text(&number(seen.count));
            page.html.inline("small", "", &format!(" {}", seen.method));
        });
        cells.cell(page, "", |page| {
            let (class, say) = match seen.risk {
                "breaks" => ("bad", FRAME.breaks),
                "may_break" => ("poor", FRAME.may_break),
                _ => ("good", FRAME.goes_on),
            };
            page.html.inline("b", &format!("mark {class}"), page.say(say));
            page.html.text(" ");
            match would(seen.reason, page.lang) {
                Some(why) => page.html.inline("span", "quote", why),
                None => page.own_words("span", "quote", seen.why),
            }
        });
        cells.cell(page, "", |page| page.away(seen.last_seen));
    });
}

/// With a thin space between thousands, as all four languages read it.
fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// As many sites fit on a screen.
const FEW: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_count_when_written_then_in_groups_of_three() {
        for (count, text) in [(0, "0"), (999, "999"), (1000, "1\u{202f}000"), (1_234_567, "1\u{202f}234\u{202f}567")] {
            assert_eq!(number(count), text);
        }
    }
}
