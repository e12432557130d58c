//! `portvakt schema`.

use clap::Args;

use super::failure::Failure;
use super::print_out;
use crate::config;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  portvakt schema > portvakt.schema.json    # then, as the first line of portvakt.toml: #:schema ./portvakt.schema.json
  portvakt schema > schema.json && taplo check --schema \"file://$PWD/schema.json\" portvakt.toml")]
pub(super) struct PrintSchema {}

impl PrintSchema {
    pub(super) fn carry_out(self) -> Result<(), Failure> {
        print_out(&format!("{:#}\n", config::schema()));
        Ok(())
    }
}
