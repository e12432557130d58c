//! What a drill has shown, in plain words and as JSON.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::alerts::RULES;
use super::ca::seconds;
use super::drill::{Drill, Fate, Life, fates, millis};
use super::executor::Millis;
use super::watch::{Entry, Told};
use crate::lifecycle::{Event, Kind, Origin};
use crate::manager;
use crate::time::Timestamp;

/// What a drill has shown.
#[derive(Debug, Serialize)]
pub struct DrillReport {
    /// No certificate lapses.
    survives: bool,
    outage: Outage,
    #[serde(serialize_with = "in_rfc3339")]
    from: Timestamp,
    #[serde(serialize_with = "in_rfc3339")]
    until: Timestamp,
    certificates: Vec<Outcome>,
    timeline: Vec<Line>,
    /// Those of the timeline that alerts are about.
    alerts: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Outage {
    ca: String,
    #[serde(serialize_with = "in_rfc3339")]
    from: Timestamp,
    #[serde(serialize_with = "in_rfc3339")]
    until: Timestamp,
    /// Nobody has chosen it.
    is_worst_moment: bool,
}

#[derive(Debug, Serialize)]
struct Outcome {
    name: String,
    lifetime: String,
    /// Where the first certificate of the drill comes from.
    begins: String,
    renewed: u32,
    failed_attempts: u32,
    lapses: Vec<Lapse>,
    least_left_seconds: Option<u64>,
    #[serde(serialize_with = "perhaps_in_rfc3339")]
    least_left_at: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
struct Lapse {
    #[serde(serialize_with = "in_rfc3339")]
    from: Timestamp,
    /// Empty where it lasts to the end.
    #[serde(serialize_with = "perhaps_in_rfc3339")]
    until: Option<Timestamp>,
}

/// A line of the timeline.
#[derive(Clone, Debug, Serialize)]
struct Line {
    #[serde(serialize_with = "in_rfc3339")]
    at: Timestamp,
    /// Empty for what concerns all.
    certificate: Option<String>,
    kind: What,
    text: String,
    #[serde(skip)]
    site: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum What {
    Outage,
    Planned,
    Failed,
    Issued,
    Renewed,
    Served,
    Expired,
    Alert,
}

impl DrillReport {
    pub(super) fn new(drill: &Drill, outage: Millis, diary: &[Entry]) -> Self {
        let until = millis(drill.now) + Millis::from(drill.days) * super::draw::DAY;
        let fates = fates(diary, drill.certificates.len(), until);
        let ca = drill.certificates.first().map_or_else(String::new, |kept| manager::issuer(&kept.settings.source));
        let outage = Outage {
            ca,
            from: seconds(outage),
            until: seconds(outage) + drill.outage,
            is_worst_moment: drill.from.is_none(),
        };
        let timeline = timeline(drill, &outage, diary, &fates);
        Self {
            survives: fates.iter().all(|fate| fate.lapses.is_empty()),
            from: drill.now,
            until: seconds(until),
            certificates: drill.certificates.iter().zip(&fates).map(|(kept, fate)| Outcome::new(kept, fate)).collect(),
            alerts: timeline.iter().filter(|line| line.kind == What::Alert).cloned().collect(),
            timeline,
            outage,
        }
    }

    /// Whether no certificate lapses.
    pub fn survives(&self) -> bool {
        self.survives
    }

    /// The certificates that the timeline is told of, the worst first.
    fn told_of(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.certificates.len()).collect();
        order.sort_by_key(|nth| {
            let outcome = &self.certificates[*nth];
            let failed = std::cmp::Reverse(outcome.failed_attempts);
            (outcome.lapses.is_empty(), outcome.least_left_seconds.unwrap_or(u64::MAX), failed)
        });
        order.truncate(TOLD);
        order
    }

