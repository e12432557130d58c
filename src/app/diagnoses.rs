//! What `portvakt doctor` says of a certificate that failed three times in a row for what only the operator can mend. It is
//! asked once for each row, and its findings stand in the log, the status and the message about the failure.
//!
//! # Why
//!
//! A CA tells what it saw from outside, in its own words. What stands in DNS, in CAA, and what answers here under the name says
//! to whoever is woken where to begin, and the CA need not be asked for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::warn;

use super::App;
use crate::admin::{Diagnosis, DoctorFinding};
use crate::config::Config;
use crate::doctor;
use crate::language::{InEach, Lang};
use crate::lifecycle::Event;
use crate::time::{Clock, SystemClock};

/// One for each certificate that needs it.
#[derive(Debug, Default)]
pub(super) struct Diagnoses {
    rows: Mutex<BTreeMap<String, Row>>,
    wanted: Notify,
}

/// Of one row of failures.
#[derive(Clone, Debug)]
enum Row {
    /// Since then.
    Wanted(Instant),
    /// Wanted since then.
    UnderWay(Instant),
    /// `None` where the doctor came to no end.
    Over(Option<Diagnosis>),
}

impl Diagnoses {
    /// Something happened to a certificate.
    pub(super) fn note(&self, certificate: &str, event: &Event) {
        match event {
            Event::Failed { unmended, .. } if *unmended >= FAILURES => {
                self.rows().entry(certificate.to_owned()).or_insert_with(|| Row::Wanted(Instant::now()));
                self.wanted.notify_one();
            }
            Event::Failed { .. } | Event::Issued { .. } => drop(self.rows().remove(certificate)),
            _ => {}
        }
    }

    /// What was found, for the page; `None` when there was no need to look, or it has not ended.
    pub(super) fn of(&self, certificate: &str) -> Option<Diagnosis> {
        match self.rows().get(certificate) {
            Some(Row::Over(diagnosis)) => diagnosis.clone(),
            Some(Row::Wanted(_) | Row::UnderWay(_)) | None => None,
        }
    }

    /// It will be there soon. Where hundreds fail at a time, nobody waits for the last of them.
    pub(super) fn is_awaited(&self, certificate: &str) -> bool {
        match self.rows().get(certificate) {
            Some(Row::Wanted(since) | Row::UnderWay(since)) => since.elapsed() < LONGEST,
            Some(Row::Over(_)) | None => false,
        }
    }

    /// Forgets those that are in the settings no more.
    pub(super) fn apply(&self, config: &Config) {
        self.rows().retain(|name, _| config.certificates.iter().any(|certificate| certificate.name == *name));
    }

    /// The next certificate to look at: who waits longest.
    fn take(&self) -> Option<String> {
        let mut rows = self.rows();
        let wanted = rows.iter_mut().filter_map(|(name, row)| match row {
            Row::Wanted(since) => Some((*since, name, row)),
            Row::UnderWay(_) | Row::Over(_) => None,
        });
        let (since, name, row) = wanted.min_by_key(|(since, ..)| *since)?;
        *row = Row::UnderWay(since);
        Some(name.clone())
    }

    /// Keeps what was found, unless the row of failures has ended meanwhile.
    fn keep(&self, certificate: &str, diagnosis: Option<Diagnosis>) {
        if let Some(row) = self.rows().get_mut(certificate).filter(|row| matches!(row, Row::UnderWay(_))) {
            *row = Row::Over(diagnosis);
        }
    }

    fn rows(&self) -> MutexGuard<'_, BTreeMap<String, Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl App {
    /// Asks the doctor about one certificate after the other. Never returns.
    pub(super) async fn diagnose(self) {
        let diagnoses = &self.0.record.diagnoses;
        loop {
            while let Some(certificate) = diagnoses.take() {
                let findings = examine(self.0.config.load_full(), certificate.clone()).await;
                tell(&certificate, findings.as_deref());
                let findings = findings.map(|findings| findings.iter().map(shown).collect());
                let diagnosis = findings.map(|findings| Diagnosis { at: SystemClock.now(), findings });
                diagnoses.keep(&certificate, diagnosis);
                self.0.notifiers.look();
            }
            diagnoses.wanted.notified().await;
        }
    }
}

