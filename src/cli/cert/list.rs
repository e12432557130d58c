//! `portvakt cert list`.

use clap::Args;
use serde_json::json;

use super::super::failure::Failure;
use super::super::print_out;
use super::super::settings::ConfigFile;
use super::super::status::distance;
use super::words::{day, table};
use super::{Known, seen};
use crate::manager::CertificateStatus;

#[derive(Debug, Args)]
#[command(after_help = "Works with portvakt stopped too; then nobody knows what clients get.

Examples:
  portvakt cert list
  portvakt cert list --json | jq '.[] | select(.served != true)'")]
pub(in crate::cli) struct List {
    #[command(flatten)]
    config: ConfigFile,
    /// Print JSON: an array with an object for each certificate.
    #[arg(long)]
    json: bool,
}

impl List {
    pub(super) fn carry_out(&self) -> Result<(), Failure> {
        let known = Known::read(&self.config)?;
        let all: Vec<_> = known.config.certificates.iter().map(|settings| known.status(settings)).collect();
        if self.json {
            let all: Vec<_> = all.iter().map(|status| to_json(&known, status)).collect();
            print_out(&format!("{:#}\n", json!(all)));
            return Ok(());
        }
        let header = ["NAME", "STATE", "VALID UNTIL", "ISSUED BY", "NEXT", "CLIENTS GET IT"].map(str::to_owned);
        let rows: Vec<_> = std::iter::once(header).chain(all.iter().map(|status| row(&known, status))).collect();
        print_out(&table(&rows));
        Ok(())
    }
}

fn row(known: &Known, status: &CertificateStatus) -> [String; 6] {
    let (life, shown) = (&status.life, known.in_service(status));
    let end = shown.map_or(life.not_after, seen::InService::not_after);
    let until = end.map(|end| format!("{} ({})", day(end, known.now), distance(end, known.now)));
    let at = life.next.at.map(|at| format!(" {}", day(at, known.now))).unwrap_or_default();
    [
        status.name.clone(),
        shown.map_or_else(|| life.state.as_str().to_owned(), |shown| shown.state.clone()),
        until.unwrap_or_else(|| "-".to_owned()),
        status.leaf.as_ref().map_or_else(|| status.issuer.clone(), |leaf| leaf.issuer.clone()),
        format!("{}{at}", life.next.action.as_str()),
        seen::summary(known.running.as_ref(), &status.name, known.now),
    ]
}

fn to_json(known: &Known, status: &CertificateStatus) -> serde_json::Value {
    let (life, leaf, shown) = (&status.life, status.leaf.as_ref(), known.in_service(status));
    let text = |kept: Option<String>, shown: Option<String>| shown.or(kept);
    let time = |time: Option<crate::time::Timestamp>| time.map(|time| time.to_string());
    let sights = known.running.as_ref().map(|running| running.of(&status.name));
    json!({
        "name": status.name,
        "names": status.identifiers,
        "source": status.source,
        "state": shown.map_or(life.state.as_str(), |shown| &shown.state),
        "issuer": text(leaf.map(|leaf| leaf.issuer.clone()), shown.map(|shown| shown.issuer.clone())),
        "sha256": text(leaf.map(|leaf| leaf.fingerprint.to_string()), shown.map(|shown| shown.sha256.clone())),
        "serial": text(leaf.map(|leaf| leaf.serial.clone()), shown.map(|shown| shown.serial.clone())),
        "key_type": text(leaf.map(|leaf| leaf.key_type.clone()), shown.map(|shown| shown.key_type.clone())),
        "not_before": time(shown.map_or(life.not_before, seen::InService::not_before)),
        "not_after": time(shown.map_or(life.not_after, seen::InService::not_after)),
        "kept": known.running.as_ref().map(|_| shown.is_none()),
        "next": { "action": life.next.action.as_str(), "at": time(life.next.at), "why": life.next.why },
        "consecutive_failures": life.consecutive_failures,
        "last_error": life.last_failure.as_ref().map(|failure| &failure.detail),
        "served": known.running.as_ref().and_then(|running| running.is_served(&status.name)),
        "sights": sights,
    })
}
