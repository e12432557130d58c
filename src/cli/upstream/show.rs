//! `portvakt upstream show`.

use std::collections::HashMap;
use std::fmt::{self, Write};
use std::path::Path;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::cert::words::minute;
use super::super::failure::Failure;
use super::super::settings::ConfigFile;
use super::super::status::distance;
use super::super::{block_on_alone, print_out};
use super::{find, known, store_failure};
use crate::app;
use crate::config::{self, Purpose};
use crate::control::{Reply, Request, ask};
use crate::pki::LeafFacts;
use crate::store::KnownBy;
use crate::time::{Clock, SystemClock, Timestamp};
use crate::upstream::{Known, PeerSettings, Settings, Trust};

#[derive(Debug, Args)]
#[command(after_help = "Works with portvakt stopped too; then nobody knows how the servers stand.

Examples:
  portvakt upstream show
  portvakt upstream show 10.20.0.5:8443
  portvakt upstream show --json | jq '.[].peers[] | select(.refused)'")]
pub(in crate::cli) struct Show {
    /// The upstream's name, or the address of one of its servers; without it all of them.
    name: Option<String>,
    #[command(flatten)]
    config: ConfigFile,
    /// Print JSON: an array with an object for each upstream.
    #[arg(long)]
    json: bool,
}

/// How the servers stand in a running process, by upstream and URL.
type Running = HashMap<(String, String), Standing>;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Standing {
    address: String,
    healthy: bool,
    last_error: Option<String>,
    certificate: Option<Value>,
}

/// One server, with all that is known of it.
struct Row<'a> {
    upstream: &'a str,
    peer: &'a PeerSettings,
    known: Option<Known>,
    standing: Option<&'a Standing>,
}

impl Show {
    pub(super) fn carry_out(&self) -> Result<(), Failure> {
        let config = config::load(self.config.path(), Purpose::CheckOffline)?.config;
        let store = app::store(&config)?;
        let running = running(&config.control);
        let upstreams: Vec<&Settings> = match &self.name {
            Some(name) => vec![find(&config, name)?],
            None => config.upstreams.iter().collect(),
        };
        let now = SystemClock.now();
        let (mut text, mut all) = (String::new(), Vec::new());
        for upstream in upstreams {
            let row = |peer| {
                let key = (upstream.name.clone(), PeerSettings::to_string(peer));
                let standing = running.as_ref().and_then(|running| running.get(&key));
                known(store.as_ref(), peer).map(|known| Row { upstream: &upstream.name, peer, known, standing })
            };
            let rows = upstream.peers.iter().map(row).collect::<Result<Vec<_>, _>>().map_err(store_failure)?;
            all.push(json!({ "name": upstream.name, "peers": rows.iter().map(Row::to_json).collect::<Vec<_>>() }));
            // Writing to memory does not fail.
            let _ = rows.iter().try_for_each(|row| row.write(&mut text, now));
        }
        print_out(&if self.json { format!("{:#}\n", json!(all)) } else { text });
        Ok(())
    }
}

/// Asks a process; `None` when nobody answers in time.
fn running(socket: &Path) -> Option<Running> {
    let answer = block_on_alone(async { Ok(tokio::time::timeout(PATIENCE, ask(socket, Request::Status)).await) });
    let Reply::Done(status) = answer.ok()?.ok()?.ok()? else { return None };
    let upstreams = status.get("upstreams")?.as_array()?.iter();
    let of = |upstream: &Value| {
        let name = upstream.get("name")?.as_str()?.to_owned();
        let peers: Vec<Standing> = serde_json::from_value(upstream.get("peers")?.clone()).ok()?;
        Some(peers.into_iter().map(move |peer| ((name.clone(), peer.address.clone()), peer)))
    };
    Some(upstreams.filter_map(of).flatten().collect())
}

