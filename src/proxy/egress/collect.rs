//! BankID's collect: paced, answered to the end, and kept until the application has it.

use std::sync::Arc;

use http::StatusCode;
use pingora::protocols::http::ServerSession;
use pingora::{Error, ErrorType, Result};
use tokio::time::Instant;
use tracing::{info, warn};

use super::book::HeldTurn;
use super::conversation::{Conversation, Inquiry, has_left};
use super::exchange::Outgoing;
use super::local::{fail, refuse};
use super::reading::Reading;
use super::rules::BankId;
use crate::egress::bankid::orders::{Answer as Kept, Delivery, Ended, Step};
use crate::egress::bankid::{Asked, Findings, OrderKey, Refusal, Status};

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
                    return self.give_again(session, bankid, turn, &answer).await;
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
        let name = egress.settings.name.clone();
        let pending = Pending { turn: Some(turn), status, found, kept: Some(kept) };
        self.connection.await_receipt(Box::new(move |has_arrived| {
            if !has_arrived {
                warn!(egress = name, ?order, "the application did not take a final answer; it is kept");
            }
            pending.settle(has_arrived);
        }));
        Ok(status)
    }

    /// Gives an answer that was kept.
    async fn give_again(
        &self,
        session: &mut ServerSession,
        bankid: &BankId,
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
        self.connection.await_receipt(Box::new(move |delivered| turn.ended(Ended::Given { delivered })));
        Ok(kept.status())
    }
}

/// An answer that was written, and whose arrival is not known yet.
struct Pending {
    turn: Option<HeldTurn>,
    status: StatusCode,
    found: Findings,
    kept: Option<Kept>,
}

impl Pending {
    fn settle(mut self, has_arrived: bool) {
        self.end(has_arrived);
    }

    fn end(&mut self, has_arrived: bool) {
        let (Some(turn), Some(kept)) = (self.turn.take(), self.kept.take()) else { return };
        let delivery = if has_arrived { Delivery::Whole } else { Delivery::Broken(kept) };
        turn.ended(Ended::Answered { status: self.status, found: self.found, delivery });
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.end(false);
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
