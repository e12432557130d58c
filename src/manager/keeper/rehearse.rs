//! A row of failures that only the operator can mend is answered with one rehearsal at the CA's twin for tries.
//!
//! # Why
//!
//! The CA counts failures, its twin hardly does: whether the operator has mended it is tried where it costs nothing. What
//! comes of it is told and moves nothing: the twin has other limits and other memories.

use std::time::Duration;

use tracing::debug;

use super::super::parts::Parts;
use super::super::{Gate, asked};
use super::Keeper;
use crate::causes::with_causes;
use crate::lifecycle::{Event, Step};
use crate::source::acme::Rehearsal;
use crate::source::{AcmeSettings, Order, Settings, Unbroken};

impl<P: Parts> Keeper<P> {
    /// Rehearses when it is time, and tells what came of it.
    pub(super) async fn rehearse_when_due(&mut self, gate: &Gate) {
        if !self.parts.rehearses() || !self.life.is_rehearsal_due() {
            return;
        }
        let Settings::Acme(cas) = &self.settings.source else { return };
        let Some(twin) = cas.for_rehearsal() else { return };
        let _turn = gate.turn().await;
        if !self.begin_rehearsal(&twin).await {
            return;
        }
        let order = Order {
            certificate: self.settings.name.clone(),
            identifiers: self.settings.identifiers.clone(),
            failures: 0,
            is_in_window: false,
            unbroken: Unbroken::default(),
        };
        debug!(certificate = self.settings.name, ca = asked::host(&twin.directory), "rehearsing");
        let rehearsed = tokio::time::timeout(LONGEST, self.parts.rehearse(&twin, &order)).await;
        let late = || Err(format!("it did not end within {} s", LONGEST.as_secs()));
        self.end_rehearsal(&twin, rehearsed.unwrap_or_else(|_elapsed| late())).await;
    }

    /// Notes it first: when that cannot be kept, or another process is at work, there is none now.
    async fn begin_rehearsal(&mut self, twin: &AcmeSettings) -> bool {
        let Ok(Some(_guard)) = self.lock().await else { return false };
        self.look().await;
        if !self.life.is_rehearsal_due() {
            return false;
        }
        self.life.rehearsing(&twin.directory, self.now());
        let kept = self.save_record().await;
        self.show();
        kept.is_ok()
    }

    async fn end_rehearsal(&mut self, twin: &AcmeSettings, outcome: Result<(), String>) {
        let guard = self.lock().await.ok().flatten();
        if guard.is_some() {
            self.look().await;
        }
        self.life.rehearsed(outcome.clone());
        if guard.is_some()
            && let Err(error) = self.save_record().await
        {
            let error = with_causes(&error);
            debug!(certificate = self.settings.name, error, "cannot keep what came of the rehearsal");
        }
        self.show();
        let next = match self.life.poll(self.now()) {
            Step::Wait { until, .. } => until,
            Step::Obtain { .. } | Step::AskRenewalInfo => Some(self.now()),
        };
        self.tell(&Event::Rehearsed { directory: twin.directory.clone(), outcome, next });
    }
}

/// The step that failed, and what can be done about it.
pub(in crate::manager) fn outcome(rehearsal: Rehearsal) -> Result<(), String> {
    if rehearsal.is_good() {
        return Ok(());
    }
    Err(match rehearsal.steps.into_iter().find(|step| !step.ok) {
        Some(step) => {
            let fix = step.fix.map(|fix| format!("; {fix}")).unwrap_or_default();
            format!("{}: {}{fix}", step.step, step.detail)
        }
        None => "it broke off".to_owned(),
    })
}

/// Nobody is heeded meanwhile.
const LONGEST: Duration = Duration::from_secs(300);
