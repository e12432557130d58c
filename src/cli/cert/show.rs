//! `portvakt cert show NAME`.

use std::fmt::Write;

use clap::Args;

use super::super::failure::Failure;
use super::super::print_out;
use super::super::settings::ConfigFile;
use super::super::status::distance;
use super::words::{day, minute};
use super::{Known, find};
use crate::manager::CertificateStatus;
use crate::pki::CertificateChain;
use crate::store::Generation;
use crate::time::Timestamp;

#[derive(Debug, Args)]
#[command(after_help = "Works with portvakt stopped too; then nobody knows what clients get.

Example:
  portvakt cert show app.example.com")]
pub(in crate::cli) struct Show {
    /// The certificate: a site's name, or one of its domains.
    name: String,
    #[command(flatten)]
    config: ConfigFile,
}

impl Show {
    pub(super) fn carry_out(&self) -> Result<(), Failure> {
        let known = Known::read(&self.config)?;
        let settings = find(&known.config, &self.name)?;
        let status = known.status(settings);
        let kept = known.store.as_ref().filter(|_| status.source != "files");
        let generations =
            kept.map(|store| store.generations(&status.name)).transpose().map_err(super::store_failure)?;
        let mut out = String::new();
        // Writing to a text does not fail.
        let _ = write(&mut out, &known, &status, &generations.unwrap_or_default());
        print_out(&out);
        Ok(())
    }
}

fn write(out: &mut String, known: &Known, status: &CertificateStatus, generations: &[Generation]) -> std::fmt::Result {
    let now = known.now;
    writeln!(out, "certificate {}: {}", status.name, status.life.state.as_str())?;
    writeln!(out, "  names        {}", status.identifiers.join(", "))?;
    if let Some(shown) = known.in_service(status) {
        let valid = [shown.not_before(), shown.not_after()].map(|at| at.map(minute).unwrap_or_default());
        writeln!(
            out,
            "  IN SERVICE   another than on the disk: by {}, {} to {}, sha256 {}",
            shown.issuer, valid[0], valid[1], shown.sha256
        )?;
    }
    write_leaf(out, status, now)?;
    writeln!(out, "  next action  {}", next_action(status, now))?;
    if let Some(guards) = guards(status, now) {
        writeln!(out, "               {guards}")?;
    }
    write_information(out, status, now)?;
    write_failure(out, status, now)?;
    for generation in generations {
        writeln!(out, "  {}", of_generation(generation, now))?;
    }
    write_served(out, known, status)
}

fn write_leaf(out: &mut String, status: &CertificateStatus, now: Timestamp) -> std::fmt::Result {
    let Some(leaf) = &status.leaf else {
        return writeln!(out, "  issued by    nobody yet: a self-signed placeholder is served ({})", status.issuer);
    };
    writeln!(out, "  issued by    {} ({}: {})", leaf.issuer, status.source, status.issuer)?;
    writeln!(out, "  sha256       {}\n  serial       {}", leaf.fingerprint, leaf.serial)?;
    writeln!(out, "  key          {}", leaf.key_type)?;
    let valid = (minute(leaf.not_before), minute(leaf.not_after), distance(leaf.not_after, now));
    writeln!(out, "  valid        {} to {} ({})", valid.0, valid.1, valid.2)?;
    if !status.uncovered.is_empty() {
        writeln!(out, "  NOT FOR      {}", status.uncovered.join(", "))?;
    }
    if let Some(chain) = &status.chain {
        writeln!(out, "  chain        {}", links(chain, now).join("\n               "))?;
    }
    Ok(())
}

/// Every certificate of a chain: for whom, by whom, until when.
fn links(chain: &CertificateChain, now: Timestamp) -> Vec<String> {
    let link = |der: &rustls::pki_types::CertificateDer<'static>| {
        let one = CertificateChain::from_der(vec![der.clone()]).ok()?;
        let facts = one.leaf();
        let subject = if facts.common_name.is_empty() { facts.names.join(", ") } else { facts.common_name.clone() };
        Some(format!("{subject}, by {}, until {}", facts.issuer, day(facts.not_after, now)))
    };
    chain.certificates().iter().filter_map(link).collect()
}

