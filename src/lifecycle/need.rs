//! Whether a certificate is wanted now, when it will be, and what stands against it.

use rand::Rng;

use super::record::Plan;
use super::{Lifecycle, Why};
use crate::time::Timestamp;

impl Lifecycle {
    /// Why a certificate is wanted now, the first reason that holds; `None` when all is well.
    pub(super) fn need(&self, now: Timestamp) -> Option<Why> {
        let Some(validity) = self.served.validity() else { return Some(Why::NothingServed) };
        if self.record.issued_for.as_deref() != Some(&self.asked.product) {
            return Some(Why::AskedForSomethingElse);
        }
        if now > validity.not_after {
            return Some(Why::Expired);
        }
        if self.record.requested_at.is_some() {
            return Some(Why::Requested);
        }
        if now >= validity.emergency() {
            return Some(Why::Emergency);
        }
        self.renewal_due().is_some_and(|at| now >= at).then_some(Why::RenewalDue)
    }

    /// What forbids an attempt that is wanted, and until when; `None` for until the settings change.
    pub(super) fn barrier(&self, now: Timestamp) -> Option<(Option<Timestamp>, Why)> {
        if let Some(hold) = self.record.hold.as_ref().filter(|hold| hold.is_in_force(now)) {
            return Some((hold.until(), hold.why()));
        }
        self.record.crowded_until(now).map(|until| (Some(until), Why::TooManyFailures))
    }

    pub(super) fn renewal(&self) -> Option<Timestamp> {
        let emergency = self.served.validity().map(|v| v.emergency());
        self.renewal_due().into_iter().chain(emergency).min()
    }

    /// What the CA's window gave, else the moment drawn by ourselves.
    pub(super) fn renewal_due(&self) -> Option<Timestamp> {
        let validity = self.served.validity()?;
        let selected = self.record.info_of(validity).and_then(|info| info.selected);
        selected.or_else(|| self.record.plan.as_ref().map(|plan| plan.at))
    }

    /// When somebody should look: a quarter of what is left behind the renewal's moment.
    pub(super) fn overdue(&self) -> Option<Timestamp> {
        let (due, validity) = (self.renewal()?, self.served.validity()?);
        Some(due + validity.not_after.since(due) / 4)
    }

    /// Draws the renewal of the served certificate, unless that was done before.
    pub(super) fn plan(&mut self, rng: &mut impl Rng) {
        let Some(validity) = self.served.validity() else {
            self.record.plan = None;
            return;
        };
        if self.record.plan.as_ref().is_none_or(|plan| plan.of != validity) {
            self.record.plan = Some(Plan { of: validity, at: validity.draw_renewal(rng) });
        }
    }
}
