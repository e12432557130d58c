//! How the log is written: to standard error, as text or JSON.

use std::io::IsTerminal;

use tracing::error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::{LogFormat, LogSettings};

/// Starts logging; a second call changes nothing.
///
/// # Errors
///
/// [`LevelError`] when `log.level` is no filter.
pub fn start(settings: &LogSettings) -> Result<(), LevelError> {
    let filter = filter(&settings.level)?;
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // An error means that a log is running already, as in the tests.
    let _ = match settings.format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    // A panic ends one connection; it is to stand in the log like everything else.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        error!(place, "panic: {}", panic.payload_as_str().unwrap_or("no text"));
    }));
    Ok(())
}

/// A `log.level` that is no filter.
#[derive(Debug, thiserror::Error)]
#[error("`log.level` is no filter: `{level}`")]
pub struct LevelError {
    level: String,
    source: tracing_subscriber::filter::ParseError,
}

/// pingora repeats what we say ourselves, and puts bytes of requests into it: its lines stay out unless they are asked for.
fn filter(level: &str) -> Result<EnvFilter, LevelError> {
    EnvFilter::try_new(format!("{QUIET}{level}")).map_err(|source| LevelError { level: level.to_owned(), source })
}

const QUIET: &str = "pingora=off,pingora_core=off,pingora_proxy=off,pingora_pool=off,hyper=warn,h2=warn,rustls=warn,";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_level_when_filtered_then_pingora_is_silent_unless_named() {
        assert!(filter("debug").unwrap().to_string().contains("pingora_proxy=off"));
        let named = filter("debug,pingora_proxy=info").unwrap().to_string();
        assert!(named.contains("pingora_proxy=info") && !named.contains("pingora_proxy=off"), "{named}");
        assert!(named.contains("pingora_core=off") && named.contains("h2=warn"), "the others stay silent: {named}");
        assert!(filter("=,=").is_err());
    }
}
