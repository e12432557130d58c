//! The alerts of `deploy/prometheus/certificates.rules.yml`, and when they fire.
//!
//! Those are told that look at what portvakt knows of a certificate. Those that look at handshakes are not: nobody shakes hands
//! in a simulated world.

use std::time::Duration;

use serde::Serialize;

use crate::lifecycle::{State, Status};
use crate::time::Timestamp;

/// One alert.
#[derive(Debug)]
pub(super) struct Rule {
    /// As in the file.
    pub(super) name: &'static str,
    /// As in the file.
    pub(super) severity: Severity,
    /// How long its condition holds before it fires: `for`.
    pub(super) lasts: Duration,
    /// From when on its condition holds while nothing changes; `None` for never.
    holds: fn(&Status) -> Option<Timestamp>,
}

/// Label `severity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    Warning,
    Critical,
}

impl Severity {
    /// As in the file.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// Every alert that is told.
pub(super) const RULES: [Rule; 7] = [
    Rule {
        name: "PortvaktCertificateExpired",
        severity: Severity::Critical,
        lasts: minutes(1),
        holds: |status| status.not_after.map(just_after),
    },
    Rule {
        name: "PortvaktRenewalOverdue",
        severity: Severity::Warning,
        lasts: minutes(30),
        holds: |status| {
            let (due, not_after) = (status.renewal_due?, status.not_after?);
            Some(just_after(due + not_after.since(due) / 4))
        },
    },
    Rule {
        name: "PortvaktRenewalEmergency",
        severity: Severity::Critical,
        lasts: minutes(15),
        holds: |status| status.emergency.map(just_after),
    },
    Rule {
        name: "PortvaktNextActionSilent",
        severity: Severity::Warning,
        lasts: minutes(15),
        holds: |status| status.next.at.map(|at| just_after(at + minutes(60))),
    },
    Rule {
        name: "PortvaktAcmeFailing",
        severity: Severity::Warning,
        lasts: minutes(10),
        holds: |status| (status.consecutive_failures >= 3).then_some(ALWAYS),
    },
    Rule {
        name: "PortvaktRenewalInformationIgnored",
        severity: Severity::Warning,
        lasts: minutes(30),
        holds: |status| Some(just_after(status.info.as_ref()?.window.as_ref()?.end + minutes(60))),
    },
    Rule {
        name: "PortvaktPlaceholderServed",
        severity: Severity::Critical,
        lasts: minutes(30),
        holds: |status| (status.state == State::Placeholder).then_some(ALWAYS),
    },
];

/// An alert that fires, or fires no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) at: Timestamp,
    /// Index among [`RULES`].
    pub(super) rule: usize,
    pub(super) fires: bool,
}

/// The alerts of one certificate.
#[derive(Clone, Debug, Default)]
pub(super) struct Alarms {
    /// What held last, and since when.
    held: Option<(Timestamp, Status)>,
    since: [Option<Timestamp>; RULES.len()],
    fires: [bool; RULES.len()],
}

impl Alarms {
    /// Takes in how it stands from `now` on; gives what the time until now has brought.
    pub(super) fn take(&mut self, status: Status, now: Timestamp) -> Vec<Change> {
        let mut changes = Vec::new();
        if let Some((from, before)) = self.held.take() {
            for (rule, terms) in RULES.iter().enumerate() {
                self.pass(rule, (terms.holds)(&before), (from, now), &mut changes);
            }
        }
        for (rule, terms) in RULES.iter().enumerate() {
            if (terms.holds)(&status).is_none_or(|at| now < at) {
                self.end(rule, now, &mut changes);
            }
        }
        self.held = Some((now, status));
        changes.sort_by_key(|change| change.at);
        changes
    }

