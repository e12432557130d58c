//! `portvakt cert revoke NAME`.

use std::io::{BufRead, IsTerminal};

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::super::control::{Socket, understood};
use super::super::failure::Failure;
use super::super::{acme, block_on_alone, print_out};
use super::find;
use crate::app::{self, Revocable};
use crate::config::{self, Purpose};
use crate::control::{Reply, Request};
use crate::manager::Refused;
use crate::source::acme::{RevocationReason, RevokedBy};

#[derive(Debug, Args)]
#[command(
    after_help = "Tells the CA that the certificate must not be believed any more, which cannot be undone. With the reason
keyCompromise a running portvakt first gets a certificate with another key, and serves it; with the others the
revoked one is served until it is renewed (`portvakt cert renew NAME`). Works with portvakt stopped, except
for keyCompromise.

Examples:
  portvakt cert revoke app.example.com --reason keyCompromise
  portvakt cert revoke old.example.com --reason cessationOfOperation --yes"
)]
pub(in crate::cli) struct Revoke {
    /// The certificate: a site's name, or one of its domains.
    name: String,
    /// Why (RFC 5280).
    #[arg(long, default_value = "unspecified", value_parser = PossibleValuesParser::new(RevocationReason::ALL.map(RevocationReason::as_str)))]
    reason: String,
    /// Do not ask whether it is meant.
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    socket: Socket,
}

impl Revoke {
    pub(super) fn carry_out(&self) -> Result<(), Failure> {
        let reason =
            RevocationReason::ALL.into_iter().find(|reason| reason.as_str() == self.reason).unwrap_or_default();
        let config = config::load(self.socket.config().path(), Purpose::Check)?.config;
        let name = find(&config, &self.name)?.name.clone();
        // Looked for before the key is changed: what is kept then is another one.
        let what = app::revocable(&config, &name).map_err(acme::failure)?;
        self.confirm(&what, reason)?;
        if reason == RevocationReason::KeyCompromise {
            self.replace(name)?;
        }
        let by = block_on_alone(async { app::revoke(&config, &what, reason).await.map_err(acme::failure) })?;
        let how = match by {
            RevokedBy::Account => "revoked by the account",
            RevokedBy::CertificateKey => "revoked by its own key",
            RevokedBy::Nobody => "it was revoked before",
        };
        print_out(&format!("{how}: {}\n", what.told()));
        Ok(())
    }

    /// Lets the process serve another key first.
    fn replace(&self, certificate: String) -> Result<(), Failure> {
        match self.socket.ask(Request::Renew { certificate, force: true })? {
            Reply::Done(text) => {
                print_out(&format!("{}\n", understood::<String>(text)?));
                Ok(())
            }
            Reply::Failed(refused) => {
                let Refused { what, why, fix } = understood(refused)?;
                let what = format!("nothing is revoked, since no other key can be served: {what}");
                Err(Failure::Plain { what, why, fix })
            }
        }
    }

    fn confirm(&self, what: &Revocable, reason: RevocationReason) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        if !std::io::stdin().is_terminal() {
            return Err(Failure::Plain {
                what: "nothing is revoked".to_owned(),
                why: "a revocation cannot be undone, and nobody is here to be asked".to_owned(),
                fix: "add `--yes`".to_owned(),
            });
        }
        eprint!("revoke the certificate ({reason})?\n  {}\nThis cannot be undone. [y/N] ", what.told());
        let mut answer = String::new();
        let _ = std::io::stdin().lock().read_line(&mut answer);
        match answer.trim() {
            "y" | "Y" | "yes" => Ok(()),
            _ => {
                eprintln!("nothing is revoked");
                Err(Failure::Told)
            }
        }
    }
}
