//! When somebody has to order the next certificate, for the calendar of those who do (RFC 5545).

use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{Date, Duration, OffsetDateTime, Weekday};

use crate::pki::LeafFacts;
use crate::time::Timestamp;

/// Two events: the day by which to order, and the last day; each with an alarm. `is_bankid` says whom to order from.
///
/// The certificate is to be there [`AHEAD`] before its end, and a bank takes two working days. Holidays are not known
/// here. The same certificate gives the same UIDs, so that a calendar that reads both has each event once.
pub fn calendar(name: &str, leaf: &LeafFacts, is_bankid: bool, now: Timestamp) -> String {
    let (last, today) = (day(leaf.not_after), day(now));
    let order = order_by(last).max(today.min(last));
    let what = if is_bankid { "RP certificate" } else { "client certificate" };
    let whom = if is_bankid { "at your bank" } else { "from its issuer" };
    let subject = format!("CN={} ({name})", leaf.common_name);
    let ends = format!("It ends at {}. Nothing renews it by itself.", leaf.not_after);
    let events = [
        Event {
            kind: "order",
            day: order,
            summary: format!("Order the next {what} {whom} by {order}: {subject}"),
            description: format!("{ends} `portvakt egress csr {name}` makes the key and the request for it."),
            alarms: &["-P7D", "PT9H"],
        },
        Event {
            kind: "last",
            day: last,
            summary: format!("Last day of the {what} {subject}"),
            description: format!("{ends} From then on every call is refused."),
            alarms: &["-P14D", "-P1D"],
        },
    ];
    let mut lines =
        vec!["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//portvakt//egress calendar//EN", "CALSCALE:GREGORIAN"]
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>();
    events.iter().for_each(|event| event.write(&format!("{:?}", leaf.fingerprint), now, &mut lines));
    lines.push("END:VCALENDAR".to_owned());
    lines.iter().map(|line| folded(line)).collect()
}

/// So long before its end a certificate's successor is to be there; banks write to their customers then.
const AHEAD: Duration = Duration::days(60);

struct Event {
    kind: &'static str,
    day: Date,
    summary: String,
    description: String,
    /// Relative to the beginning of the day.
    alarms: &'static [&'static str],
}

impl Event {
    fn write(&self, fingerprint: &str, now: Timestamp, lines: &mut Vec<String>) {
        let uid: String = fingerprint.chars().filter(char::is_ascii_hexdigit).take(32).collect();
        lines.push("BEGIN:VEVENT".to_owned());
        lines.push(format!("UID:{}-{}@portvakt", self.kind, uid.to_ascii_lowercase()));
        lines.push(format!("DTSTAMP:{}", written(moment(now), STAMP)));
        lines.push(format!("DTSTART;VALUE=DATE:{}", date(self.day)));
        lines.push(format!("DTEND;VALUE=DATE:{}", date(self.day.saturating_add(Duration::DAY))));
        lines.push(format!("SUMMARY:{}", escaped(&self.summary)));
        lines.push(format!("DESCRIPTION:{}", escaped(&self.description)));
        lines.push("TRANSP:TRANSPARENT".to_owned());
        for trigger in self.alarms {
            lines.push("BEGIN:VALARM".to_owned());
            lines.push("ACTION:DISPLAY".to_owned());
            lines.push(format!("DESCRIPTION:{}", escaped(&self.summary)));
            lines.push(format!("TRIGGER:{trigger}"));
            lines.push("END:VALARM".to_owned());
        }
        lines.push("END:VEVENT".to_owned());
    }
}

/// Two working days before the certificate has to be there.
fn order_by(last: Date) -> Date {
    let mut day = last.saturating_sub(AHEAD);
    let mut left = 2;
    while left > 0 {
        day = day.saturating_sub(Duration::DAY);
        left -= usize::from(!matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday));
        if day == Date::MIN {
            break;
        }
    }
    day
}

