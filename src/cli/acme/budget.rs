//! `portvakt acme budget`.

use std::fmt::Write;

use clap::Args;
use serde_json::{Value, json};

use super::super::failure::Failure;
use super::super::print_out;
use super::super::settings::ConfigFile;
use crate::app;
use crate::config::{self, Purpose};
use crate::lifecycle::budget::{Limit, Standing};
use crate::source::acme::{CaBudget, CertificateBudget};
use crate::time::{Clock, SystemClock, Timestamp};

#[derive(Debug, Args)]
#[command(
    after_help = "It counts what this state directory's portvakt has done; others may draw on the same limits. The limits
of Let's Encrypt are known; other CAs tell theirs by asking to wait. Works with portvakt stopped.

Example:
  portvakt acme budget --config portvakt.toml"
)]
pub(in crate::cli) struct ShowBudget {
    /// Print JSON for tools.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigFile,
}

impl ShowBudget {
    pub(super) fn carry_out(&self) -> Result<(), Failure> {
        let loaded = config::load(self.config.path(), Purpose::CheckOffline)?;
        let now = SystemClock.now();
        let budgets = app::acme_budgets(&loaded.config, now)?;
        print_out(&match self.json {
            true => format!("{:#}\n", Value::from(budgets.iter().map(in_json).collect::<Vec<_>>())),
            false => in_words(&budgets, now),
        });
        Ok(())
    }
}

fn in_words(budgets: &[CaBudget], now: Timestamp) -> String {
    let mut out = String::new();
    for budget in budgets {
        // Writing to a text does not fail.
        let _ = write_ca(&mut out, budget, now);
    }
    if budgets.is_empty() {
        out.push_str("no certificate of this configuration comes from an ACME CA\n");
    }
    out
}

fn write_ca(out: &mut String, budget: &CaBudget, now: Timestamp) -> std::fmt::Result {
    writeln!(out, "{} {}", budget.name.unwrap_or("acme"), budget.directory)?;
    writeln!(out, "  account {}", budget.account.as_deref().unwrap_or("none yet"))?;
    if budget.name.is_none() {
        writeln!(out, "  its limits are not known: portvakt waits when it asks to")?;
    }
    budget.standings.iter().try_for_each(|standing| write_standing(out, standing, now))?;
    budget.certificates.iter().try_for_each(|certificate| write_certificate(out, certificate, now))
}

fn write_certificate(out: &mut String, certificate: &CertificateBudget, now: Timestamp) -> std::fmt::Result {
    writeln!(out, "\n  certificate {}", certificate.name)?;
    certificate.standings.iter().try_for_each(|standing| {
        write!(out, "  ")?;
        write_standing(out, standing, now)
    })?;
    match certificate.retry_after {
        Some(at) => writeln!(out, "    the CA asks to wait until {at}, {}", until(at, now)),
        None => Ok(()),
    }
}

fn write_standing(out: &mut String, standing: &Standing, now: Timestamp) -> std::fmt::Result {
    let Standing { limit, of, left, capacity, next } = standing;
    let next = next.map(|at| format!(", next token {}", until(at, now))).unwrap_or_default();
    writeln!(out, "  {left} of {capacity} {} left{next}", what(*limit, of))
}

fn what(limit: Limit, of: &str) -> String {
    match limit {
        Limit::Registrations => "new accounts from this address".to_owned(),
        Limit::Orders => "new orders of this account".to_owned(),
        Limit::Domain => format!("certificates under {of}"),
        Limit::SameSet => "certificates for this set".to_owned(),
        Limit::FailedAuthorizations => format!("failed validations of {of}"),
        Limit::FailedInARow => format!("failed validations of {of} in a row"),
    }
}

/// Such as `in 21 h`, never less than it is.
fn until(at: Timestamp, now: Timestamp) -> String {
    match at.since(now).as_secs() {
        seconds @ ..120 => format!("in {seconds} s"),
        seconds @ ..7200 => format!("in {} min", seconds.div_ceil(60)),
        seconds @ ..172_800 => format!("in {} h", seconds.div_ceil(3600)),
        seconds => format!("in {} days", seconds.div_ceil(86_400)),
    }
}

fn in_json(budget: &CaBudget) -> Value {
    let certificate = |certificate: &CertificateBudget| {
        json!({
            "name": certificate.name,
            "identifiers": certificate.identifiers,
            "retry_after": certificate.retry_after.map(|at| at.to_string()),
            "limits": certificate.standings.iter().map(standing_in_json).collect::<Vec<_>>(),
        })
    };
    json!({
        "directory": budget.directory,
        "name": budget.name,
        "account": budget.account,
        "limits": budget.standings.iter().map(standing_in_json).collect::<Vec<_>>(),
        "certificates": budget.certificates.iter().map(certificate).collect::<Vec<_>>(),
    })
}

fn standing_in_json(standing: &Standing) -> Value {
    json!({
        "limit": standing.limit.as_str(),
        "of": standing.of,
        "left": standing.left,
        "capacity": standing.capacity,
        "next": standing.next.map(|at| at.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    #[test]
    fn given_a_budget_when_told_then_what_is_left_and_when_there_is_more() {
        let standing = |limit, of: &str, left, capacity, next: Option<i64>| Standing {
            limit,
            of: of.to_owned(),
            left,
            capacity,
            next: next.map(|seconds| Timestamp::from_unix(NOW.as_unix() + seconds)),
        };
        let budgets = [
            CaBudget {
                directory: "https://ca.test/directory".to_owned(),
                name: Some("Let's Encrypt"),
                account: Some("https://ca.test/acct/1".to_owned()),
                standings: vec![standing(Limit::Orders, "https://ca.test/acct/1", 299, 300, Some(36))],
                certificates: vec![CertificateBudget {
                    name: "m5".to_owned(),
                    identifiers: vec!["m5.example.se".to_owned()],
                    standings: vec![
                        standing(Limit::Domain, "example.se", 50, 50, None),
                        standing(Limit::SameSet, "m5.example.se", 3, 5, Some(21 * 3600 - 5)),
                    ],
                    retry_after: None,
                }],
            },
            CaBudget {
                directory: "https://other.test/dir".to_owned(),
                name: None,
                account: None,
                standings: vec![],
                certificates: vec![CertificateBudget {
                    name: "m6".to_owned(),
                    identifiers: vec!["m6.example.se".to_owned()],
                    standings: vec![],
                    retry_after: Some(Timestamp::from_unix(NOW.as_unix() + 3600)),
                }],
            },
        ];
        let expected = "\
Let's Encrypt https://ca.test/directory
  account https://ca.test/acct/1
  299 of 300 new orders of this account left, next token in 36 s

  certificate m5
    50 of 50 certificates under example.se left
    3 of 5 certificates for this set left, next token in 21 h
acme https://other.test/dir
  account none yet
  its limits are not known: portvakt waits when it asks to

  certificate m6
    the CA asks to wait until 2027-01-15T09:00:00Z, in 60 min
";
        assert_eq!(in_words(&budgets, NOW), expected);
        let json = in_json(&budgets[0]);
        assert_eq!(json["certificates"][0]["limits"][1]["limit"], "duplicate_set");
        assert_eq!(json["certificates"][0]["limits"][1]["left"], 3);
        assert_eq!(in_words(&[], NOW), "no certificate of this configuration comes from an ACME CA\n");
    }
}
