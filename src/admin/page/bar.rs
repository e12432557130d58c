//! The life of a certificate as a bar: drawn for eyes, told for ears.

use super::Page;
use crate::admin::words::{FRAME, day};
use crate::time::Timestamp;

/// The points of a life.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    pub(super) issued: Timestamp,
    pub(super) due: Option<Timestamp>,
    pub(super) emergency: Option<Timestamp>,
    pub(super) end: Timestamp,
    /// Somebody has to act, whatever the hour.
    pub(super) is_late: bool,
}

impl Life {
    /// Where a moment lies, in thousandths of what is drawn: from the issue to the end, or to now when that is later.
    fn place(&self, at: Timestamp, now: Timestamp) -> u64 {
        let whole = self.end.max(now).since(self.issued).as_secs().max(1);
        (u128::from(at.since(self.issued).as_secs().min(whole)) * 1000 / u128::from(whole)).try_into().unwrap_or(1000)
    }

    /// How much of it is over, in percent; more than 100 is not told.
    fn share(&self, now: Timestamp) -> u64 {
        let whole = u128::from(self.end.since(self.issued).as_secs().max(1));
        let gone = u128::from(now.since(self.issued).as_secs()) * 100 / whole;
        gone.min(100).try_into().unwrap_or(100)
    }

    fn class(&self, now: Timestamp) -> &'static str {
        match () {
            () if now > self.end || self.emergency.is_some_and(|at| now >= at) => "life bad",
            () if self.is_late || self.due.is_some_and(|at| now >= at) => "life poor",
            () => "life good",
        }
    }
}

/// Draws a life.
///
/// Everything is placed by attributes in percent: a style of its own would not be let through by the page's policy, and nothing is
/// distorted when the width changes.
pub(super) fn write(page: &mut Page<'_>, life: &Life) {
    let now = page.status.now;
    let at = |at: Timestamp| percent(life.place(at, now));
    page.html.start(
        "svg",
        &[
            ("class", life.class(now)),
            ("role", "img"),
            ("width", "100%"),
            ("height", "22"),
            ("aria-label", &told(page, life)),
        ],
    );
    stripe(page, "track", 0, 1000);
    let end = life.place(life.end, now);
    if let Some(due) = life.due {
        stripe(page, "late", life.place(due, now), end);
    }
    if let Some(emergency) = life.emergency {
        stripe(page, "urgent", life.place(emergency, now), end);
    }
    stripe(page, "over", end, 1000);
    stripe(page, "gone", 0, life.place(now, now).min(end));
    for (class, mark) in [("due", life.due), ("emergency", life.emergency)] {
        let Some(mark) = mark else { continue };
        page.html.start("line", &[("class", class), ("x1", &at(mark)), ("x2", &at(mark)), ("y1", "4"), ("y2", "18")]);
        page.html.end("line");
    }
    page.html.start("circle", &[("class", "now"), ("cx", &at(now)), ("cy", "11"), ("r", "6")]);
    page.html.end("circle");
    page.html.close("svg");
}

/// What the marks mean.
pub(super) fn legend(page: &mut Page<'_>) {
    page.html.start("p", &[("class", "legend"), ("aria-hidden", "true")]);
    for (class, say) in [("now", FRAME.legend_now), ("due", FRAME.legend_due), ("emergency", FRAME.legend_emergency)] {
        page.html.open("span", class);
        page.html.inline("i", "", "");
        page.html.text(page.say(say));
        page.html.end("span");
        page.html.text(" ");
    }
    page.html.close("p");
}

fn stripe(page: &mut Page<'_>, class: &str, from: u64, to: u64) {
    if from >= to {
        return;
    }
    let (x, width) = (percent(from), percent(to - from));
    page.html
        .start("rect", &[("class", class), ("x", &x), ("width", &width), ("y", "8"), ("height", "6"), ("rx", "1")]);
    page.html.end("rect");
}

fn told(page: &Page<'_>, life: &Life) -> String {
    let lang = page.lang;
    let due = life.due.map(|at| FRAME.bar_due.fill(lang, &[("due", day(at))])).unwrap_or_default();
    let emergency =
        life.emergency.map(|at| FRAME.bar_emergency.fill(lang, &[("emergency", day(at))])).unwrap_or_default();
    let facts = [
        ("issued", day(life.issued)),
        ("due", due),
        ("emergency", emergency),
        ("end", day(life.end)),
        ("now", day(page.status.now)),
        ("share", life.share(page.status.now).to_string()),
    ];
    FRAME.bar.fill(lang, &facts)
}

fn percent(thousandths: u64) -> String {
    format!("{}.{}%", thousandths / 10, thousandths % 10)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: i64 = 86_400;

    fn life(end: i64) -> Life {
        let at = Timestamp::from_unix;
        Life { issued: at(0), due: Some(at(60 * DAY)), emergency: Some(at(85 * DAY)), end: at(end), is_late: false }
    }

    #[test]
    fn given_a_life_when_drawn_then_each_point_in_its_place_and_the_colour_of_its_hour() {
        let life = life(90 * DAY);
        #[rustfmt::skip]
        let table = [
            (0,        0,    0,   "life good"),
            (30 * DAY, 333,  33,  "life good"),
            (60 * DAY, 666,  66,  "life poor"),
            (85 * DAY, 944,  94,  "life bad"),
            (90 * DAY, 1000, 100, "life bad"),
            (180 * DAY, 1000, 100, "life bad"),
        ];
        for (now, place, share, class) in table {
            let now = Timestamp::from_unix(now);
            assert_eq!((life.place(now, now), life.share(now), life.class(now)), (place, share, class), "{now}");
        }
        assert_eq!(life.place(life.end, Timestamp::from_unix(180 * DAY)), 500, "what is over stands behind the end");
    }

    proptest! {
        #[test]
        fn given_any_times_when_drawn_then_inside(issued: i64, end: i64, now: i64, at: i64) {
            let of = Timestamp::from_unix;
            let life = Life { issued: of(issued), due: None, emergency: None, end: of(end), is_late: false };
            prop_assert!(life.place(of(at), of(now)) <= 1000 && life.share(of(now)) <= 100);
        }
    }
}
