//! An operator's own certificates, and a CA that is away.

use std::time::Duration;

use super::ca::{Issued, Names, seconds};
use super::draw::DAY;
use super::executor::Millis;
use super::faults::{CaFault, Fault, What};
use super::report::DrillReport;
use super::run::Scenario;
use super::watch::{Entry, Told};
use super::world::{Found, Lifetime, Site};
use crate::lifecycle::{Event, Kind, Record, Validity};
use crate::source::{CertificateSettings, Settings};
use crate::store::{Meta, Store};
use crate::time::Timestamp;

/// What is to be tried.
#[derive(Clone, Debug)]
pub struct Drill {
    /// Those that a CA issues by ACME.
    pub certificates: Vec<Kept>,
    /// When it begins.
    pub now: Timestamp,
    /// How long it lasts.
    pub days: u32,
    /// How long the CA that is asked first is away.
    pub outage: Duration,
    /// From when on; `None` is the worst moment.
    pub from: Option<Timestamp>,
    /// Of all chance.
    pub seed: u64,
}

/// One certificate of an operator.
#[derive(Clone, Debug)]
pub struct Kept {
    /// As they stand in the configuration; of an ACME CA.
    pub settings: CertificateSettings,
    /// Of its certificates.
    pub life: Life,
    /// What lies in the store.
    pub stored: Option<Stored>,
}

/// How long a CA's certificates are valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// As long.
    Fixed(Duration),
    /// Let's Encrypt's `classic`: 90 days, 64 from 2027-02-10 on, 45 from 2028-02-16 on.
    Classic,
}

/// What lies in the store of a certificate.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Of the current generation.
    pub validity: Validity,
    /// Kept beside it.
    pub meta: Meta,
    /// Its plan and history.
    pub record: Option<Record>,
}

impl Kept {
    /// Each of them that an ACME CA issues, and what lies in the store: how long its certificates live is taken from there,
    /// unless `lifetime` says it, or the CA's published profiles do.
    pub fn of(certificates: &[CertificateSettings], store: Option<&Store>, lifetime: Option<Duration>) -> Vec<Self> {
        let of_acme = |settings: &&CertificateSettings| matches!(settings.source, Settings::Acme(_));
        let kept = |settings: &CertificateSettings| {
            let stored = store.and_then(|store| Stored::load(store, &settings.name));
            let found = stored.as_ref().map(|stored| Life::Fixed(stored.validity.total() + Duration::from_secs(1)));
            let life = lifetime.map(Life::Fixed).or_else(|| Life::published(settings)).or(found);
            Self { settings: settings.clone(), life: life.unwrap_or(Life::Fixed(USUAL)), stored }
        };
        certificates.iter().filter(of_acme).map(kept).collect()
    }
}

impl Life {
    /// What Let's Encrypt gives for the profile; `None` for other CAs.
    fn published(settings: &CertificateSettings) -> Option<Self> {
        let Settings::Acme(cas) = &settings.source else { return None };
        let is_address = |name: &String| name.parse::<std::net::IpAddr>().is_ok();
        let usual = if settings.identifiers.iter().any(is_address) { "shortlived" } else { "classic" };
        let profile = cas.first.profile.as_deref().unwrap_or(usual);
        match profile {
            _ if !cas.first.is_lets_encrypt() => None,
            "classic" => Some(Self::Classic),
            "tlsserver" => Some(Self::Fixed(Duration::from_secs(45 * 86_400))),
            "shortlived" => Some(Self::Fixed(Duration::from_secs(160 * 3_600))),
            _ => None,
        }
    }

    /// Of a certificate that is issued now, at most.
    pub fn longest(self) -> Duration {
        match self {
            Self::Fixed(life) => life,
            Self::Classic => USUAL,
        }
    }
}

impl Stored {
    /// What cannot be read is not there: nothing hangs on it here.
    fn load(store: &Store, name: &str) -> Option<Self> {
        let stored = store.load_identity(name).ok()??;
        let leaf = stored.identity.chain().leaf();
        let validity = Validity { not_before: leaf.not_before, not_after: leaf.not_after };
        Some(Self { validity, meta: stored.meta, record: store.load_record(name).ok().flatten() })
    }
}

impl Drill {
    /// Runs it. Without a moment given, several are tried for the worst.
    pub fn run(&self) -> DrillReport {
        let outage = match self.from {
            Some(from) => millis(from),
            None => self.worst(),
        };
        let diary = self.scenario(Some(outage)).run().diary;
        DrillReport::new(self, outage, &diary)
    }

    /// The beginning of the outage that lets certificates lapse longest, else leaves least of one.
    fn worst(&self) -> Millis {
        let calm = self.scenario(None).run().diary;
        let candidates = self.candidates(&calm);
        let badness = |from: &Millis| {
            let fates = fates(&self.scenario(Some(*from)).run().diary, self.certificates.len(), self.until());
            let lapsed: u64 = fates.iter().map(|fate| fate.lapsed(self.until()).as_secs()).sum();
            let least = fates.iter().filter_map(|fate| fate.least_left_permille).min().unwrap_or(1_000);
            (lapsed, 1_000 - least.min(1_000), std::cmp::Reverse(*from))
        };
        let worst = candidates.into_iter().max_by_key(badness);
        worst.unwrap_or_else(|| millis(self.now) + 60_000)
    }