    /// What is worth telling: the outage and what leads to it, until all is well again, and whatever went wrong else.
    fn worth_telling(&self, sites: &[usize]) -> Vec<&Line> {
        let is_told = |line: &&Line| line.site.is_none_or(|site| sites.contains(&site));
        let recovered = |site: &usize| {
            let later =
                |line: &&Line| line.site == Some(*site) && line.kind == What::Renewed && line.at >= self.outage.until;
            self.timeline.iter().find(later).map(|line| line.at)
        };
        let end = sites.iter().filter_map(recovered).max().unwrap_or(self.outage.until).max(self.outage.until);
        // Where a certificate is renewed every few days, one renewal behind the outage is enough.
        let end = end.min(self.outage.until + Duration::from_secs(14 * 86_400));
        let planned = |site: &usize| {
            let before =
                |line: &&Line| line.site == Some(*site) && line.kind == What::Planned && line.at < self.outage.from;
            self.timeline.iter().rev().find(before).map(|line| (line.at, *site))
        };
        let planned: Vec<_> = sites.iter().filter_map(planned).collect();
        let is_worth = |line: &&Line| match line.kind {
            What::Outage | What::Failed | What::Expired | What::Alert => true,
            What::Planned if line.at < self.outage.from => {
                line.site.is_some_and(|site| planned.contains(&(line.at, site)))
            }
            What::Planned | What::Issued | What::Renewed | What::Served => (self.outage.from..=end).contains(&line.at),
        };
        self.timeline.iter().filter(is_told).filter(is_worth).collect()
    }
}

impl Outcome {
    fn new(kept: &super::drill::Kept, fate: &Fate) -> Self {
        let begins = match &kept.stored {
            Some(stored) => format!("in the store, valid until {}", day(stored.validity.not_after)),
            None => "none in the store: taken to be issued at the start".to_owned(),
        };
        Self {
            name: kept.settings.name.clone(),
            lifetime: match kept.life {
                Life::Fixed(life) => in_words(life),
                Life::Classic => "90 d, 64 d from 2027-02-10, 45 d from 2028-02-16".to_owned(),
            },
            begins,
            renewed: fate.renewed,
            failed_attempts: fate.failed,
            lapses: fate.lapses.iter().map(|(from, until)| Lapse { from: *from, until: *until }).collect(),
            least_left_seconds: fate.least_left.map(|left| left.as_secs()),
            least_left_at: fate.least_at,
        }
    }
}

impl fmt::Display for DrillReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.answer(f)?;
        let Outage { ca, from, until, is_worst_moment } = &self.outage;
        let worst = if *is_worst_moment { ", the worst moment that was found" } else { "" };
        let span = in_words(until.since(*from));
        writeln!(f, "{ca} is away for {span}, from {} to {}{worst}.\n", minute(*from), minute(*until))?;
        for outcome in &self.certificates {
            writeln!(f, "{outcome}")?;
        }
        let sites = self.told_of();
        let lines = self.worth_telling(&sites);
        writeln!(f, "\nTimeline (UTC), virtual time from {} to {}", day(self.from), day(self.until))?;
        if sites.len() < self.certificates.len() {
            let others = self.certificates.len() - sites.len();
            writeln!(f, "of the {} that are hit most; {others} others are in --json", sites.len())?;
        }
        let width = lines.iter().filter_map(|line| line.certificate.as_ref()).map(String::len).max().unwrap_or(0);
        for line in &lines {
            let name = line.certificate.as_deref().unwrap_or("");
            writeln!(f, "{}  {name:<width$}  {}", minute(line.at), line.text)?;
        }
        self.alarms(f)
    }
}

impl DrillReport {
    fn answer(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lapsed: Vec<_> = self.certificates.iter().filter(|outcome| !outcome.lapses.is_empty()).collect();
        if lapsed.is_empty() {
            return match self.certificates.len() {
                1 => writeln!(f, "The certificate survives."),
                _ => writeln!(f, "Every certificate survives."),
            };
        }
        for outcome in lapsed {
            for lapse in &outcome.lapses {
                let end =
                    lapse.until.map_or_else(|| "to the end".to_owned(), |until| format!("until {}", minute(until)));
                writeln!(f, "`{}` LAPSES: expired from {} {end}.", outcome.name, minute(lapse.from))?;
            }
        }
        Ok(())
    }

