//! `portvakt notify ...`: messages to people.

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::settings::ConfigFile;
use super::{block_on_alone, print_out};
use crate::app::{self, Tried};
use crate::causes::with_causes;
use crate::config::{self, Config, Purpose};

#[derive(Debug, Subcommand)]
pub(super) enum Notify {
    /// Send a test message by each notifier, and say what came of it.
    Test(Test),
}

#[derive(Debug, Args)]
#[command(after_help = "Nothing needs to run for it. Exit code 1: a notifier did not take the message.

Examples:
  portvakt notify test
  portvakt notify test ops --config portvakt.toml")]
pub(super) struct Test {
    /// The notifier, by its name; by default all.
    name: Option<String>,
    #[command(flatten)]
    config: ConfigFile,
}

impl Notify {
    pub(super) fn carry_out(self) -> Result<(), Failure> {
        match self {
            Self::Test(test) => test.carry_out(),
        }
    }
}

impl Test {
    fn carry_out(&self) -> Result<(), Failure> {
        let config = config::load(self.config.path(), Purpose::Check)?.config;
        self.require_notifier(&config)?;
        app::become_notifier(&config)?;
        let all = block_on_alone(async { Ok(app::test_notifiers(&config, self.name.as_deref()).await) })?;
        all.iter().for_each(|tried| print_out(&told(tried)));
        if all.iter().all(|tried| tried.outcome.is_ok()) { Ok(()) } else { Err(Failure::Told) }
    }

    fn require_notifier(&self, config: &Config) -> Result<(), Failure> {
        let known: Vec<_> = config.notify.iter().map(|settings| format!("`{}`", settings.name)).collect();
        match &self.name {
            _ if known.is_empty() => Err(Failure::Plain {
                what: "there is nobody to notify".to_owned(),
                why: format!("`{}` has no `[[notify]]`", self.config.path().display()),
                fix: "add one, such as `[[notify]]` with `webhook = \"https://..\"`".to_owned(),
            }),
            Some(name) if !config.notify.iter().any(|settings| settings.name == *name) => Err(Failure::Plain {
                what: format!("no notifier is called `{name}`"),
                why: format!("known are {}", known.join(", ")),
                fix: "give one of these names, or none for all of them".to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

fn told(tried: &Tried) -> String {
    let head = format!("{} ({})", tried.name, tried.way);
    match &tried.outcome {
        Ok(()) => format!("ok    {head}\n"),
        Err(error) => format!("FAIL  {head}: {}\n      fix: {}\n", with_causes(error), error.fix()),
    }
}
