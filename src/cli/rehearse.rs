//! `portvakt rehearse`: the whole way to a certificate, without one that is served.

use std::io::IsTerminal;

use clap::Args;

use super::control::{Socket, understood};
use super::failure::Failure;
use super::{acme, block_on_alone, print_out};
use crate::app;
use crate::config::{self, Purpose};
use crate::control::{AskError, Reply, Request};
use crate::source::acme::Rehearsal;
use crate::time::Timestamp;

#[derive(Debug, Args)]
#[command(after_help = "The CA's twin for tries is asked: for Let's Encrypt its staging environment, else the one that
`staging` in [acme] names. Its limits are high, and nobody trusts its certificates. A running portvakt answers the CA;
else this command listens itself. Exit code 1: a step has failed.

Examples:
  portvakt rehearse
  portvakt rehearse app.example.com --json")]
pub(super) struct Rehearse {
    /// The site, by its name or one of its domains; by default the first one with an ACME certificate.
    site: Option<String>,
    /// The URL of another CA's directory.
    #[arg(long, value_name = "DIRECTORY")]
    ca: Option<String>,
    #[command(flatten)]
    socket: Socket,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Rehearse {
    pub(super) fn carry_out(self) -> Result<(), Failure> {
        let rehearsal = self.ask()?;
        if self.json {
            print_out(&format!("{:#}\n", serde_json::json!(rehearsal)));
        } else {
            print_out(&report(&rehearsal, std::io::stdout().is_terminal()));
        }
        if rehearsal.is_good() { Ok(()) } else { Err(Failure::Told) }
    }

    fn ask(&self) -> Result<Rehearsal, Failure> {
        let request = Request::Rehearse { site: self.site.clone(), directory: self.ca.clone() };
        match self.socket.try_ask(request)? {
            Ok(Reply::Done(told)) => understood(told),
            Ok(Reply::Failed(why)) => Err(Failure::Plain {
                what: "no rehearsal".to_owned(),
                why: understood::<String>(why)?,
                fix: "`portvakt config show` tells what is set".to_owned(),
            }),
            Err(AskError::NobodyThere { .. }) => self.alone(),
            Err(error) => Err(self.socket.failure(&error)),
        }
    }

    fn alone(&self) -> Result<Rehearsal, Failure> {
        let loaded = config::load(self.socket.config().path(), Purpose::Check)?;
        block_on_alone(async {
            app::rehearse_alone(&loaded.config, self.site.as_deref(), self.ca.as_deref()).await.map_err(acme::failure)
        })
    }
}

/// A dated report for a hand-over.
fn report(rehearsal: &Rehearsal, is_colored: bool) -> String {
    let paint =
        |code: &str, text: &str| if is_colored { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() };
    let mut out = format!(
        "rehearsal of {} ({}) at {}\nbegun {}\n\n",
        rehearsal.site,
        rehearsal.identifiers.join(", "),
        rehearsal.directory,
        rehearsal.begun
    );
    for step in &rehearsal.steps {
        let mark = if step.ok { paint("32", "ok  ") } else { paint("31", "FAIL") };
        out.push_str(&format!("{mark}  {:<10}  {}\n", step.step, step.detail));
        if let Some(fix) = &step.fix {
            out.push_str(&format!("{:18}fix: {fix}\n", ""));
        }
    }
    let end: Timestamp = rehearsal.begun;
    out.push_str(&match rehearsal.is_good() {
        true => format!("\n{}: everything that a certificate needs was in order on {end}\n", paint("32", "GREEN")),
        false => format!("\n{}: no certificate could be had on {end}\n", paint("31", "RED")),
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::acme::RehearsalStep;

    fn rehearsal(steps: &[(&str, bool)]) -> Rehearsal {
        let step = |(step, ok): &(&str, bool)| RehearsalStep {
            step: (*step).to_owned(),
            ok: *ok,
            detail: "detail".to_owned(),
            fix: (!ok).then(|| "mend it".to_owned()),
        };
        Rehearsal {
            site: "m5".to_owned(),
            identifiers: vec!["m5.test".to_owned()],
            directory: "https://ca.test/dir".to_owned(),
            begun: Timestamp::from_unix(1_795_311_180),
            steps: steps.iter().map(step).collect(),
        }
    }

    #[test]
    fn given_rehearsals_when_reported_then_green_only_when_all_was_done() {
        let table: [(&[(&str, bool)], &str); 3] = [
            (&[("directory", true), ("chain", true)], "GREEN"),
            (&[("directory", true), ("account", false)], "RED"),
            (&[("directory", true)], "RED"),
        ];
        for (steps, expected) in table {
            let report = report(&rehearsal(steps), false);
            assert!(report.contains(expected) && report.contains("2026-11-22T01:33:00Z"), "{report}");
            assert_eq!(report.contains("fix: mend it"), steps.iter().any(|(_, ok)| !ok));
            assert!(!report.contains('\x1b'));
        }
    }
}
