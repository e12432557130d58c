//! `portvakt egress calendar`.

use std::fs;
use std::path::PathBuf;

use clap::Args;

use super::super::failure::Failure;
use super::super::print_out;
use super::super::settings::ConfigFile;
use super::{find, load};
use crate::egress;
use crate::time::{Clock, SystemClock};

#[derive(Debug, Args)]
#[command(
    after_help = "The file has two events: the day by which to order the next certificate (60 days and two working days
before the end), and the last day of the present one, or of `next` where that lasts longer. Read again
later, each event is there once.

Example:
  portvakt egress calendar bankid --out bankid.ics"
)]
pub(in crate::cli) struct Calendar {
    /// The egress, or the upstream with an identity.
    name: String,
    /// Write this file in place of standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigFile,
}

impl Calendar {
    pub(super) fn carry_out(&self) -> Result<(), Failure> {
        let (config, settings) = find(&self.config, &self.name)?;
        let current = load(&settings.files)?;
        let next = settings.next.as_ref().map(|next| load(&next.files)).transpose()?;
        let leaves = std::iter::once(&current).chain(&next).map(|identity| identity.chain().leaf());
        // One at least, the current one.
        let Some(last) = leaves.max_by_key(|leaf| leaf.not_after) else { return Ok(()) };
        let is_bankid = super::is_bankid(&config, &self.name);
        let text = egress::calendar(&self.name, last, is_bankid, SystemClock.now());
        let Some(path) = &self.out else {
            print_out(&text);
            return Ok(());
        };
        fs::write(path, text).map_err(|error| Failure::Plain {
            what: format!("cannot write `{}`", path.display()),
            why: error.to_string(),
            fix: "name a file in a folder that is there and that you may write".to_owned(),
        })
    }
}