fn moment(at: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at.as_unix()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// In UTC.
fn day(at: Timestamp) -> Date {
    moment(at).date()
}

fn date(day: Date) -> String {
    written(day.midnight().assume_utc(), DATE)
}

fn written(at: OffsetDateTime, format: &[BorrowedFormatItem<'_>]) -> String {
    at.format(format).unwrap_or_default()
}

/// TEXT (RFC 5545 §3.3.11).
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | ';' | ',' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// Lines of 75 octets at most, each ended by CRLF; what goes on begins with a space (RFC 5545 §3.1).
fn folded(line: &str) -> String {
    let mut out = String::with_capacity(line.len() + 4);
    let mut octets = 0;
    for c in line.chars() {
        if octets + c.len_utf8() > 75 {
            out.push_str("\r\n ");
            octets = 1;
        }
        out.push(c);
        octets += c.len_utf8();
    }
    out + "\r\n"
}

const STAMP: &[BorrowedFormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");
const DATE: &[BorrowedFormatItem<'_>] = format_description!("[year][month][day]");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::date;

    use super::*;
    use crate::pki::{CertificateChain, Password, Pkcs12};

    fn leaf() -> LeafFacts {
        let bytes = std::fs::read("tests/data/bankid/FPTestcert5_20240610.p12").unwrap();
        let opened = Pkcs12::read(&bytes, Some(&Password::new("qwerty123"))).unwrap();
        CertificateChain::from_der(opened.certificates).unwrap().leaf().clone()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Lines without folds, after their form was looked at.
    fn lines(calendar: &str) -> Vec<String> {
        assert!(calendar.ends_with("\r\n") && !calendar.replace("\r\n", "").contains(['\r', '\n']));
        assert!(calendar.split("\r\n").all(|line| line.len() <= 75), "{calendar}");
        calendar.replace("\r\n ", "").split_terminator("\r\n").map(str::to_owned).collect()
    }

    #[test]
    fn given_a_certificate_when_written_then_two_events_with_alarms_and_lasting_names() {
        let calendar = |now| lines(&super::calendar("bankid", &leaf(), true, at(now)));
        let first = calendar("2026-11-22T08:00:00Z");
        let has = |line: &str| first.iter().any(|own| own == line);
        // It ends on 2029-05-28; 60 days before is Thursday, 29 March.
        assert!(has("DTSTART;VALUE=DATE:20290327") && has("DTEND;VALUE=DATE:20290328"), "{first:#?}");
        assert!(has("DTSTART;VALUE=DATE:20290528") && has("DTEND;VALUE=DATE:20290529"));
        assert!(has("DTSTAMP:20261122T080000Z") && has("VERSION:2.0"));
        assert!(has("SUMMARY:Order the next RP certificate at your bank by 2029-03-27: CN=FP Testcert 5 (bankid)"));
        for (begin, count) in [("BEGIN:VEVENT", 2), ("END:VEVENT", 2), ("BEGIN:VALARM", 4), ("END:VALARM", 4)] {
            assert_eq!(first.iter().filter(|line| *line == begin).count(), count, "{begin}");
        }
        assert_eq!((&*first[0], &**first.last().unwrap()), ("BEGIN:VCALENDAR", "END:VCALENDAR"));
        let uids = |lines: &[String]| lines.iter().filter(|line| line.starts_with("UID:")).cloned().collect::<Vec<_>>();
        assert_eq!(uids(&first), uids(&calendar("2027-01-01T00:00:00Z")));
        assert_eq!(uids(&first)[0], "UID:order-ef15b3e1837bd4ade7e4bfa1d0a07e9b@portvakt");
        assert_ne!(uids(&first)[0], uids(&first)[1]);
    }

    #[test]
    fn given_a_day_that_is_past_when_written_then_today_and_never_after_the_end() {
        let order = |now| lines(&super::calendar("b", &leaf(), false, at(now)))[7].clone();
        assert_eq!(order("2029-05-01T08:00:00Z"), "DTSTART;VALUE=DATE:20290501");
        assert_eq!(order("2031-01-01T08:00:00Z"), "DTSTART;VALUE=DATE:20290528");
    }

    #[test]
    fn given_an_end_when_counted_back_then_two_working_days_more() {
        for (last, expected) in [
            (date!(2029 - 05 - 28), date!(2029 - 03 - 27)),
            (date!(2029 - 05 - 25), date!(2029 - 03 - 22)),
            (date!(2029 - 05 - 24), date!(2029 - 03 - 22)),
            (date!(2029 - 05 - 23), date!(2029 - 03 - 22)),
            (Date::MIN, Date::MIN),
        ] {
            assert_eq!(order_by(last), expected, "{last}");
        }
    }

    #[test]
    fn given_marks_of_the_format_when_written_then_escaped() {
        assert_eq!(escaped("a,b;c\\d\ne\rf"), "a\\,b\\;c\\\\d\\nef");
    }

    proptest! {
        #[test]
        fn given_any_line_when_folded_then_short_lines_that_unfold_to_it(line in "[^\r\n]{0,300}") {
            let folded = folded(&line);
            prop_assert!(folded.split("\r\n").all(|part| part.len() <= 75));
            let unfolded = folded.replace("\r\n ", "");
            prop_assert_eq!(unfolded.strip_suffix("\r\n"), Some(line.as_str()));
        }
    }
}
