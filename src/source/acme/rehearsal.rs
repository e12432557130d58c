//! The whole way to a certificate, step by step, with the certificate thrown away.

use std::collections::BTreeMap;

use instant_acme::{ChallengeStatus, OrderStatus};
use serde::{Deserialize, Serialize};

use super::AcmeSource;
use super::account::Opened;
use super::directory::Directory;
use super::error::{AcmeError, Step};
use super::order::{Pauses, Wanted, Work};
use crate::causes::with_causes;
use crate::pki::Identity;
use crate::source::Order;
use crate::time::Timestamp;

/// How a rehearsal went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rehearsal {
    /// What the certificate was for, as the site is called.
    pub site: String,
    /// What it was issued to, or would have been.
    pub identifiers: Vec<String>,
    /// The CA that was asked.
    pub directory: String,
    /// When it began.
    pub begun: Timestamp,
    /// What was done, in its order; the last one is the one that failed, if one has.
    pub steps: Vec<RehearsalStep>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RehearsalStep {
    /// `directory`, `account`, `order`, `challenge` (one for each name), `finalize` or `chain`.
    pub step: String,
    /// It worked.
    pub ok: bool,
    /// What was seen, or what went wrong, with the CA's own words.
    pub detail: String,
    /// What the operator can do about it.
    pub fix: Option<String>,
}

impl Rehearsal {
    /// Whether every step worked, to the last.
    pub fn is_good(&self) -> bool {
        self.steps.iter().all(|step| step.ok) && self.steps.last().is_some_and(|last| last.step == LAST)
    }
}

impl AcmeSource {
    /// Does all that [`AcmeSource::obtain`] does, and tells of each step. To be called with a store of its own: the account is
    /// kept there, and neither order nor certificate.
    pub async fn rehearse(&self, order: &Order) -> Rehearsal {
        let mut told = Told(Vec::new());
        let (begun, deadline) = (self.clock.now(), self.deadline());
        if tokio::time::timeout(deadline, self.rehearse_steps(order, &mut told)).await.is_err() {
            let error = AcmeError::Timeout { step: Step::Finalize, after: deadline };
            told.note::<()>("deadline", Err(error), |()| String::new());
        }
        self.clean_dns(order).await;
        if let Err(error) = self.clear(order).await {
            told.note::<()>("clean up", Err(error.into()), |()| String::new());
        }
        Rehearsal {
            site: order.certificate.clone(),
            identifiers: order.identifiers.clone(),
            directory: self.settings.directory.clone(),
            begun,
            steps: told.0,
        }
    }

    /// `None` as soon as a step has failed, which has been noted then.
    async fn rehearse_steps(&self, order: &Order, told: &mut Told) -> Option<()> {
        let directory = self.client.directory().await.map_err(|error| self.error(Step::Connect, error.into()));
        let directory = told.note("directory", directory, |directory| offered(directory))?;
        let opened = told.note("account", self.accounts().open().await, |opened| opened.account.id().to_owned())?;
        let mut work = told.note("order", self.rehearsed_order(&opened, &directory, order).await, |work| {
            format!("{} for {}", work.at_ca.url(), order.identifiers.join(", "))
        })?;
        if work.at_ca.state().status == OrderStatus::Pending {
            self.rehearse_challenges(&mut work, order, told).await?;
        }
        told.note("finalize", self.rehearsed_finalize(&mut work, order).await, |()| "the CA has issued".to_owned())?;
        told.note(LAST, self.download(&mut work, &opened, order).await, facts).map(drop)
    }

    async fn rehearsed_order(&self, opened: &Opened, directory: &Directory, order: &Order) -> Result<Work, AcmeError> {
        let wanted = Wanted::new(&self.settings, directory, order, None)?;
        self.place(&opened.account, &wanted).await
    }

    /// A step for each name: how it was proven, or why not.
    async fn rehearse_challenges(&self, work: &mut Work, order: &Order, told: &mut Told) -> Option<()> {
        told.must(CHALLENGE, self.authorize(&mut work.at_ca, order).await)?;
        for ended in self.ended(&mut work.at_ca).await {
            let detail = format!("{} for {}: the CA has seen it", ended.kind.as_str(), ended.name);
            let outcome = match ended.status {
                ChallengeStatus::Valid => Ok(()),
                _ => self.unproven(ended, &BTreeMap::new()).map_or(Ok(()), Err),
            };
            told.note(CHALLENGE, outcome, |()| detail);
        }
        if work.at_ca.state().status != OrderStatus::Invalid {
            return Some(());
        }
        let why = self.why_invalid(work, order).await;
        if told.0.iter().all(|step| step.ok) {
            told.must(CHALLENGE, Err(why));
        }
        None
    }

    async fn rehearsed_finalize(&self, work: &mut Work, order: &Order) -> Result<(), AcmeError> {
        let (mut pauses, mut finalized) = (Pauses::default(), false);
        loop {
            match work.at_ca.state().status {
                OrderStatus::Ready if !finalized => {
                    self.finalize(work, order).await?;
                    finalized = true;
                }
                OrderStatus::Pending | OrderStatus::Ready | OrderStatus::Processing => {
                    self.pause(&mut pauses).await;
                    self.refresh(&mut work.at_ca, Step::Finalize).await?;
                }
                OrderStatus::Valid => return Ok(()),
                OrderStatus::Invalid => return Err(self.why_invalid(work, order).await),
            }
        }
    }
}

fn offered(directory: &Directory) -> String {
    let mut words = vec![match directory.renewal_info {
        Some(_) => "says when to renew (RFC 9773)".to_owned(),
        None => "does not say when to renew".to_owned(),
    }];
    match directory.profiles()[..] {
        [] => {}
        ref profiles => words.push(format!("profiles {}", profiles.join(", "))),
    }
    if let Some(terms) = &directory.meta.terms_of_service {
        words.push(format!("terms at {terms}"));
    }
    words.join("; ")
}

fn facts(identity: &Identity) -> String {
    let (chain, leaf) = (identity.chain(), identity.chain().leaf());
    let issuers = chain.issuers().join(" < ");
    let names = leaf.names.join(", ");
    format!("{} certificate for {names} until {}, issued by {issuers}; thrown away", leaf.key_type, leaf.not_after)
}

struct Told(Vec<RehearsalStep>);

impl Told {
    /// Notes how a step went.
    fn note<T>(&mut self, step: &str, outcome: Result<T, AcmeError>, detail: impl FnOnce(&T) -> String) -> Option<T> {
        let (ok, detail, fix, value) = match outcome {
            Ok(value) => (true, detail(&value), None, Some(value)),
            Err(error) => (false, with_causes(&error), error.fix().map(std::borrow::Cow::into_owned), None),
        };
        self.0.push(RehearsalStep { step: step.to_owned(), ok, detail, fix });
        value
    }

    /// Notes a step only when it has failed.
    fn must(&mut self, step: &str, outcome: Result<(), AcmeError>) -> Option<()> {
        match outcome {
            Ok(()) => Some(()),
            failed @ Err(_) => self.note(step, failed, |()| String::new()),
        }
    }
}

const CHALLENGE: &str = "challenge";
/// The step after which nothing is left to be tried.
const LAST: &str = "chain";
