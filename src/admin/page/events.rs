//! What happened last.

use super::Page;
use super::table::table;
use crate::admin::status::{Detail, EventKind};
use crate::admin::words::{FRAME, advice, detail, event, moment};

pub(super) fn write(page: &mut Page<'_>) {
    let status = page.status;
    if status.events.is_empty() {
        return;
    }
    page.section("events", page.say(FRAME.events));
    page.html.tag("p", "note", page.say(FRAME.events_note));
    let columns = [FRAME.time, FRAME.event, FRAME.about].map(|column| page.say(column));
    table(page, page.say(FRAME.events), &columns, &status.events, |page, cells, it| {
        cells.cell(page, "time", |page| page.when(it.at));
        cells.cell(page, "", |page| {
            page.html.inline("b", &format!("mark {}", class(it.kind)), event(it.kind, page.lang))
        });
        cells.cell(page, "", |page| {
            if !it.about.is_empty() {
                page.html.inline("b", "name", &it.about);
                page.html.text(" ");
            }
            match &it.detail {
                // A server that has no name but its address.
                Detail::Words(words) if words.is_empty() || *words == it.about => {}
                Detail::Words(words) => page.told(it.reason.map(|reason| advice(reason).what), words),
                told => page.html.text(&detail(told, page.lang, moment)),
            }
        });
    });
    page.end_section();
}

const fn class(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Started | EventKind::Loaded | EventKind::Reloaded | EventKind::IdentityInUse => "calm",
        EventKind::Issued | EventKind::Renewed | EventKind::UpstreamBack => "good",
        EventKind::Failed | EventKind::Placeholder | EventKind::Trouble | EventKind::ReloadFailed => "poor",
        EventKind::RolledBack | EventKind::UpstreamLost | EventKind::IdentityLost => "bad",
    }
}
