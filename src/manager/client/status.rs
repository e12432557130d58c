//! How a client identity stands, for people.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::words::Words;
use crate::lifecycle::outlook::{Level, Outlook, Todo};
use crate::lifecycle::rotation::{Slot, Why};
use crate::pki::Identity;
use crate::source::{ClientIdentitySettings, Trial};
use crate::time::Timestamp;
use crate::upstream::{ClientIdentity, View};

/// How one client identity is.
#[derive(Clone, Debug)]
pub struct ClientStatus {
    /// The name of its egress or upstream.
    pub name: String,
    /// `None` for what is not configured.
    pub slots: Vec<SlotStatus>,
    /// Where what is in use lies; `None` for one whose files hold another by now.
    pub in_use: Option<Slot>,
    /// What is in use; `None` when there is nothing to show.
    pub identity: Option<Arc<Identity>>,
    /// Why it is that one.
    pub why: Option<Why>,
    /// All that is known.
    pub view: View,
    /// The last trial.
    pub last_trial: Option<LastTrial>,
    /// How long what there is lasts; of several, the one that ends last.
    pub outlook: Option<Outlook>,
    /// What happens next, or what somebody has to do.
    pub next: NextAction,
    /// It is for BankID, and comes from a bank.
    pub is_bankid: bool,
}

/// What happens next to a client identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextAction {
    /// What.
    pub todo: Todo,
    /// In words.
    pub action: String,
    /// When; `None` for now.
    pub at: Option<Timestamp>,
}

/// One of the identities of a name.
#[derive(Clone, Debug)]
pub struct SlotStatus {
    /// Which.
    pub slot: Slot,
    /// Its file, for people.
    pub file: String,
    /// What the files hold; `None` for nothing that can be used.
    pub identity: Option<Arc<Identity>>,
    /// Why the files cannot be used.
    pub trouble: Option<(Timestamp, String)>,
}

/// What came of a trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastTrial {
    /// When it ended.
    pub at: Timestamp,
    /// Subject of what was tried.
    pub common_name: String,
    /// Whether it was accepted; `None` when nobody was reached.
    pub is_accepted: Option<bool>,
    /// In words.
    pub detail: String,
}
/// What is told of an identity comes from here.
#[derive(Clone)]
pub(super) struct Shown {
    pub(super) settings: ClientIdentitySettings,
    pub(super) identity: Arc<ClientIdentity>,
    pub(super) slot: Arc<ArcSwap<Seeing>>,
}

/// What a task knows beside what the identity knows itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Seeing {
    first: Option<(Timestamp, String)>,
    next: Option<(Timestamp, String)>,
    pub(super) last_trial: Option<LastTrial>,
}

impl Seeing {
    pub(super) fn trouble(&mut self, slot: Slot) -> &mut Option<(Timestamp, String)> {
        match slot {
            Slot::First => &mut self.first,
            Slot::Next => &mut self.next,
        }
    }
}

impl Shown {
    pub(super) fn status(&self, now: Timestamp) -> ClientStatus {
        let (view, mut seen) = (self.identity.view(), Seeing::clone(&self.slot.load()));
        let mut slot = |slot: Slot, file: String| SlotStatus {
            slot,
            file,
            identity: view.rotation.of(slot).and_then(|it| view.identity(it.fingerprint)).cloned(),
            trouble: seen.trouble(slot).take(),
        };
        let mut slots = vec![slot(Slot::First, self.settings.files.main().display().to_string())];
        let next = self.settings.next.as_ref();
        slots.extend(next.map(|next| slot(Slot::Next, next.files.main().display().to_string())));
        let outlook = view.rotation.covered_until().map(|until| Outlook::of(until, now));
        ClientStatus {
            name: self.settings.name.clone(),
            slots,
            in_use: view.rotation.slot_in_use(),
            identity: self.identity.in_use(),
            why: view.rotation.why(now),
            last_trial: seen.last_trial,
            next: next_action(&view, outlook, &Words::of(&self.settings), now),
            is_bankid: matches!(self.settings.trial, Trial::BankId { .. }),
            outlook,
            view,
        }
    }
}

fn next_action(view: &View, outlook: Option<Outlook>, words: &Words, now: Timestamp) -> NextAction {
    let Some(outlook) = outlook else {
        let (todo, action) = match view.rotation.in_use() {
            Some(_) => (Todo::Replace, format!("the server refuses it: {}", words.order)),
            None => (Todo::PutIn, "put an identity into the files".to_owned()),
        };
        return NextAction { todo, action, at: None };
    };
    let takes_over = view.rotation.takes_over_at().filter(|at| *at > now);
    match (takes_over, outlook.level) {
        (Some(at), Level::Fine | Level::Order) => {
            NextAction { todo: Todo::TakeOver, action: "`next` takes over".to_owned(), at: Some(at) }
        }
        (_, Level::Fine) => {
            NextAction { todo: Todo::OrderBy, action: words.order.to_owned(), at: Some(outlook.order_by()) }
        }
        (_, Level::Order | Level::Urgent | Level::Expired) => {
            let action = format!("{}: the last one {}", words.order, outlook.in_words());
            NextAction { todo: Todo::OrderNow, action, at: None }
        }
    }
}
