//! `portvakt run`.

use clap::Args;

use super::failure::{Failure, print_problems};
use super::{ConfigFile, block_on};
use crate::app::{self, App, AppError, Inherited};
use crate::config::{self, CommandLine, Purpose};
use crate::platform::Signals;

#[derive(Debug, Args)]
#[command(after_help = "Signals: SIGHUP reloads the configuration, SIGTERM and Ctrl-C drain and stop,
SIGUSR2 lets the program's file, as it is then, take over without losing a request.

Examples:
  portvakt run --config /etc/portvakt/portvakt.toml
  portvakt run --domain app.example.com --upstream http://127.0.0.1:8080 --agree-tos")]
pub(super) struct Run {
    #[command(flatten)]
    config: ConfigFile,
    /// Serve this domain without a configuration file.
    #[arg(long, value_name = "DOMAIN", requires = "upstream", conflicts_with = "config")]
    domain: Option<String>,
    /// The server to put TLS in front of, as in http://127.0.0.1:8080.
    #[arg(long, value_name = "URL", requires = "domain")]
    upstream: Option<String>,
    /// Agree to the CA's terms of service.
    #[arg(long, requires = "domain")]
    agree_tos: bool,
}

impl Run {
    pub(super) fn carry_out(self) -> Result<(), Failure> {
        let inherited = Inherited::from_environment()?;
        let (loaded, file) = match (&self.domain, &self.upstream) {
            (Some(domain), Some(upstream)) => {
                let line = CommandLine {
                    domains: vec![domain.clone()],
                    upstream: upstream.clone(),
                    agree_tos: self.agree_tos,
                    ..CommandLine::default()
                };
                (config::from_args(&line, Purpose::Run)?, None)
            }
            _ => (config::load(self.config.path(), Purpose::Run)?, Some(self.config.path().to_owned())),
        };
        print_problems(&loaded.warnings);
        app::log::start(&loaded.config.log).map_err(AppError::from)?;
        block_on(async move {
            let signals = Signals::new().map_err(AppError::Signals)?;
            let app = App::start(loaded.config, file, inherited).await?;
            app.run_until_stopped(signals).await;
            Ok(())
        })
    }
}
