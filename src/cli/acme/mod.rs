//! `portvakt acme`: the account at a CA, and what the CA allows.

mod account;
mod budget;
mod dns_record;

pub(super) use account::failure;

use clap::Subcommand;

use super::failure::Failure;

#[derive(Debug, Subcommand)]
pub(super) enum Acme {
    /// The account that certificates are ordered with.
    #[command(subcommand)]
    Account(account::Account),
    /// Show what each CA still allows: orders, certificates and failures left, and when there is one more.
    Budget(budget::ShowBudget),
    /// Show the TXT record that proves each name for good (dns-persist-01), and whether it is there.
    DnsRecord(dns_record::DnsRecord),
}

impl Acme {
    pub(super) fn carry_out(self) -> Result<(), Failure> {
        match self {
            Self::Account(account) => account.carry_out(),
            Self::Budget(budget) => budget.carry_out(),
            Self::DnsRecord(record) => record.carry_out(),
        }
    }
}