    /// Right before renewals: each certificate's first ones, as many as can be tried in a moment.
    fn candidates(&self, calm: &[Entry]) -> Vec<Millis> {
        let mut seen = vec![0; self.certificates.len()];
        let mut candidates: Vec<Millis> = Vec::new();
        for entry in calm {
            if let Told::Event(Event::Attempt { kind: Kind::Renew, .. }) = &entry.told {
                seen[entry.site] += 1;
                if seen[entry.site] <= RENEWALS {
                    candidates.push(entry.at - 60_000);
                }
            }
        }
        let most = (WORK / self.certificates.len().max(1)).clamp(3, 60);
        let step = candidates.len().div_ceil(most).max(1);
        candidates.into_iter().step_by(step).collect()
    }

    fn scenario(&self, outage: Option<Millis>) -> Scenario {
        let mut directories: Vec<String> = Vec::new();
        let sites = self.certificates.iter().enumerate().map(|(nth, kept)| site(nth, kept, &mut directories)).collect();
        let span = Millis::try_from(self.outage.as_millis()).unwrap_or(Millis::MAX);
        let fault = |from| Fault { from, until: from + span, what: What::Ca(0, CaFault::Outage) };
        Scenario {
            seed: self.seed,
            from: millis(self.now),
            until: self.until(),
            sites,
            begins: vec![millis(self.now)],
            cas: directories.len(),
            processes: 1,
            faults: outage.map(fault).into_iter().collect(),
            hidden: Vec::new(),
            is_watched: true,
        }
    }

    fn until(&self) -> Millis {
        millis(self.now) + Millis::from(self.days) * DAY
    }
}

fn site(nth: usize, kept: &Kept, directories: &mut Vec<String>) -> Site {
    let mut index = |directory: &String| {
        directories.iter().position(|known| known == directory).unwrap_or_else(|| {
            directories.push(directory.clone());
            directories.len() - 1
        })
    };
    let cas: Vec<usize> = match &kept.settings.source {
        Settings::Acme(cas) => cas.iter().map(|ca| index(&ca.directory)).collect(),
        Settings::Internal | Settings::Files(_) => Vec::new(),
    };
    let found = kept.stored.as_ref().map(|stored| Found {
        ca: stored.meta.directory.as_ref().map_or(0, &mut index),
        issued: Issued { serial: FOUND + nth as u64, validity: stored.validity, is_sound: true },
        meta: stored.meta.clone(),
        record: stored.record.clone(),
    });
    Site {
        lifetime: match kept.life {
            Life::Fixed(span) => Lifetime::Fixed(span),
            Life::Classic => Lifetime::Classic,
        },
        machine: 0,
        names: Names { set: nth, domain: nth as u64 },
        cas,
        settings: kept.settings.clone(),
        found,
    }
}

/// What became of one certificate.
#[derive(Clone, Debug, Default)]
pub(super) struct Fate {
    /// Times without a valid one; `None` lasts to the end.
    pub(super) lapses: Vec<(Timestamp, Option<Timestamp>)>,
    /// Least that was left when it was renewed.
    pub(super) least_left: Option<Duration>,
    pub(super) least_left_permille: Option<u64>,
    /// When that was.
    pub(super) least_at: Option<Timestamp>,
    pub(super) renewed: u32,
    pub(super) failed: u32,
    valid: Option<Validity>,
}

impl Fate {
    /// All lapses together.
    pub(super) fn lapsed(&self, until: Millis) -> Duration {
        self.lapses.iter().map(|(from, end)| end.unwrap_or(seconds(until)).since(*from)).sum()
    }

    fn take(&mut self, at: Timestamp, event: &Event) {
        match event {
            Event::Issued { validity, .. } => {
                if let Some(before) = self.valid.replace(*validity) {
                    self.renewed += 1;
                    self.replaced(before, at);
                }
            }
            Event::Failed { .. } => self.failed += 1,
            _ => {}
        }
    }

    fn replaced(&mut self, before: Validity, at: Timestamp) {
        let left = before.not_after.since(at);
        if at > before.not_after {
            self.lapses.push((before.not_after, Some(at)));
        } else if self.least_left.is_none_or(|least| left < least) {
            self.least_left = Some(left);
            self.least_left_permille = Some(left.as_secs() * 1_000 / before.total().as_secs().max(1));
            self.least_at = Some(at);
        }
    }
}

/// What became of each certificate.
pub(super) fn fates(diary: &[Entry], certificates: usize, until: Millis) -> Vec<Fate> {
    let mut fates = vec![Fate::default(); certificates];
    for entry in diary {
        match &entry.told {
            Told::Event(event) => fates[entry.site].take(seconds(entry.at), event),
            Told::Found(validity) => fates[entry.site].valid = Some(*validity),
            Told::Alert(_) => {}
        }
    }
    for fate in &mut fates {
        match fate.valid {
            Some(validity) if validity.not_after < seconds(until) => fate.lapses.push((validity.not_after, None)),
            _ => {}
        }
    }
    fates
}

pub(super) fn millis(at: Timestamp) -> Millis {
    at.as_unix().saturating_mul(1_000)
}

/// Where nothing else is known.
const USUAL: Duration = Duration::from_secs(90 * 86_400);
/// Renewals of a certificate before which the outage is tried.
const RENEWALS: u32 = 3;
/// Runs times certificates that a search may cost.
const WORK: usize = 2_000;
/// Serials of what was found, apart from those that the simulated CA gives.
const FOUND: u64 = 1 << 48;
