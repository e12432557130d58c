//! What is told without being asked: messages, and the file for a textfile collector.

use prometheus::{Error, IntCounterVec, Registry};

use super::families::{counters, retain};
use super::handles::labels;

/// Families of both.
pub(super) struct ToldFamilies {
    notified: IntCounterVec,
    textfile: IntCounterVec,
}

impl ToldFamilies {
    #[rustfmt::skip]
    pub(super) fn register(registry: &Registry) -> Result<Self, Error> {
        let families = Self {
            notified: counters(registry, "portvakt_notify_total", "Messages to people: taken, not taken and to be tried again, or events that nobody will be told of.", &["channel", "result"])?,
            textfile: counters(registry, "portvakt_textfile_writes_total", "Times that the metrics were written to the file for a textfile collector, by result.", &["result"])?,
        };
        [true, false].into_iter().for_each(|is_good| _ = families.textfile.with_label_values(&[result(is_good)]));
        Ok(families)
    }

    /// Lets the counters of a notifier stand at zero.
    pub(super) fn begin(&self, channel: &str) {
        NotifyResult::ALL
            .into_iter()
            .for_each(|result| _ = self.notified.with_label_values(&[channel, result.as_str()]));
    }

    pub(super) fn notified(&self, channel: &str, result: NotifyResult) {
        self.notified.with_label_values(&[channel, result.as_str()]).inc();
    }

    pub(super) fn textfile(&self, is_good: bool) {
        self.textfile.with_label_values(&[result(is_good)]).inc();
    }

    pub(super) fn retain(&self, keep: &dyn Fn(&str) -> bool) {
        retain(&self.notified, "channel", keep);
    }
}

const fn result(is_good: bool) -> &'static str {
    if is_good { "ok" } else { "error" }
}

labels! {
    /// What became of a message.
    NotifyResult {
        /// It was taken.
        Ok = "ok",
        /// It was not; it is tried again.
        Error = "error",
        /// An event came in such numbers that it was not even kept, or another process notifies.
        Lost = "lost",
    }
}