    /// A span has passed in which nothing changed: the condition held from `holds` on.
    fn pass(
        &mut self,
        rule: usize,
        holds: Option<Timestamp>,
        (from, until): (Timestamp, Timestamp),
        changes: &mut Vec<Change>,
    ) {
        let Some(begin) = holds.map(|at| at.max(from)).filter(|at| *at < until) else { return };
        let since = *self.since[rule].get_or_insert(begin);
        let at = since + RULES[rule].lasts;
        if !self.fires[rule] && at <= until {
            self.fires[rule] = true;
            changes.push(Change { at, rule, fires: true });
        }
    }

    fn end(&mut self, rule: usize, now: Timestamp, changes: &mut Vec<Change>) {
        self.since[rule] = None;
        if std::mem::take(&mut self.fires[rule]) {
            changes.push(Change { at: now, rule, fires: false });
        }
    }
}

fn just_after(at: Timestamp) -> Timestamp {
    at + Duration::from_secs(1)
}

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

const ALWAYS: Timestamp = Timestamp::from_unix(0);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::{Action, Next};

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn status() -> Status {
        let day = Duration::from_secs(86_400);
        Status {
            state: State::Issued,
            not_before: Some(NOW),
            not_after: Some(NOW + day * 90),
            renewal_due: Some(NOW + day * 60),
            fallback: None,
            emergency: Some(NOW + day * 85),
            overdue: None,
            info: None,
            next: Next {
                action: Action::Renew,
                at: Some(NOW + day * 60),
                reason: "renewal_planned",
                why: String::new(),
            },
            consecutive_failures: 0,
            last_failure: None,
            rehearsal: None,
            last_attempt: None,
            last_success: None,
        }
    }

    fn fired(changes: &[Change]) -> Vec<(&'static str, u64, bool)> {
        let minutes = |change: &Change| change.at.since(NOW).as_secs() / 60;
        changes.iter().map(|change| (RULES[change.rule].name, minutes(change), change.fires)).collect()
    }

    #[test]
    fn given_the_rules_file_then_every_rule_told_is_in_it_as_it_is_told() {
        let file = include_str!("../../deploy/prometheus/certificates.rules.yml");
        for rule in &RULES {
            let told = file.split("- alert: ").find(|text| text.lines().next() == Some(rule.name));
            let told = told.unwrap_or_else(|| panic!("{} is not in the file", rule.name));
            assert!(told.contains(&format!("for: {}m\n", rule.lasts.as_secs() / 60)), "{told}");
            assert!(told.contains(&format!("severity: {}", rule.severity.as_str())), "{told}");
        }
    }

    #[test]
    fn given_three_failures_when_they_last_then_fires_after_ten_minutes_and_ends_with_the_success() {
        let mut alarms = Alarms::default();
        let failing = Status { consecutive_failures: 3, ..status() };
        assert_eq!(fired(&alarms.take(status(), NOW)), []);
        assert_eq!(fired(&alarms.take(failing.clone(), NOW + minutes(60))), []);
        assert_eq!(fired(&alarms.take(failing.clone(), NOW + minutes(65))), []);
        assert_eq!(fired(&alarms.take(failing, NOW + minutes(90))), [("PortvaktAcmeFailing", 70, true)]);
        assert_eq!(fired(&alarms.take(status(), NOW + minutes(95))), [("PortvaktAcmeFailing", 95, false)]);
    }

    #[test]
    fn given_no_renewal_when_time_passes_then_overdue_emergency_and_expired_in_turn() {
        let mut alarms = Alarms::default();
        alarms.take(status(), NOW);
        let day = 24 * 60;
        let silent = ("PortvaktNextActionSilent", 60 * day + 60 + 15, true);
        let changes = alarms.take(status(), NOW + minutes(91 * day));
        let expected = [
            silent,
            ("PortvaktRenewalOverdue", 60 * day + 30 * day / 4 + 30, true),
            ("PortvaktRenewalEmergency", 85 * day + 15, true),
            ("PortvaktCertificateExpired", 90 * day + 1, true),
        ];
        assert_eq!(fired(&changes), expected);
    }
}
