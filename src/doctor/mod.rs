//! Whether phones and browsers accept a server, and whether a configuration will do its work, told in plain words.
//!
//! In: a URL, or a configuration. Out: a [`Checkup`] or a [`HouseCall`]: verdicts, findings with why and how to mend them,
//! as text, JSON or HTML, in four languages.
//! `look` does what touches the network and never fails: what goes wrong is what was seen ([`sight::Sight`]); `judge` is
//! pure and gets the time with what was seen; `house` looks at what a configuration depends on. Imports `config`, `control`,
//! `dns`, `lifecycle`, `pki`, `platform`, `source`, `store`, `time` and `upstream`.
//!
//! Standards: RFC 5280 (paths, validity), RFC 9525 (names), RFC 6066 §8 (stapled OCSP), RFC 6797 (HSTS), the CA/Browser
//! Forum's limits of validity, and what Apple and Google publish about their systems. Everything has a deadline and a
//! bound, and whatever a server sends, nothing panics. A certificate that nobody should believe is accepted here in order
//! to look at it; no secret is ever sent over such a connection.
//!
//! # Why
//!
//! A verifier stops at the first thing that is wrong, and says it to the client. Whoever has to mend a server wants all
//! of it, for phones that he does not hold in his hand, in words for whoever pays for it.

mod finding;
mod house;
mod html;
mod json;
mod judge;
mod look;
mod roots;
mod sight;
mod target;
mod text;
mod topic;
mod trust;
mod words;

use std::net::{IpAddr, SocketAddr};

use serde_json::Value;

use self::judge::Diagnosis;
use self::sight::Sight;
use self::topic::Topic;
use self::trust::Roots;
use crate::pki::TrustAnchors;
use crate::time::{Clock, SystemClock};

pub use finding::Finding;
pub use house::{HouseCall, examine as examine_house, examine_certificate, view_cas};
pub use target::{Target, TargetError};
pub use words::{Lang, Told};

/// What to take into account when a URL is looked at.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Roots that are believed beside Mozilla's.
    pub anchors: Option<TrustAnchors>,
    /// Look at these addresses in place of those in DNS.
    pub addresses: Vec<IpAddr>,
    /// Ask these name servers about a configuration in place of the system's.
    pub resolvers: Vec<SocketAddr>,
    /// Where plain HTTP is asked; by default 80 for a URL with port 443, else nowhere.
    pub http_port: Option<u16>,
}

/// What came of looking at a URL.
#[derive(Clone, Debug)]
pub struct Checkup {
    sight: Sight,
    diagnosis: Diagnosis,
}

/// Looks at a URL as phones and browsers would.
pub async fn examine(target: &Target, options: &Options) -> Checkup {
    let roots = Roots::new(options.anchors.as_ref());
    let http_port = options.http_port.or_else(|| (target.port == 443).then_some(80));
    let options = Options { http_port, ..options.clone() };
    let sight = look::look(target, &roots, &options, SystemClock.now()).await;
    let diagnosis = judge::judge(&sight, &roots);
    Checkup { sight, diagnosis }
}

impl Checkup {
    /// Nothing is to be mended.
    pub fn is_well(&self) -> bool {
        self.diagnosis.is_well()
    }

    /// For people at a terminal.
    pub fn to_text(&self, lang: Lang, is_colored: bool) -> String {
        text::text(&self.sight, &self.diagnosis, lang, is_colored)
    }

    /// One page to hand over: HTML with nothing from elsewhere in it.
    pub fn to_html(&self, lang: Lang) -> String {
        html::page(&self.sight, &self.diagnosis, lang)
    }

    /// For programs.
    pub fn to_json(&self, lang: Lang) -> Value {
        json::json(&self.sight, &self.diagnosis, lang)
    }
}

impl HouseCall {
    /// For people at a terminal.
    pub fn to_text(&self, lang: Lang, is_colored: bool) -> String {
        text::house(self, lang, is_colored)
    }

    /// A document to hand over.
    pub fn to_html(&self, lang: Lang) -> String {
        html::house(self, lang)
    }

    /// For programs.
    pub fn to_json(&self, lang: Lang) -> Value {
        json::house(self, lang)
    }
}

/// What `portvakt help` says about a code; `None` when it is none of ours.
pub fn help(number: u16) -> Option<String> {
    Topic::EVERY.iter().find(|topic| topic.number() == number).map(|topic| words::help(*topic))
}

/// The keys of the JSON, for `portvakt help doctor-json`.
pub const JSON_SHAPE: &str = include_str!("json.md");

/// Every code of a finding with its title.
pub fn codes() -> impl Iterator<Item = (String, &'static str)> {
    Topic::EVERY.iter().map(|topic| (topic.to_string(), words::title(*topic, Lang::En)))
}
