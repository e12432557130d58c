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
    in_units(length, lang, UNITS)
}

/// Such as `3 hours`: in the largest unit of which there are two, as a length.
pub(in crate::admin) fn length(length: Duration, lang: Lang) -> String {
    let [_, rest @ ..] = UNITS;
    let [hours, minutes, seconds] = rest;
    in_units(length, lang, [(86_400, WHOLE_DAYS), hours, minutes, seconds])
}

fn in_units(length: Duration, lang: Lang, units: [(u64, Say); 4]) -> String {
    let seconds = length.as_secs();
    let (size, unit) = units.into_iter().find(|(size, _)| seconds / size >= 2).unwrap_or((1, SECONDS));
    format!("{} {}", seconds / size, unit.to(lang))
}

/// Such as `1 day`; in German as it stands after `in`.
pub(in crate::admin) fn days(count: u64, lang: Lang) -> String {
    match count {
        0 => LESS.to(lang).to_owned(),
        1 => format!("1 {}", ONE_DAY.to(lang)),
        _ => format!("{count} {}", DAYS.to(lang)),
    }
}

/// Such as `4 days`, as what is left.
pub(in crate::admin) fn days_left(count: u64, lang: Lang) -> String {
    match count {
        0 => Say { de: "weniger als ein Tag", ..LESS }.to(lang).to_owned(),
        1 => format!("1 {}", ONE_DAY.to(lang)),
        2..TWO_YEARS => format!("{count} {}", WHOLE_DAYS.to(lang)),
        // Of a root nobody counts the days.
        TWO_YEARS.. => format!("{} {}", count * 100 / 36_525, YEARS.to(lang)),
    }
}

const NOW: Say = Say { en: "now", sv: "nu", nb: "nå", de: "jetzt" };
const AHEAD: Say = Say { en: "in {span}", sv: "om {span}", nb: "om {span}", de: "in {span}" };
const AGO: Say = Say { en: "{span} ago", sv: "för {span} sedan", nb: "for {span} siden", de: "vor {span}" };
const ONE_DAY: Say = Say { en: "day", sv: "dag", nb: "dag", de: "Tag" };
const LESS: Say =
    Say { en: "less than a day", sv: "mindre än ett dygn", nb: "mindre enn ett døgn", de: "weniger als einem Tag" };
const WHOLE_DAYS: Say = Say { de: "Tage", ..DAYS };
const DAYS: Say = Say { en: "days", sv: "dagar", nb: "dager", de: "Tagen" };
const HOURS: Say = Say { en: "hours", sv: "timmar", nb: "timer", de: "Stunden" };
const MINUTES: Say = Say { en: "minutes", sv: "minuter", nb: "minutter", de: "Minuten" };
const SECONDS: Say = Say { en: "seconds", sv: "sekunder", nb: "sekunder", de: "Sekunden" };
const YEARS: Say = Say { en: "years", sv: "år", nb: "år", de: "Jahre" };
/// Days; the least that are two whole years whichever they are.
const TWO_YEARS: u64 = 731;
const UNITS: [(u64, Say); 4] = [(86_400, DAYS), (3600, HOURS), (60, MINUTES), (1, SECONDS)];
