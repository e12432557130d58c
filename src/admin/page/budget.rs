//! What CAs still allow, as `portvakt acme budget` tells it.

use super::Page;
use super::table::table;
use crate::admin::status::{Acme, Allowance};
use crate::admin::words::{FRAME, limit, moment};

pub(super) fn write(page: &mut Page<'_>) {
    let status = page.status;
    if status.acme.is_empty() {
        return;
    }
    page.section("budget", page.say(FRAME.budget));
    page.html.tag("p", "note", page.say(FRAME.budget_note));
    for ca in &status.acme {
        page.html.open("h3", "sub");
        page.html.text(ca.name.unwrap_or("ACME"));
        page.html.text(" ");
        page.html.inline("code", "", &ca.directory);
        page.html.close("h3");
        page.html.open("p", "note");
        page.html.text(&format!("{}: ", page.say(FRAME.account)));
        match &ca.account {
            Some(account) => page.html.inline("code", "", account),
            None => page.html.text(page.say(FRAME.none_yet)),
        }
        page.html.close("p");
        if ca.name.is_none() {
            page.html.tag("p", "note", page.say(FRAME.unknown_limits));
        }
        limits(page, ca);
    }
    page.end_section();
}

/// What is full tells nothing, and of a thousand names the least that is left tells all.
fn limits(page: &mut Page<'_>, ca: &Acme) {
    let of_account = ca.limits.iter();
    let of_certificates = ca.certificates.iter().flat_map(|it| &it.limits).filter(|it| it.left < it.capacity);
    let mut rows: Vec<&Allowance> = of_account.chain(of_certificates).collect();
    rows.sort_by_key(|it| (it.left * 100).checked_div(it.capacity));
    rows.dedup_by(|one, other| (one.limit, &one.of) == (other.limit, &other.of));
    rows.truncate(MOST);
    if !rows.is_empty() {
        let columns = [FRAME.limit, FRAME.about, FRAME.left, FRAME.one_more].map(|column| page.say(column));
        table(page, &ca.directory, &columns, &rows, |page, cells, row| {
            cells.text(page, "wide", limit(row.limit, page.lang));
            cells.cell(page, "", |page| page.html.inline("code", "", &row.of));
            let class = if row.left == 0 { "number alarm" } else { "number" };
            cells.text(page, class, &format!("{} / {}", row.left, row.capacity));
            cells.cell(page, "", |page| match row.next {
                Some(at) => page.away(at),
                None => page.html.text("–"),
            });
        });
    }
    for waiting in ca.certificates.iter().filter(|it| it.retry_after.is_some()).take(MOST) {
        let when = waiting.retry_after.map(moment).unwrap_or_default();
        page.html.open("p", "note");
        page.html.inline("b", "name", &waiting.name);
        page.html.text(&format!(": {}", FRAME.asks_to_wait.fill(page.lang, &[("when", when)])));
        page.html.close("p");
    }
}

const MOST: usize = 12;