    fn alarms(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fired: Vec<_> = self.alerts.iter().filter(|line| line.text.contains(FIRES)).collect();
        if fired.is_empty() {
            return writeln!(f, "\nNo alert would have fired.");
        }
        writeln!(f, "\nAlerts that would have fired: {}", fired.len())?;
        for rule in &RULES {
            let of_rule: Vec<_> = fired.iter().filter(|line| line.text.contains(rule.name)).collect();
            if let Some(first) = of_rule.first() {
                let (name, severity, count) = (rule.name, rule.severity.as_str(), of_rule.len());
                writeln!(f, "  {name} ({severity}): {count}, first {}", minute(first.at))?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let renewed = match self.renewed {
            0 => "not renewed".to_owned(),
            1 => "renewed once".to_owned(),
            many => format!("renewed {many} times"),
        };
        write!(f, "{}: lifetime {}; {}; {renewed}", self.name, self.lifetime, self.begins)?;
        if let (Some(left), Some(at)) = (self.least_left_seconds, self.least_left_at) {
            write!(f, ", at the closest with {} left, {}", in_words(Duration::from_secs(left)), minute(at))?;
        }
        Ok(())
    }
}

fn timeline(drill: &Drill, outage: &Outage, diary: &[Entry], fates: &[Fate]) -> Vec<Line> {
    let name = |site: usize| drill.certificates.get(site).map(|kept| kept.settings.name.clone());
    let mut lines: Vec<Line> = Vec::new();
    for (nth, entry) in diary.iter().enumerate() {
        let told = match &entry.told {
            Told::Event(event) => words(event, next_of(diary, nth)),
            Told::Alert(change) => {
                let rule = &RULES[change.rule];
                let does = if change.fires { FIRES } else { "ends" };
                Some((What::Alert, format!("ALERT {} ({}) {does}", rule.name, rule.severity.as_str())))
            }
            Told::Found(validity) => {
                Some((What::Served, format!("from the store, valid until {}", minute(validity.not_after))))
            }
        };
        if let Some((kind, text)) = told {
            let (at, certificate) = (seconds(entry.at), name(entry.site));
            lines.push(Line { at, certificate, kind, text, site: Some(entry.site) });
        }
    }
    for (site, fate) in fates.iter().enumerate() {
        for (from, _) in &fate.lapses {
            let text = "EXPIRED: clients refuse it".to_owned();
            lines.push(Line { at: *from, certificate: name(site), kind: What::Expired, text, site: Some(site) });
        }
    }
    for (at, text) in [(outage.from, "THE CA IS AWAY"), (outage.until, "the CA is back")] {
        lines.push(Line { at, certificate: None, kind: What::Outage, text: text.to_owned(), site: None });
    }
    lines.sort_by_key(|line| line.at);
    lines
}

/// What comes next for the same certificate.
fn next_of(diary: &[Entry], nth: usize) -> Option<&Event> {
    let site = diary[nth].site;
    diary[nth + 1..].iter().filter(|entry| entry.site == site).find_map(|entry| match &entry.told {
        Told::Event(Event::Informed { .. } | Event::Activated { .. }) | Told::Alert(_) | Told::Found(_) => None,
        Told::Event(event) => Some(event),
    })
}

fn words(event: &Event, next: Option<&Event>) -> Option<(What, String)> {
    Some(match event {
        // What is planned anew at once is not worth a line.
        Event::Planned { .. } if matches!(next, Some(Event::Planned { .. })) => return None,
        Event::Planned { at: Some(at), why: crate::lifecycle::Why::RenewalPlanned } => {
            (What::Planned, format!("renewal planned for {}", minute(*at)))
        }
        Event::Issued { kind: Kind::Renew, validity, .. } => {
            (What::Renewed, format!("renewed, valid until {}", minute(validity.not_after)))
        }
        Event::Issued { kind: Kind::Issue, validity, .. } => {
            (What::Issued, format!("issued, valid until {}", minute(validity.not_after)))
        }
        Event::Failed { failure, consecutive, .. } => {
            let again = match next {
                Some(Event::Planned { at: Some(at), why }) => format!("; next attempt {} ({why})", minute(*at)),
                _ => String::new(),
            };
            (What::Failed, format!("attempt failed, {consecutive} in a row: {}{again}", failure.detail))
        }
        Event::Activated { origin: Origin::Placeholder, .. } => {
            (What::Served, "no certificate yet: a self-signed placeholder is served".to_owned())
        }
        _ => return None,
    })
}

/// Two units at most: `5 d`, `22 d 3 h`, `40 min`.
fn in_words(span: Duration) -> String {
    let seconds = span.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, 0) => format!("{hours} h"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, 0, _) => format!("{days} d"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

fn in_rfc3339<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

fn perhaps_in_rfc3339<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serializer.collect_str(at),
        None => serializer.serialize_none(),
    }
}

fn minute(at: Timestamp) -> String {
    let text = at.to_string();
    // RFC 3339 in UTC: up to the minute.
    text.get(..16).map_or_else(|| text.clone(), |minute| minute.replace('T', " "))
}

fn day(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(..10).map_or_else(|| text.clone(), str::to_owned)
}

const FIRES: &str = "fires";
/// Certificates that the timeline tells of.
const TOLD: usize = 10;
