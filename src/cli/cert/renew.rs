//! `portvakt cert renew NAME`.

use clap::Args;

use super::super::control::{Socket, understood};
use super::super::failure::Failure;
use super::super::print_out;
use super::find;
use crate::config::{self, Purpose};
use crate::control::{Reply, Request};
use crate::manager::Refused;

#[derive(Debug, Args)]
#[command(
    after_help = "Asks the running process, which orders at once and says what came of it; a CA may take minutes. Waits after
failures are lifted. A time that the CA has named is waited for unless --force is given, and limits of
the CA that are known to refuse the order are kept in any case.

Examples:
  portvakt cert renew app.example.com
  portvakt cert renew app.example.com --force    # not to wait for a time that the CA has named"
)]
pub(in crate::cli) struct Renew {
    /// The certificate: a site's name, or one of its domains.
    name: String,
    /// Do not wait for a time that the CA has named.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    socket: Socket,
}

impl Renew {
    pub(super) fn carry_out(&self) -> Result<(), Failure> {
        let config = config::load(self.socket.config().path(), Purpose::CheckOffline)?.config;
        let certificate = find(&config, &self.name)?.name.clone();
        tell(self.socket.ask(Request::Renew { certificate, force: self.force })?)
    }
}

/// What the process says came of it.
pub(super) fn tell(reply: Reply) -> Result<(), Failure> {
    match reply {
        Reply::Done(text) => {
            print_out(&format!("{}\n", understood::<String>(text)?));
            Ok(())
        }
        Reply::Failed(refused) => Err(super::refused(understood::<Refused>(refused)?)),
    }
}
