//! Services outside that local applications call: where they are, and what came of the last call.

use super::Page;
use super::table::table;
use crate::admin::status::Egress;
use crate::admin::words::{FRAME, coded};

pub(super) fn write(page: &mut Page<'_>) {
    let services = &page.status.egress;
    if services.is_empty() {
        return;
    }
    page.section("egress", page.say(FRAME.egress));
    let columns = [FRAME.server, FRAME.listens, FRAME.state, FRAME.last_call].map(|column| page.say(column));
    table(page, page.say(FRAME.egress), &columns, services, |page, cells, service| {
        cells.cell(page, "wide place", |page| {
            page.html.inline("b", "name", &service.name);
            page.html.text(" ");
            page.html.inline("code", "", &service.address);
        });
        cells.cell(page, "port", |page| page.html.inline("code", "", &service.listener));
        cells.cell(page, "", |page| state(page, service));
        cells.cell(page, "", |page| match &service.last_call {
            Some(call) => page.away(call.at),
            None => page.html.text("–"),
        });
    });
    page.end_section();
}

fn state(page: &mut Page<'_>, service: &Egress) {
    let Some(call) = &service.last_call else { return page.html.text(page.say(FRAME.not_called)) };
    let (class, say) = match (call.answered, &call.code) {
        (true, _) => ("good", FRAME.up),
        (false, Some(_)) => ("bad", FRAME.not_believed),
        (false, None) => ("bad", FRAME.unreachable),
    };
    page.html.inline("b", &format!("mark {class}"), page.say(say));
    if let Some(error) = &call.error {
        page.html.text(" ");
        page.told(call.code.as_deref().and_then(coded).map(|it| it.what), error);
    }
}
