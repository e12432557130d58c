//! `portvakt simulate`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::failure::Failure;
use super::print_out;
use super::settings::Settings;
use crate::config::{self, Purpose};
use crate::simulate::{Drill, Fleet, Kept};
use crate::store::Store;
use crate::time::{Clock, SystemClock, Timestamp};

#[derive(Debug, Args)]
#[command(
    after_help = "The renewal logic as it is runs in virtual time: nothing is sent, and nothing is written. The configuration's own certificates
are taken from its state directory, where there are any; with `--fleet` no configuration is read.

Examples:
  portvakt simulate --ca-outage 5d
  portvakt simulate --ca-outage 36h --from 2027-01-20 --lifetime 160h --config portvakt.toml
  portvakt simulate --fleet 1000 --years 10 --seed 1"
)]
pub(super) struct Simulate {
    /// The CA is away for so long, as in 5d or 36h: do the certificates of the configuration survive?
    #[arg(long, value_name = "SPAN", required_unless_present = "fleet", conflicts_with = "fleet", value_parser = config::duration)]
    ca_outage: Option<Duration>,
    /// When the outage begins, as in 2027-01-20 or 2027-01-20T04:00:00Z; the worst moment when it is not given.
    #[arg(long, value_name = "DATE", requires = "ca_outage", value_parser = date)]
    from: Option<Timestamp>,
    /// How long certificates are valid, as in 160h; else what Let's Encrypt gives for the profile, or as in the store.
    #[arg(long, value_name = "SPAN", requires = "ca_outage", value_parser = config::duration)]
    lifetime: Option<Duration>,
    #[command(flatten)]
    settings: Settings,
    /// Keep so many certificates of 24 h, 160 h, 45 d and 90 d, with bad luck of every kind; exit code 1 when one lapses
    /// without excuse, or a limit of the CA is broken.
    #[arg(long, value_name = "N", conflicts_with_all = ["config", "domains"], value_parser = clap::value_parser!(u32).range(1..=100_000))]
    fleet: Option<u32>,
    /// For how long, in years of virtual time.
    #[arg(long, conflicts_with = "days", value_parser = clap::value_parser!(u32).range(1..=100))]
    years: Option<u32>,
    /// For how long, in days; a certificate's life and the outage when nothing is given, and 90 at least.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=36_525))]
    days: Option<u32>,
    /// Which luck: the same seed gives the same, to the last request.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Simulate {
    pub(super) fn carry_out(self) -> Result<(), Failure> {
        let is_well = match self.fleet {
            Some(certificates) => {
                let report = self.fleet(certificates).run();
                self.print(&report);
                report.is_clean()
            }
            None => {
                let report = self.drill()?.run();
                self.print(&report);
                report.survives()
            }
        };
        if is_well { Ok(()) } else { Err(Failure::Told) }
    }

    fn print(&self, report: &(impl serde::Serialize + ToString)) {
        if self.json {
            let json = serde_json::to_string_pretty(report).expect("a report has text keys only");
            print_out(&(json + "\n"));
        } else {
            print_out(&report.to_string());
        }
    }

    fn fleet(&self, certificates: u32) -> Fleet {
        let certificates = usize::try_from(certificates).expect("at most a hundred thousand");
        Fleet { certificates, days: self.span().unwrap_or(365), seed: self.seed }
    }

    fn drill(&self) -> Result<Drill, Failure> {
        let (loaded, _) = self.settings.load(Purpose::CheckOffline)?;
        let store = readable(&loaded.config.state_dir)?;
        let certificates = Kept::of(&loaded.config.certificates, store.as_ref(), self.lifetime);
        if certificates.is_empty() {
            return Err(Failure::Plain {
                what: "no certificate of this configuration comes from a CA by ACME".to_owned(),
                why: "the internal CA is never away, and files are renewed by somebody else".to_owned(),
                fix: "name the configuration with `--config FILE`, or try a fleet with `--fleet 100`".to_owned(),
            });
        }
        let (now, outage) = (SystemClock.now(), self.ca_outage.unwrap_or_default());
        let longest = certificates.iter().map(|kept| kept.life.longest()).max().unwrap_or_default();
        let enough = u32::try_from((longest + outage).as_secs() / 86_400 + 1).unwrap_or(u32::MAX).max(90);
        let days = self.span().unwrap_or(enough);
        let end = now + Duration::from_secs(u64::from(days) * 86_400);
        match self.from {
            Some(from) if from < now => Err(Failure::Usage(format!("`--from {from}` lies in the past"))),
            Some(from) if from > end => Err(Failure::Usage(format!(
                "`--from {from}` lies behind the end of the simulation, {end}: give more `--days`"
            ))),
            from => Ok(Drill { certificates, now, days, outage, from, seed: self.seed }),
        }
    }

    /// In days.
    fn span(&self) -> Option<u32> {
        self.days.or_else(|| self.years.map(|years| years * 1_461 / 4))
    }
}

/// The state directory, when it is one; it is only read.
fn readable(dir: &Path) -> Result<Option<Store>, Failure> {
    let version: PathBuf = dir.join("version");
    match version.try_exists() {
        Ok(true) => Store::open(dir).map(Some).map_err(|error| unreadable(dir, &error.to_string())),
        Ok(false) => Ok(None),
        Err(error) => Err(unreadable(dir, &error.to_string())),
    }
}

fn unreadable(dir: &Path, why: &str) -> Failure {
    Failure::Plain {
        what: format!("the state directory `{}` cannot be read", dir.display()),
        why: why.to_owned(),
        fix: "run the command as the user that portvakt runs as, such as with `sudo`".to_owned(),
    }
}

/// A day, or a moment in RFC 3339.
fn date(text: &str) -> Result<Timestamp, String> {
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    whole
        .parse()
        .map_err(|_| "expected a day such as `2027-01-20`, or a moment such as `2027-01-20T04:00:00Z`".to_owned())
}
