//! Points and lengths of time.

use std::time::Duration;

use super::{Lang, Say};
use crate::time::Timestamp;

/// Such as `2026-11-22 18:40 UTC`: the same for everybody, and never the wrong way round.
pub(in crate::admin) fn moment(at: Timestamp) -> String {
    let text = at.to_string();
    match (text.get(..10), text.get(11..16)) {
        (Some(day), Some(minute)) => format!("{day} {minute} UTC"),
        _ => text,
    }
}

/// Such as `2026-11-22`.
pub(in crate::admin) fn day(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(..10).unwrap_or(&text).to_owned()
}

/// Such as `in 62 days` or `3 hours ago`: in the largest unit of which there are two.
pub(in crate::admin) fn distance(at: Timestamp, now: Timestamp, lang: Lang) -> String {
    let is_ahead = at > now;
    let length = if is_ahead { at.since(now) } else { now.since(at) };
    if length.as_secs() < 2 {
        return NOW.to(lang).to_owned();
    }
    let frame = if is_ahead { AHEAD } else { AGO };
    frame.fill(lang, &[("span", span(length, lang))])
}

/// Such as `62 days`: in the largest unit of which there are two. In German as it stands after `in` and `seit`.
fn span(length: Duration, lang: Lang) -> String {
    let seconds = length.as_secs();
    let (size, unit) = UNITS.into_iter().find(|(size, _)| seconds / size >= 2).unwrap_or((1, SECONDS));
    format!("{} {}", seconds / size, unit.to(lang))
}

/// Such as `1 day`; in German as it stands after `in`.
pub(in crate::admin) fn days(count: u64, lang: Lang) -> String {
    let unit = if count == 1 { ONE_DAY } else { DAYS };
    format!("{count} {}", unit.to(lang))
}

/// Such as `4 days`, as what is left.
pub(in crate::admin) fn days_left(count: u64, lang: Lang) -> String {
    let unit = if count == 1 { ONE_DAY } else { Say { de: "Tage", ..DAYS } };
    format!("{count} {}", unit.to(lang))
}

const NOW: Say = Say { en: "now", sv: "nu", nb: "nå", de: "jetzt" };
const AHEAD: Say = Say { en: "in {span}", sv: "om {span}", nb: "om {span}", de: "in {span}" };
const AGO: Say = Say { en: "{span} ago", sv: "för {span} sedan", nb: "for {span} siden", de: "vor {span}" };
const ONE_DAY: Say = Say { en: "day", sv: "dag", nb: "dag", de: "Tag" };
const DAYS: Say = Say { en: "days", sv: "dagar", nb: "dager", de: "Tagen" };
const HOURS: Say = Say { en: "hours", sv: "timmar", nb: "timer", de: "Stunden" };
const MINUTES: Say = Say { en: "minutes", sv: "minuter", nb: "minutter", de: "Minuten" };
const SECONDS: Say = Say { en: "seconds", sv: "sekunder", nb: "sekunder", de: "Sekunden" };
const UNITS: [(u64, Say); 4] = [(86_400, DAYS), (3600, HOURS), (60, MINUTES), (1, SECONDS)];
