//! `portvakt doctor`.

use std::io::IsTerminal;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::failure::Failure;
use super::{block_on, print_out};
use crate::doctor::{self, Options, Target};
use crate::pki::TrustAnchors;

#[derive(Debug, Args)]
#[command(
    after_help = "Needs no configuration and no installation: it connects to every address of the name, and says what phones and browsers
make of what they are shown. Exit code 0: nothing to do. 1: something to mend. 2: no such command line.

Examples:
  portvakt doctor https://app.example.com/login
  portvakt doctor --lang sv https://door.example.se/M5UserAPI
  portvakt doctor --lang de --report report.html https://immo.example.de
  portvakt doctor --json https://app.example.com | jq '.findings[].code'
  portvakt doctor --trust-anchors company-root.pem https://intranet.example.com"
)]
pub(super) struct Doctor {
    /// The address that an app or a browser opens, as in https://app.example.com/path.
    #[arg(value_name = "URL")]
    url: String,
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
    /// Print one JSON object; its keys and codes stay the same from version to version.
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
        let target = Target::parse(&self.url)
            .map_err(|error| Failure::Usage(format!("`{}`: {error}", self.url.escape_debug())))?;
        let options =
            Options { anchors: self.anchors()?, addresses: self.addresses.clone(), http_port: self.http_port };
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
