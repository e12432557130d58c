//! `portvakt acme`: the account at a CA, and what the CA allows.

mod budget;

use clap::Subcommand;

use super::failure::Failure;

#[derive(Debug, Subcommand)]
pub(super) enum Acme {
    /// Show what each CA still allows: orders, certificates and failures left, and when there is one more.
    Budget(budget::ShowBudget),
}

impl Acme {
    pub(super) fn carry_out(self) -> Result<(), Failure> {
        match self {
            Self::Budget(budget) => budget.carry_out(),
        }
    }
}
