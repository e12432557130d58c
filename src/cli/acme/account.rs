//! `portvakt acme account`.

use clap::{Args, Subcommand};

use super::super::failure::Failure;
use super::super::settings::ConfigFile;
use super::super::{block_on_alone, print_out};
use crate::app::{self, AccountFacts, AcmeWorkError};
use crate::causes::with_causes;
use crate::config::{self, Purpose};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Account {
    /// Show the accounts as they are kept: URL, contact, key, and the CAA record that lets them alone order.
    #[command(after_help = "Works with portvakt stopped.

Examples:
  portvakt acme account show
  portvakt acme account show --json | jq -r '.[0].account'")]
    Show {
        #[command(flatten)]
        which: Which,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Give an account another key, such as when the old one may be known to others.
    #[command(
        after_help = "The account, its certificates and its limits stay. The key before is kept as account.prev.json. When it is
broken off at any moment, portvakt finds out with its next request which key the CA knows. Works with portvakt
running or stopped.

Example:
  portvakt acme account rollover"
    )]
    Rollover {
        #[command(flatten)]
        which: Which,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Which {
    #[command(flatten)]
    config: ConfigFile,
    /// The URL of the CA's directory; needed where the configuration names several.
    #[arg(long, value_name = "DIRECTORY")]
    ca: Option<String>,
}

impl Account {
    pub(super) fn carry_out(self) -> Result<(), Failure> {
        match self {
            Self::Show { which, json } => show(&which, json),
            Self::Rollover { which } => roll_over(&which),
        }
    }
}

fn show(which: &Which, json: bool) -> Result<(), Failure> {
    let loaded = config::load(which.config.path(), Purpose::CheckOffline)?;
    let accounts = app::acme_accounts(&loaded.config, which.ca.as_deref()).map_err(failure)?;
    if json {
        print_out(&format!("{:#}\n", serde_json::json!(accounts)));
    } else {
        print_out(&accounts.iter().map(told).collect::<Vec<_>>().join("\n"));
    }
    Ok(())
}

fn told(account: &AccountFacts) -> String {
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "none yet".to_owned());
    let contact = if account.contact.is_empty() { "none".to_owned() } else { account.contact.join(", ") };
    let rows = [
        ("directory", account.directory.clone()),
        ("account", or_none(&account.account)),
        ("contact", contact),
        (
            "key",
            account
                .thumbprint
                .as_ref()
                .map_or_else(|| "none yet".to_owned(), |print| format!("SHA-256 {print} (RFC 7638)")),
        ),
        ("file", account.file.display().to_string()),
        ("CAA", account.caa.as_ref().map_or_else(|| "none yet".to_owned(), |caa| format!("YOUR-DOMAIN. IN {caa}"))),
    ];
    rows.iter().map(|(name, value)| format!("{name:<10} {value}\n")).collect()
}

fn roll_over(which: &Which) -> Result<(), Failure> {
    let loaded = config::load(which.config.path(), Purpose::Check)?;
    let rolled =
        block_on_alone(async { app::roll_over_account(&loaded.config, which.ca.as_deref()).await.map_err(failure) })?;
    print_out(&format!(
        "the account {} has another key\nbefore     SHA-256 {}\nnow        SHA-256 {}\n",
        rolled.account, rolled.before, rolled.now
    ));
    Ok(())
}

pub(in crate::cli) fn failure(error: AcmeWorkError) -> Failure {
    let fix = match &error {
        AcmeWorkError::Ca(error) => error.fix().map(std::borrow::Cow::into_owned),
        AcmeWorkError::Unknown(_) => Some("`portvakt config show` tells what is set".to_owned()),
        AcmeWorkError::Listen { .. } => Some("stop what listens there, or start portvakt and try again".to_owned()),
        AcmeWorkError::Store(_) | AcmeWorkError::Rights(_) => {
            Some("run it as root, or as the user that portvakt runs as".to_owned())
        }
    };
    let what = error.to_string();
    let why = std::error::Error::source(&error).map(with_causes);
    match (why, fix) {
        (None, Some(fix)) => Failure::Plain { what, why: "the configuration decides what is kept".to_owned(), fix },
        (Some(why), fix) => Failure::Plain { what, why, fix: fix.unwrap_or_else(|| "try again later".to_owned()) },
        (None, None) => {
            Failure::Plain { what, why: "nothing more is known".to_owned(), fix: "try again later".to_owned() }
        }
    }
}
