//! The metrics in a file: written each minute, and at the end.

use std::path::PathBuf;
use std::time::Duration;

use tracing::{info, warn};

use super::status::Phase;
use super::{App, Inner};
use crate::metrics::write_textfile;

impl App {
    /// Writes the file that is configured, as long as one is, until the drain, whose end writes it once more. A file that
    /// is no longer named stays as it is.
    pub(super) async fn keep_textfile_current(self) {
        let mut phase = self.0.phase.subscribe();
        let mut failing = None;
        loop {
            self.0.write_textfile(&mut failing).await;
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = self.0.textfile_changed.notified() => {}
                _ = phase.wait_for(|phase| *phase == Phase::Draining) => return,
            }
        }
    }
}

impl Inner {
    /// Once. `failing` is the file that could not be written, which is told once.
    pub(super) async fn write_textfile(&self, failing: &mut Option<PathBuf>) {
        let Some(path) = self.config.load().textfile.clone() else { return };
        let metrics = self.metrics.clone();
        let file = path.clone();
        let write = move || write_textfile(&file, &metrics.render());
        // Lost only when the runtime is.
        let Ok(written) = tokio::task::spawn_blocking(write).await else { return };
        self.metrics.textfile_written(written.is_ok());
        match written {
            Ok(()) => {
                if failing.take().is_some() {
                    info!(path = %path.display(), "the metrics are written to their file again");
                }
            }
            Err(error) if failing.as_ref() != Some(&path) => {
                warn!(path = %path.display(), %error, "the metrics cannot be written to their file; tried again each minute");
                *failing = Some(path);
            }
            Err(_) => {}
        }
    }
}

/// As often as most scrape.
const EVERY: Duration = Duration::from_secs(60);
