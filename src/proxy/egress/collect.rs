//! BankID's collect: paced, answered to the end, and kept until the application has it.

use std::sync::Arc;

use http::StatusCode;
use pingora::protocols::http::ServerSession;
use pingora::{Error, ErrorType, Result};
use tokio::time::Instant;
use tracing::{info, warn};

use super::book::{Book, HeldTurn};
use super::conversation::{Conversation, Inquiry, has_left};
use super::exchange::Outgoing;
use super::local::{fail, refuse};
use super::reading::Reading;
use super::rules::BankId;
use crate::egress::bankid::orders::{Answer as Kept, Delivery, Ended, Step};
use crate::egress::bankid::{Asked, Findings, OrderKey, Refusal, Status};
use crate::proxy::connection::Arrival;

impl Conversation {
    /// Carries out a collect when its time has come.
    pub(super) async fn collect(
        &self,
        inquiry: &mut Inquiry,
        session: &mut ServerSession,
        bankid: &BankId,
        outgoing: Outgoing,
        order: OrderKey,
    ) -> Result<StatusCode> {
        let egress = inquiry.egress.clone();
        let asking = bankid.book.asks(order);
        loop {
            // Before the question, so that no end in between is missed.
            let change = bankid.book.change();
            match bankid.book.collect(&asking, bankid.rules.pace) {
                Step::Send(turn) => {
                    inquiry.started = Instant::now();
                    let turn = bankid.book.hold(turn);
                    return self.collect_now(inquiry, session, bankid, outgoing, order, turn).await;
                }
                Step::Kept(turn, answer) => {
                    inquiry.started = Instant::now();
                    let turn = bankid.book.hold(turn);
                    info!(egress = egress.settings.name, ?order, "an answer that was not delivered is given again");
                    return self.give_again(inquiry, session, bankid, order, turn, &answer).await;
                }
                Step::Hold { until } => unless_left(session, bankid.book.sleep_until(until)).await?,
                Step::Wait { until } => {
                    unless_left(session, bankid.book.at_latest(until, change)).await?;
                }
                Step::TooSoon { wait } => return refuse(&egress, session, &Refusal::TooSoon { wait }).await,
                Step::AlreadyFinal => return refuse(&egress, session, &Refusal::AlreadyFinal).await,
            }
        }
    }

    async fn collect_now(
        &self,
        inquiry: &Inquiry,
        session: &mut ServerSession,
        bankid: &BankId,
        outgoing: Outgoing,
        order: OrderKey,
        turn: HeldTurn,
    ) -> Result<StatusCode> {
        let egress = &inquiry.egress;
        let answer = match inquiry.send(outgoing).await {
            Ok(answer) => answer,
            Err(error) => return fail(egress, session, &error).await,
        };
        turn.answered();
        let mut reading = Reading::of(answer);
        match reading.gather(Kept::LONGEST).await {
            Ok(true) => {}
            // Nothing that BankID sends; too long to be kept.
            Ok(false) => return self.pass_on(inquiry, session, reading, Asked::Collect(order)).await,
            Err(error) => return fail(egress, session, &error).await,
        }
        let status = reading.status();
        let (kept, found) = reading.finish();
        bankid.note(egress, Asked::Collect(order), status, found);
        let may_be_final = status.is_success() && !(found.whole && found.status == Some(Status::Pending));
        let left = may_be_final && has_left(session).await;
        let written = self.write(session, &kept, bankid.rules.user_message).await;
        if !may_be_final {
            turn.ended(Ended::Answered { status, found, delivery: Delivery::Whole });
            return written.map(|()| status);
        }
        if let Err(error) = written.and_then(|()| if left { gone() } else { Ok(()) }) {
            warn!(egress = egress.settings.name, ?order, "the application did not take a final answer; it is kept");
            turn.ended(Ended::Answered { status, found, delivery: Delivery::Broken(kept) });
            return Err(error);
        }
        self.await_receipt(inquiry, bankid, order, turn, Some((status, found, kept)));
        Ok(status)
    }

    /// Gives an answer that was kept.
    async fn give_again(
        &self,
        inquiry: &Inquiry,
        session: &mut ServerSession,
        bankid: &BankId,
        order: OrderKey,
        turn: HeldTurn,
        kept: &Arc<Kept>,
    ) -> Result<StatusCode> {
        let left = has_left(session).await;
        let written = self
            .write(session, kept, bankid.rules.user_message)
            .await
            .and_then(|()| if left { gone() } else { Ok(()) });
        if let Err(error) = written {
            turn.ended(Ended::Given { delivered: false });
            return Err(error);
        }
        self.await_receipt(inquiry, bankid, order, turn, None);
        Ok(kept.status())
    }

    fn await_receipt(
        &self,
        inquiry: &Inquiry,
        bankid: &BankId,
        order: OrderKey,
        turn: HeldTurn,
        first: Option<(StatusCode, Findings, Kept)>,
    ) {
        let (name, book) = (inquiry.egress.settings.name.clone(), bankid.book.clone());
        let mut pending = Pending { name, book, order, turn: Some(turn), first, is_settled: false };
        self.connection.await_receipt(Box::new(move |arrival| pending.hear(arrival)));
    }
}

/// An answer that was written, and whose arrival is not known yet.
struct Pending {
    name: String,
    book: Arc<Book>,
    order: OrderKey,
    /// Until something is heard.
    turn: Option<HeldTurn>,
    /// The answer, where it was given for the first time.
    first: Option<(StatusCode, Findings, Kept)>,
    is_settled: bool,
}

impl Pending {
    fn hear(&mut self, arrival: Arrival) {
        if arrival == Arrival::Failed {
            warn!(egress = self.name, order = ?self.order, "the application did not take a final answer; it is kept");
        }
        self.is_settled = arrival != Arrival::Presumed;
        match self.turn.take() {
            Some(turn) => turn.ended(self.ending(arrival)),
            None if self.is_settled => self.book.settled(self.order, arrival == Arrival::Known),
            None => {}
        }
    }

    fn ending(&mut self, arrival: Arrival) -> Ended {
        let Some((status, found, kept)) = self.first.take() else {
            return match arrival {
                Arrival::Presumed => Ended::Presumed,
                Arrival::Known => Ended::Given { delivered: true },
                Arrival::Failed => Ended::Given { delivered: false },
            };
        };
        let delivery = match arrival {
            Arrival::Presumed => Delivery::Presumed(kept),
            Arrival::Known => Delivery::Whole,
            Arrival::Failed => Delivery::Broken(kept),
        };
        Ended::Answered { status, found, delivery }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.is_settled {
            self.hear(Arrival::Failed);
        }
    }
}

/// Waits, unless the application leaves: then nothing was sent, and nothing has to be.
async fn unless_left(session: &mut ServerSession, wait: impl Future<Output = ()>) -> Result<()> {
    tokio::select! {
        () = wait => Ok(()),
        left = session.read_body_or_idle(true) => left.map(drop).and_then(|()| gone()),
    }
}

fn gone<T>() -> Result<T> {
    Error::e_explain(ErrorType::ConnectionClosed, "the application has left")
}