/// What, when, why.
fn next_action(status: &CertificateStatus, now: Timestamp) -> String {
    let next = &status.life.next;
    let at = match next.at {
        Some(at) if at <= now => "now".to_owned(),
        Some(at) => minute(at),
        None => String::new(),
    };
    let information = status.life.info.as_ref();
    let window = information.and_then(|info| Some((info.window.as_ref()?, info.asked_at)));
    let why = match window.filter(|_| status.life.renewal_due.is_some() && next.at == status.life.renewal_due) {
        Some((window, asked_at)) => {
            let (start, end) = (day(window.start, now), day(window.end, now));
            format!("ARI window {start}..{end} (asked {})", distance(asked_at, now))
        }
        None => next.why.clone(),
    };
    [next.action.as_str(), &at, "because", &why]
        .into_iter()
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// What stands behind the plan when it fails.
fn guards(status: &CertificateStatus, now: Timestamp) -> Option<String> {
    let life = &status.life;
    let told = |word: &str, at: Option<Timestamp>| at.map(|at| format!("{word} {}", day(at, now)));
    let fallback = told("fallback", life.fallback.filter(|at| Some(*at) != life.renewal_due));
    let emergency = told("emergency", life.emergency.filter(|_| status.source != "files"));
    let all: Vec<_> = [fallback, emergency, told("alert fires", life.overdue)].into_iter().flatten().collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// What the CA says, where it says more than a window.
fn write_information(out: &mut String, status: &CertificateStatus, now: Timestamp) -> std::fmt::Result {
    let Some(info) = &status.life.info else { return Ok(()) };
    if let Some(url) = info.window.as_ref().and_then(|window| window.explanation.as_deref()) {
        writeln!(out, "  explanation  {url}")?;
    }
    match &info.trouble {
        Some(trouble) => {
            writeln!(out, "  ARI          no answer {}: {trouble}", distance(info.asked_at, now))
        }
        None if info.window.is_none() => writeln!(out, "  ARI          the CA offers none"),
        None => writeln!(out, "  ARI          asked again {}", distance(info.ask_at, now)),
    }
}

fn write_failure(out: &mut String, status: &CertificateStatus, now: Timestamp) -> std::fmt::Result {
    if let Some(success) = status.life.last_success {
        writeln!(out, "  last success {} ({})", minute(success), distance(success, now))?;
    }
    let Some(failure) = &status.life.last_failure else { return Ok(()) };
    let (at, row) = (minute(failure.at), status.life.consecutive_failures);
    writeln!(out, "  last failure {at} ({}), {row} in a row: {}", failure.reason.as_str(), failure.detail)?;
    writeln!(out, "    more       portvakt help {}", failure.reason.code())?;
    if let Some(fix) = &failure.fix {
        writeln!(out, "    fix        {fix}")?;
    }
    match &status.life.rehearsal {
        Some(rehearsal) => writeln!(out, "  rehearsal    {rehearsal}"),
        None => Ok(()),
    }
}

fn of_generation(generation: &Generation, now: Timestamp) -> String {
    let mark = if generation.is_current { " (in service)" } else { "" };
    match &generation.content {
        Ok((chain, meta)) => {
            let leaf = chain.leaf();
            let (got, end) = (minute(meta.issued_at), day(leaf.not_after, now));
            let sha256: String = leaf.fingerprint.to_string().chars().take(16).collect();
            format!(
                "generation {}{mark}: got {got} from {}, until {end}, sha256 {sha256}...",
                generation.number, meta.source
            )
        }
        Err(reason) => format!("generation {}{mark}: DAMAGED: {reason}", generation.number),
    }
}

fn write_served(out: &mut String, known: &Known, status: &CertificateStatus) -> std::fmt::Result {
    let Some(running) = &known.running else {
        return writeln!(out, "  clients get  unknown: no process answers on `{}`", known.config.control.display());
    };
    let seen = running.of(&status.name);
    if seen.is_empty() {
        writeln!(out, "  clients get  nothing: no https listener")?;
    }
    for seen in seen {
        let at = seen.at.as_deref().and_then(|at| at.parse().ok());
        let at = at.map_or_else(|| "not yet".to_owned(), |at| format!("seen {}", distance(at, known.now)));
        writeln!(out, "  clients get  {} on {}: {}, {at}", seen.name, seen.listener, seen.found)?;
    }
    Ok(())
}
