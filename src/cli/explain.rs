//! `portvakt explain`.

use clap::Args;
use http::Method;

use super::failure::Failure;
use super::print_out;
use super::settings::Settings;
use crate::app::AppError;
use crate::config::Purpose;
use crate::explain::{Url, explain};

#[derive(Debug, Args)]
#[command(after_help = "Nothing is sent: the configuration is asked as a request would be.

Examples:
  portvakt explain https://app.example.com/api/orders
  portvakt explain --method POST --config portvakt.toml app.example.com/login")]
pub(super) struct Explain {
    /// The URL of a page, as a client asks for it.
    url: String,
    /// The method of the request.
    #[arg(long, short = 'X', default_value = "GET")]
    method: String,
    #[command(flatten)]
    settings: Settings,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Explain {
    pub(super) fn carry_out(self) -> Result<(), Failure> {
        let url = Url::parse(&self.url).map_err(|error| Failure::Usage(format!("`{}`: {error}", error.0)))?;
        let method: Method = self
            .method
            .parse()
            .map_err(|_| Failure::Usage(format!("`{}` is no method", self.method.escape_debug())))?;
        let (loaded, _) = self.settings.load(Purpose::CheckOffline)?;
        let told = explain(&loaded.config, &loaded.effective(), &url, &method).map_err(AppError::Tls)?;
        if self.json {
            let json = serde_json::to_string_pretty(&told).expect("an explanation has text keys only");
            print_out(&(json + "\n"));
        } else {
            print_out(&told.to_string());
        }
        Ok(())
    }
}