impl Row<'_> {
    fn trust(&self) -> String {
        match self.peer.tls.as_ref().map(|tls| &tls.trust) {
            None => "no TLS is spoken to it".to_owned(),
            Some(Trust::Anchors(_)) => "by its trust anchors".to_owned(),
            Some(Trust::Pinned { fingerprints, pins }) => {
                let fingerprints = fingerprints.iter().map(|it| format!("fingerprint {it}"));
                fingerprints.chain(pins.iter().map(|it| format!("pin {it}"))).collect::<Vec<_>>().join(" or ")
            }
            Some(Trust::FirstUse) => match &self.known {
                None => "by its first use; it was not met yet".to_owned(),
                Some(known) => {
                    let by = match known.record.by {
                        KnownBy::FirstUse => "by its first use",
                        KnownBy::Operator => "accepted by an operator",
                    };
                    format!("{by}, {}", minute(known.record.since))
                }
            },
        }
    }

    fn write(&self, out: &mut String, now: Timestamp) -> fmt::Result {
        writeln!(out, "upstream {}: {}\n  believed     {}", self.upstream, self.peer, self.trust())?;
        if let Some(known) = &self.known {
            write_leaf(out, "certificate", &known.leaf, now)?;
            if let Some(before) = &known.record.before {
                writeln!(out, "  before       {}, until {}", before.fingerprint, minute(before.at))?;
            }
            if let Some((leaf, at)) = known.refused() {
                writeln!(out, "  REFUSED      another certificate, seen {} ({})", minute(at), distance(at, now))?;
                write_leaf(out, "it shows", &leaf, now)?;
                let (name, fingerprint) = (self.upstream, leaf.fingerprint);
                writeln!(out, "  if it is right: portvakt upstream accept {name} --fingerprint {fingerprint}")?;
            }
        }
        match self.standing {
            None => writeln!(out, "  now          portvakt is not running\n"),
            Some(Standing { healthy: true, .. }) => writeln!(out, "  now          healthy\n"),
            Some(Standing { last_error, .. }) => {
                let why = last_error.as_deref().unwrap_or("it could not be reached");
                writeln!(out, "  now          not used: {why}\n")
            }
        }
    }

    fn to_json(&self) -> Value {
        let refused = self.known.as_ref().and_then(Known::refused);
        json!({
            "address": self.peer.to_string(),
            "server_name": self.peer.tls.as_ref().map(|tls| &tls.server_name),
            "trust": match self.peer.tls.as_ref().map(|tls| &tls.trust) {
                None => "none",
                Some(Trust::Anchors(_)) => "trust_anchors",
                Some(Trust::Pinned { .. }) => "pinned",
                Some(Trust::FirstUse) => "first-use",
            },
            "known": self.known.as_ref().map(|known| json!({
                "certificate": leaf_to_json(&known.leaf),
                "since": known.record.since.to_string(),
                "by": known.record.by,
                "before": known.record.before.as_ref().map(|before| &before.fingerprint),
            })),
            "refused": refused.map(|(leaf, at)| json!({ "certificate": leaf_to_json(&leaf), "at": at.to_string() })),
            "running": self.standing.map(|standing| json!({
                "healthy": standing.healthy,
                "last_error": standing.last_error,
                "certificate": standing.certificate,
            })),
        })
    }
}

fn write_leaf(out: &mut String, what: &str, leaf: &LeafFacts, now: Timestamp) -> fmt::Result {
    let names = if leaf.names.is_empty() { "no name".to_owned() } else { leaf.names.join(", ") };
    writeln!(out, "  {what:<12} CN {:?}, for {}, {}", leaf.common_name, names.escape_debug(), leaf.key_type)?;
    writeln!(out, "    valid      {} until {} ({})", leaf.not_before, leaf.not_after, distance(leaf.not_after, now))?;
    writeln!(out, "    sha256     {}\n    pin        {}", leaf.fingerprint, leaf.pin)
}

fn leaf_to_json(leaf: &LeafFacts) -> Value {
    json!({
        "subject": leaf.common_name,
        "names": leaf.names,
        "issuer": leaf.issuer,
        "key_type": leaf.key_type,
        "not_before": leaf.not_before.to_string(),
        "not_after": leaf.not_after.to_string(),
        "sha256": leaf.fingerprint.to_string(),
        "pin": leaf.pin.to_string(),
    })
}

const PATIENCE: Duration = Duration::from_secs(2);
