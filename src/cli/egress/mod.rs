//! `portvakt egress ...`: who we are to a service that demands a client certificate.

mod check;
mod finding;

use clap::Subcommand;

use super::failure::Failure;

#[derive(Debug, Subcommand)]
pub(super) enum Egress {
    /// Show the client identity to its service once, and say what came of it.
    Check(check::Check),
}

impl Egress {
    pub(super) fn carry_out(self) -> Result<(), Failure> {
        match self {
            Self::Check(check) => check.carry_out(),
        }
    }
}
