//! `portvakt egress check`.

use std::fmt::Write as _;

use clap::Args;

use super::super::failure::Failure;
use super::super::print_out;
use super::super::settings::ConfigFile;
use super::finding::{CertificateFacts, Finding, examine};
use crate::config::{self, Config, Purpose};
use crate::lifecycle::rotation::Slot;
use crate::source::ClientIdentitySettings;
use crate::upstream::Settings;

#[derive(Debug, Args)]
#[command(
    after_help = "One request is sent with each identity, that of `next` too; nothing else uses it. Works whether portvakt runs or not.
Exit code 0: the service lets every identity in. 1: it does not, cannot be reached, or an identity has expired.

Examples:
  portvakt egress check bankid
  portvakt egress check bankid --json | jq '.identities[].days_left'"
)]
pub(in crate::cli) struct Check {
    /// Name of the egress, or of an upstream with an `identity`.
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    config: ConfigFile,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(super) fn carry_out(self) -> Result<(), Failure> {
        let config = config::load(self.config.path(), Purpose::Run)?.config;
        let (identity, upstream) = find(&config, &self.name)?;
        let findings = super::super::block_on_alone(async { Ok(all(identity, upstream).await) })?;
        let is_good = findings.iter().all(Finding::is_good);
        if self.json {
            let object = serde_json::json!({
                "name": self.name,
                "destination": upstream.peers.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "ok": is_good,
                "identities": findings,
            });
            print_out(&format!("{object:#}\n"));
        } else {
            print_out(&in_words(&self.name, upstream, &findings));
        }
        if is_good { Ok(()) } else { Err(Failure::Told) }
    }
}

/// What is asked about, with the servers that it is for.
fn find<'a>(config: &'a Config, name: &str) -> Result<(&'a ClientIdentitySettings, &'a Settings), Failure> {
    let upstreams = || config.egress.iter().map(|egress| &egress.upstream).chain(&config.upstreams);
    let is_for = |upstream: &&Settings| {
        upstream.peers.iter().filter_map(|peer| peer.tls.as_ref()).any(|tls| tls.identity.as_deref() == Some(name))
    };
    let identity = config.client_identities.iter().find(|identity| identity.name == name);
    identity.zip(upstreams().find(is_for)).ok_or_else(|| {
        let known: Vec<_> = config.client_identities.iter().map(|identity| format!("`{}`", identity.name)).collect();
        Failure::Plain {
            what: format!("there is no client identity named `{name}`"),
            why: match known.is_empty() {
                true => "the configuration has no `[[egress]]`, and no upstream with an `identity`".to_owned(),
                false => format!("the configuration has {}", known.join(", ")),
            },
            fix: "name one of them, or add an `[[egress]]` with this name".to_owned(),
        }
    })
}

async fn all(identity: &ClientIdentitySettings, upstream: &Settings) -> Vec<Finding> {
    let mut findings = vec![examine(Slot::First, &identity.files, &identity.trial, upstream).await];
    if let Some(next) = &identity.next {
        findings.push(examine(Slot::Next, &next.files, &identity.trial, upstream).await);
    }
    findings
}

fn in_words(name: &str, upstream: &Settings, findings: &[Finding]) -> String {
    let servers: Vec<_> = upstream.peers.iter().map(ToString::to_string).collect();
    let mut out = format!("{name}: {}\n", servers.join(", "));
    for finding in findings {
        // Writing to a text does not fail.
        let _ = write_finding(&mut out, finding);
    }
    if let [first, next] = findings
        && let (Some(first), Some(next)) = (&first.certificate, &next.certificate)
        && first.display_name != next.display_name
    {
        let _ = writeln!(
            out,
            "\nwarning: users see {:?} now, and will see {:?} from `next` on",
            first.display_name, next.display_name
        );
    }
    out
}

fn write_finding(out: &mut String, finding: &Finding) -> std::fmt::Result {
    writeln!(out, "\n{} from {}", finding.slot, finding.file)?;
    if let Some(certificate) = &finding.certificate {
        writeln!(out, "  shown as      {:?}", certificate.display_name)?;
        write_certificate(out, "subject", certificate)?;
    }
    if let Some(server) = &finding.server {
        writeln!(out, "  server        {}, {}", server.address, server.tls)?;
        server.chain.iter().try_for_each(|certificate| write_certificate(out, "shows", certificate))?;
    }
    if let Some(anchor) = &finding.trust_anchor {
        write_certificate(out, "believed by", anchor)?;
    }
    if let Some(answer) = &finding.answer {
        let code = answer.error_code.as_deref().map(|code| format!(" {code}")).unwrap_or_default();
        writeln!(out, "  answer        {}{code}", answer.status)?;
    }
    writeln!(out, "  {:<13} {}", finding.cause.as_str(), finding.detail)?;
    match &finding.fix {
        Some(fix) => writeln!(out, "  fix           {fix}"),
        None => Ok(()),
    }
}

fn write_certificate(out: &mut String, what: &str, certificate: &CertificateFacts) -> std::fmt::Result {
    writeln!(out, "  {what:<13} CN={}, issued by {}", certificate.subject, certificate.issuer)?;
    writeln!(out, "                sha256 {}", certificate.sha256)?;
    let days = match certificate.days_left {
        days if days < 0 => format!("{} days ago", -days),
        days => format!("in {days} days"),
    };
    writeln!(out, "                until {} ({days})", certificate.not_after)
}
