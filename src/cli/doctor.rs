//! `portvakt doctor`.

use std::io::IsTerminal;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::failure::Failure;
use super::{DEFAULT_CONFIG, block_on, print_out};
use crate::config::{self, Purpose};
use crate::doctor::{self, Options, Target};
use crate::pki::TrustAnchors;

#[derive(Debug, Args)]
#[command(
    after_help = "With a URL it needs no configuration and no installation: it connects to every address of the name, and says what phones
and browsers make of what they are shown. With a configuration it looks at what that depends on: ports and who owns them, DNS,
CAA, DNSSEC, the way of a CA's question, the CA, the clock, state and keys, upstreams, identities that end. Exit code 0: nothing to do. 1: something to mend. 2: no such command line.

Examples:
  portvakt doctor https://app.example.com/login
  portvakt doctor --lang sv https://door.example.se/M5UserAPI
  portvakt doctor --lang de --report report.html https://immo.example.de
  portvakt doctor --json https://app.example.com | jq '.findings[].code'
  portvakt doctor --config /etc/portvakt/portvakt.toml
  portvakt doctor --trust-anchors company-root.pem https://intranet.example.com"
)]
pub(super) struct Doctor {
    /// The address that an app or a browser opens, as in https://app.example.com/path.
    #[arg(value_name = "URL")]
    url: Option<String>,
    /// Look at what this configuration depends on; `portvakt.toml` when neither it nor a URL is given.
    #[arg(long, short, value_name = "FILE", conflicts_with = "url")]
    config: Option<PathBuf>,
    /// Look only at what needs no network.
    #[arg(long, conflicts_with = "url")]
    offline: bool,
    /// Ask this name server in place of the system's; may be repeated.
    #[arg(long = "resolver", value_name = "IP:PORT", conflicts_with = "url")]
    resolvers: Vec<SocketAddr>,
    /// Believe the roots in this file too, as devices do that have them installed.
    #[arg(long, value_name = "FILE")]
    trust_anchors: Option<PathBuf>,
    /// Look at this address in place of those in DNS, as before a name is moved; may be repeated.
    #[arg(long = "address", value_name = "IP")]
    addresses: Vec<IpAddr>,
    /// The port where plain HTTP is looked at; 80 when the URL has no port of its own.
    #[arg(long, value_name = "PORT")]
    http_port: Option<u16>,
    /// Write one page to print and hand over into this file, as HTML.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// The language of the words.
    #[arg(long, value_name = "LANGUAGE", default_value = "en")]
    lang: Lang,
    /// Print one JSON object; its keys (`portvakt help doctor-json`) and codes stay the same from version to version.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Lang {
    En,
    Sv,
    Nb,
    De,
}

impl Doctor {
    pub(super) fn carry_out(self) -> Result<(), Failure> {
        let Some(url) = &self.url else { return self.examine_house() };
        let target =
            Target::parse(url).map_err(|error| Failure::Usage(format!("`{}`: {error}", url.escape_debug())))?;
        let options = self.options()?;
        let checkup = block_on(async { Ok(doctor::examine(&target, &options).await) })?;
        let lang = self.lang.into();
        match self.json {
            true => print_out(&format!("{:#}\n", checkup.to_json(lang))),
            false => print_out(&checkup.to_text(lang, std::io::stdout().is_terminal())),
        }
        if let Some(path) = &self.report {
            write(path, &checkup.to_html(lang))?;
        }
        if checkup.is_well() { Ok(()) } else { Err(Failure::Told) }
    }

    /// What a configuration depends on.
    fn examine_house(&self) -> Result<(), Failure> {
        if !self.addresses.is_empty() {
            return Err(Failure::Usage("`--address` wants a URL".to_owned()));
        }
        let file = self.config.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_CONFIG));
        let purpose = if self.offline { Purpose::CheckOffline } else { Purpose::Run };
        let config = config::load(&file, purpose)?.config;
        let options = self.options()?;
        let call = block_on(async { Ok(doctor::examine_house(&config, file, &options, self.offline).await) })?;
        let lang = self.lang.into();
        match self.json {
            true => print_out(&format!("{:#}\n", call.to_json(lang))),
            false => print_out(&call.to_text(lang, std::io::stdout().is_terminal())),
        }
        if let Some(path) = &self.report {
            write(path, &call.to_html(lang))?;
        }
        if call.is_well() { Ok(()) } else { Err(Failure::Told) }
    }

    fn options(&self) -> Result<Options, Failure> {
        Ok(Options {
            anchors: self.anchors()?,
            addresses: self.addresses.clone(),
            resolvers: self.resolvers.clone(),
            http_port: self.http_port,
        })
    }

    fn anchors(&self) -> Result<Option<TrustAnchors>, Failure> {
        let Some(path) = &self.trust_anchors else { return Ok(None) };
        let unusable = |why: String| Failure::Plain {
            what: format!("the trust anchors in `{}` cannot be used", path.display()),
            why,
            fix: "give a file with the root's certificate in PEM".to_owned(),
        };
        let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
        TrustAnchors::from_pem(&pem).map(Some).map_err(|error| unusable(crate::causes::with_causes(&error)))
    }
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| Failure::Plain {
        what: format!("the report cannot be written to `{}`", path.display()),
        why: error.to_string(),
        fix: "name a file in a folder that you may write to".to_owned(),
    })
}

impl From<Lang> for doctor::Lang {
    fn from(lang: Lang) -> Self {
        match lang {
            Lang::En => Self::En,
            Lang::Sv => Self::Sv,
            Lang::Nb => Self::Nb,
            Lang::De => Self::De,
        }
    }
}