/// On a thread that may wait, as it looks at the disk. `None` when it did not end in time.
async fn examine(config: Arc<Config>, certificate: String) -> Option<Vec<doctor::Finding>> {
    let look = tokio::task::spawn_blocking(move || {
        let look = doctor::examine_certificate(&config, &certificate);
        Handle::current().block_on(tokio::time::timeout(LONGEST, look))
    });
    tokio::time::timeout(LONGEST, look).await.ok()?.ok()?.ok()
}

fn tell(certificate: &str, findings: Option<&[doctor::Finding]>) {
    let Some(findings) = findings else {
        return warn!(
            certificate,
            "the doctor came to no end within {} s: `portvakt doctor` looks again",
            LONGEST.as_secs()
        );
    };
    if findings.is_empty() {
        warn!(
            certificate,
            "the doctor finds nothing wrong from here: look at what lies between the CA and this machine"
        );
    }
    for finding in findings {
        let told = finding.told(Lang::En);
        let (code, found, fix) = (finding.code(), told.what, told.fix);
        warn!(certificate, code, found, fix, "the doctor has looked why there is no certificate: {}", told.title);
    }
}

fn shown(finding: &doctor::Finding) -> DoctorFinding {
    DoctorFinding {
        code: finding.code(),
        what: InEach::of(|lang| {
            let told = finding.told(lang);
            format!("{}: {}", told.title, told.what)
        }),
        fix: InEach::of(|lang| finding.told(lang).fix),
    }
}

/// Two may have been bad luck, and the rehearsal answers them.
const FAILURES: u32 = 3;
/// Name servers that do not answer must not keep the others waiting.
const LONGEST: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::{Failure, Kind, Reason, Retry};

    fn failed(unmended: u32) -> Event {
        let failure = Failure { reason: Reason::Dns, retry: Retry::Backoff, detail: String::new(), fix: None };
        Event::Failed { kind: Kind::Issue, failure, consecutive: unmended, unmended, ca: "ca.test".to_owned() }
    }

    fn diagnosis() -> Option<Diagnosis> {
        Some(Diagnosis { at: SystemClock.now(), findings: Vec::new() })
    }

    #[test]
    fn given_a_row_of_failures_when_noted_then_looked_at_once_and_forgotten_with_the_row() {
        let diagnoses = Diagnoses::default();
        for count in 1..=2 {
            diagnoses.note("m5", &failed(count));
            assert_eq!(diagnoses.take(), None);
        }
        diagnoses.note("m5", &failed(3));
        assert!(diagnoses.is_awaited("m5"));
        assert_eq!(diagnoses.take().as_deref(), Some("m5"));
        diagnoses.note("m5", &failed(4));
        assert_eq!(diagnoses.take(), None, "once");
        diagnoses.keep("m5", diagnosis());
        diagnoses.note("m5", &failed(5));
        assert!(diagnoses.of("m5").is_some() && !diagnoses.is_awaited("m5") && diagnoses.take().is_none());

        diagnoses.note("m5", &failed(0));
        assert!(diagnoses.of("m5").is_none());

        diagnoses.note("m5", &failed(3));
        diagnoses.take();
        diagnoses.keep("m5", None);
        assert!(diagnoses.of("m5").is_none() && !diagnoses.is_awaited("m5"), "it came to no end");
    }

    #[tokio::test(start_paused = true)]
    async fn given_several_when_taken_then_in_the_order_of_their_coming_and_nobody_waits_for_long() {
        let diagnoses = Diagnoses::default();
        for name in ["z", "m", "a"] {
            diagnoses.note(name, &failed(3));
            tokio::time::advance(LONGEST / 3).await;
        }
        let taken: Vec<_> = std::iter::from_fn(|| diagnoses.take()).collect();
        assert_eq!(taken, ["z", "m", "a"]);
        assert_eq!(["z", "m", "a"].map(|name| diagnoses.is_awaited(name)), [false, true, true]);
    }

    #[test]
    fn given_a_row_that_ends_while_it_is_looked_at_when_kept_then_nothing_is() {
        let diagnoses = Diagnoses::default();
        diagnoses.note("m5", &failed(3));
        diagnoses.take();
        diagnoses.note("m5", &failed(1));
        diagnoses.keep("m5", diagnosis());
        assert!(diagnoses.of("m5").is_none());
    }
}
