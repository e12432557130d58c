//! `portvakt simulate`.

use clap::Args;

use super::failure::Failure;
use super::print_out;
use crate::simulate::Fleet;

#[derive(Debug, Args)]
#[command(after_help = "The real renewal logic runs in virtual time; nothing is sent, and nothing is written.

Examples:
  portvakt simulate --fleet 1000 --years 10 --seed 1")]
pub(super) struct Simulate {
    /// Keep so many certificates of 24 h, 160 h, 45 d and 90 d, with bad luck of every kind; exit code 1 when one lapses
    /// without excuse, or a limit of the CA is broken.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    fleet: u32,
    /// For how long, in years of virtual time.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    years: u32,
    /// For how long, in days.
    #[arg(long, conflicts_with = "years", value_parser = clap::value_parser!(u32).range(1..=36_500))]
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
        let days = self.days.unwrap_or_else(|| self.years * 1_461 / 4);
        let certificates = usize::try_from(self.fleet).expect("at most a hundred thousand");
        let report = Fleet { certificates, days, seed: self.seed }.run();
        if self.json {
            let json = serde_json::to_string_pretty(&report).expect("a report has text keys only");
            print_out(&(json + "\n"));
        } else {
            print_out(&report.to_string());
        }
        if report.is_clean() { Ok(()) } else { Err(Failure::Told) }
    }
}
