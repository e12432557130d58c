//! Who is told of what happens, and whether the messages are taken.

use super::Page;
use super::table::table;
use crate::admin::status::Notifier;
use crate::admin::words::{FRAME, LAST_DELIVERY, NO_ERROR, NOTIFIER, NOTIFIERS, STILL_TO_BE_TOLD, TRIED_AGAIN};

pub(super) fn write(page: &mut Page<'_>) {
    let status = page.status;
    if status.notifiers.is_empty() {
        return;
    }
    page.section("notifiers", page.say(NOTIFIERS));
    let columns = [NOTIFIER, LAST_DELIVERY, STILL_TO_BE_TOLD, FRAME.last_error].map(|column| page.say(column));
    table(page, page.say(NOTIFIERS), &columns, &status.notifiers, |page, cells, it| {
        cells.cell(page, "", |page| {
            page.html.inline("b", "name", &it.name);
            page.html.text(" ");
            page.own_words("span", "", &it.to);
        });
        cells.cell(page, "time", |page| match it.last_delivery {
            Some(at) => page.when(at),
            None => page.html.text(page.say(FRAME.none_yet)),
        });
        cells.text(page, "", &it.waiting.to_string());
        cells.cell(page, "", |page| trouble(page, it));
    });
    page.end_section();
}

fn trouble(page: &mut Page<'_>, notifier: &Notifier) {
    let Some(failure) = &notifier.last_error else {
        page.html.inline("b", "mark good", page.say(NO_ERROR));
        return;
    };
    page.own_words("span", "quote", &failure.error);
    page.html.text(" ");
    page.when(failure.at);
    page.html.text(" ");
    page.html.prose(&format!("{}: {}", page.say(FRAME.todo), page.say(failure.fix)));
    if let Some(at) = notifier.next_try {
        page.html.text(&format!(" · {} ", page.say(TRIED_AGAIN)));
        page.when(at);
    }
}
