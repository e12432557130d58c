//! `portvakt init`.

use clap::Args;

use super::failure::Failure;
use super::print_out;
use super::settings::OneSite;
use crate::config::{self, Code, CommandLine, Purpose};

#[derive(Debug, Args)]
#[command(after_help = "Nothing is asked and no file is written. The same flags give `run` the same settings.

Examples:
  portvakt init > portvakt.toml
  portvakt init --domain app.example.com --upstream http://127.0.0.1:8080 --agree-tos > portvakt.toml")]
pub(super) struct Init {
    #[command(flatten)]
    site: OneSite,
}

impl Init {
    pub(super) fn carry_out(self) -> Result<(), Failure> {
        let example = || CommandLine {
            domains: vec!["app.example.com".to_owned()],
            upstream: "http://127.0.0.1:8080".to_owned(),
            ..CommandLine::default()
        };
        let line = self.site.command_line().unwrap_or_else(example);
        if let Err(problems) = config::from_args(&line, Purpose::CheckOffline) {
            // Whether to agree is asked by the file, not by us.
            if problems.iter().any(|problem| problem.code != Code::TermsNotAgreed) {
                return Err(problems.into());
            }
        }
        print_out(&line.to_commented_toml());
        Ok(())
    }
}
