//! The metrics in a file: written each minute, and at the end.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tracing::{info, warn};

use super::status::Phase;
use super::{App, Inner};
use crate::metrics::write_textfile;

/// How the file stands.
#[derive(Default)]
pub(super) struct Textfile {
    /// It may be another one, or none.
    pub(super) changed: Notify,
    /// The file that could not be written last, which was told.
    failing: Mutex<Option<PathBuf>>,
}

impl Textfile {
    /// Keeps which file fails now, and gives which did before.
    fn fails(&self, now: Option<PathBuf>) -> Option<PathBuf> {
        std::mem::replace(&mut *self.failing.lock().unwrap_or_else(PoisonError::into_inner), now)
    }
}

impl App {
    /// Writes the file that is configured, as long as one is, until the drain, whose end writes it once more. A file that
    /// is no longer named stays as it is.
    pub(super) async fn keep_textfile_current(self) {
        let mut phase = self.0.phase.subscribe();
        loop {
            self.0.write_textfile().await;
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = self.0.textfile.changed.notified() => {}
                _ = phase.wait_for(|phase| *phase == Phase::Draining) => return,
            }
        }
    }
}

impl Inner {
    /// Once; that it fails is told once too.
    pub(super) async fn write_textfile(&self) {
        let Some(path) = self.config.load().textfile.clone() else { return };
        let metrics = self.metrics.clone();
        let file = path.clone();
        let write = move || write_textfile(&file, &metrics.render());
        // Lost only when the runtime is.
        let Ok(written) = tokio::task::spawn_blocking(write).await else { return };
        self.metrics.textfile_written(written.is_ok());
        let failed_before = self.textfile.fails(written.is_err().then(|| path.clone()));
        match written {
            Ok(()) if failed_before.is_some() => {
                info!(path = %path.display(), "the metrics are written to their file again");
            }
            Err(error) if failed_before.as_ref() != Some(&path) => {
                let path = path.display();
                warn!(%path, %error, "the metrics cannot be written to their file; tried again each minute");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

/// As often as most scrape.
const EVERY: Duration = Duration::from_secs(60);
