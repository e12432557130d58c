//! Lists of revoked clients, and when their successors are due.

use super::Page;
use super::table::table;
use crate::admin::words::FRAME;

pub(super) fn write(page: &mut Page<'_>) {
    let lists = &page.status.client_crls;
    if lists.is_empty() {
        return;
    }
    page.section("client_crls", page.say(FRAME.client_crls));
    let columns = [FRAME.file, FRAME.site, FRAME.issuer, FRAME.made, FRAME.next_due].map(|column| page.say(column));
    table(page, page.say(FRAME.client_crls), &columns, lists, |page, cells, list| {
        let class = match page.status.now {
            now if now >= list.next_update => "bad",
            now if now >= list.due => "poor",
            _ => "good",
        };
        cells.cell(page, "wide", |page| page.html.inline("code", "", &list.file));
        cells.text(page, "", &list.site);
        cells.text(page, "", &list.issuer);
        cells.cell(page, "", |page| page.away(list.this_update));
        cells.cell(page, "", |page| {
            page.html.open("b", &format!("mark {class}"));
            page.away(list.next_update);
            page.html.end("b");
        });
    });
    page.end_section();
}
