//! `portvakt run`.

use clap::Args;
use tracing::warn;

use super::block_on;
use super::failure::{Failure, print_problems};
use super::settings::Settings;
use crate::app::{self, App, AppError, Inherited};
use crate::config::{Loaded, LogFormat, Purpose, Style};
use crate::platform::Signals;

#[derive(Debug, Args)]
#[command(after_help = "Signals: SIGHUP reloads the configuration, SIGTERM and Ctrl-C drain and stop,
SIGUSR2 lets the program's file, as it is then, take over without losing a request.

Examples:
  portvakt run --config /etc/portvakt/portvakt.toml
  portvakt run --domain app.example.com --upstream http://127.0.0.1:8080 --agree-tos")]
pub(super) struct Run {
    #[command(flatten)]
    settings: Settings,
}

impl Run {
    pub(super) fn carry_out(self) -> Result<(), Failure> {
        let mut inherited = Inherited::from_environment()?;
        let (mut loaded, file) = self.settings.load(Purpose::Run)?;
        if app::become_user(&loaded.config, &mut inherited)? {
            // What root may read, this user perhaps may not; better said now than at the next reload.
            loaded = self.settings.load(Purpose::Run)?.0;
        }
        app::settle_rights(&mut inherited)?;
        app::log::start(&loaded.config.log).map_err(AppError::from)?;
        app::confine(&loaded.config, &mut inherited)?;
        tell(&loaded);
        block_on(async move {
            let signals = Signals::new().map_err(AppError::Signals)?;
            let app = App::start(loaded.config, file, inherited).await?;
            app.run_until_stopped(signals).await;
            Ok(())
        })
    }
}

/// Warnings are for people, unless a program reads the log: then they stand in it.
fn tell(loaded: &Loaded) {
    match loaded.config.log.format {
        LogFormat::Text => print_problems(&loaded.warnings),
        LogFormat::Json if loaded.warnings.is_empty() => {}
        LogFormat::Json => warn!("{}", loaded.warnings.render(Style::Plain)),
    }
}
