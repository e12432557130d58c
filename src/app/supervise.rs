//! What the service manager hears of us: ready, reloading, stopping, alive, and how it stands in a line.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::{App, Inner};
use crate::lifecycle::State;
use crate::platform::Notice;

impl App {
    /// Tells the service manager each change of how it stands, and that the runtime is not stuck. Never returns.
    pub(super) async fn keep_supervisor_informed(self) {
        let alive = self.0.supervisor.watchdog().map(|limit| limit / 2);
        if let Some(every) = alive {
            tokio::spawn(self.clone().prove_life(every));
        }
        let mut told = self.0.status_line();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = self.0.status_line();
            if now != told && self.0.is_ready() {
                self.0.tell(&[Notice::Status(&now)]);
                told = now;
            }
        }
    }

    /// # Why
    ///
    /// A thread that only counts time would go on while every worker is stuck. Here the timer has to fire, a worker has to
    /// take up the task and another task has to be run to its end, as for a connection.
    async fn prove_life(self, every: Duration) {
        let mut ticks = tokio::time::interval(every);
        loop {
            ticks.tick().await;
            if tokio::spawn(std::future::ready(())).await.is_ok() {
                self.0.tell(&[Notice::Alive]);
            }
        }
    }

    /// Says each second what is still open, and asks for the time that is left. Never returns.
    pub(super) async fn tell_of_drain(&self, limit: Duration) {
        let end = Instant::now() + limit;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let status = drain_line(self.0.server.open(), left);
            self.0.tell(&[Notice::Status(&status), Notice::MoreTime(left + SPARE)]);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl Inner {
    /// Tells the service manager; one that does not hear ends nothing.
    pub(super) fn tell(&self, notices: &[Notice<'_>]) {
        // Then the other one speaks for itself.
        if self.is_handed_over.load(Ordering::Acquire) {
            return;
        }
        if let Err(error) = self.supervisor.tell(notices) {
            warn!(%error, ?notices, "cannot tell the service manager (NOTIFY_SOCKET)");
        }
    }

    /// How it stands, for people.
    pub(super) fn status_line(&self) -> String {
        let states: Vec<_> = self.manager.statuses().into_iter().map(|c| (c.name, c.life.state)).collect();
        let mut line = serving_line(&states);
        if !self.last_reload().ok {
            line.push_str("; the last reload failed, the configuration before it serves on");
        }
        line
    }
}

/// How many certificates are good, and the first that is not.
fn serving_line(certificates: &[(String, State)]) -> String {
    let is_good = |state: State| matches!(state, State::Issued | State::Static);
    let good = certificates.iter().filter(|(_, state)| is_good(*state)).count();
    let line = format!("serving; {good} of {} certificates valid", certificates.len());
    match certificates.iter().find(|(_, state)| !is_good(*state)) {
        Some((name, state)) => format!("{line} ({name}: {})", state.as_str()),
        None => line,
    }
}

fn drain_line(open: usize, left: Duration) -> String {
    format!("draining; {open} connections and requests open, ends within {} s", left.as_secs())
}

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// For what comes after the drain.
const SPARE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_certificates_when_told_then_the_first_that_is_not_good_is_named() {
        let of = |states: &[State]| {
            let names = states.iter().enumerate().map(|(index, state)| (format!("s{index}"), *state));
            serving_line(&names.collect::<Vec<_>>())
        };
        assert_eq!(of(&[State::Issued, State::Static]), "serving; 2 of 2 certificates valid");
        assert_eq!(
            of(&[State::Issued, State::Placeholder, State::Expired]),
            "serving; 1 of 3 certificates valid (s1: placeholder)"
        );
    }

    #[test]
    fn given_a_drain_when_told_then_what_is_open_and_how_long() {
        assert_eq!(
            drain_line(3, Duration::from_millis(9_900)),
            "draining; 3 connections and requests open, ends within 9 s"
        );
    }
}
