//! BankID's rules at work.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;

use super::Egress;
use super::book::Book;
use crate::egress::bankid::Message;
use crate::egress::bankid::orders::Answer as Kept;
use crate::egress::bankid::{Asked, Findings, Settings, UserMessage, Watch};

/// What a destination's relying party keeps to, and its orders.
pub(super) struct BankId {
    pub(super) rules: Settings,
    pub(super) book: Arc<Book>,
}

impl BankId {
    /// Whether answers tell which message the user should see.
    pub(super) fn tells_messages(&self) -> bool {
        self.rules.user_message != UserMessage::Off
    }

    /// Counts what an answer tells, and remembers what it means for its order.
    pub(super) fn note(&self, egress: &Egress, asked: Asked, status: StatusCode, found: Findings) {
        if let Some(error) = found.error {
            egress.metrics.failed(error.label());
        }
        match asked {
            Asked::Order if status.is_success() => {
                if let Some(order) = found.order {
                    self.book.created(order);
                }
            }
            Asked::Cancel(order) if status.is_success() => self.book.cancelled(order),
            Asked::Collect(_) if status.is_success() => {
                egress.metrics.collected(found.status_label(), found.hint_label());
            }
            Asked::Order | Asked::Cancel(_) | Asked::Collect(_) | Asked::Other => {}
        }
    }
}

/// An answer's body, and what a field of its header says, with the message for the user where that is `wanted`.
pub(super) fn with_message(answer: &Kept, wanted: UserMessage) -> (Vec<Bytes>, Option<String>) {
    let pieces = answer.pieces().map(Bytes::copy_from_slice).collect();
    if wanted == UserMessage::Off {
        return (pieces, None);
    }
    let mut watch = Watch::new();
    for piece in answer.pieces() {
        watch.push(piece);
    }
    let Some(message) = Message::of(&watch.found()) else { return (pieces, None) };
    match wanted {
        UserMessage::Off => (pieces, None),
        UserMessage::Header => (pieces, Some(message.json())),
        UserMessage::Field => {
            let whole = pieces.concat();
            (vec![message.added_to(&whole).unwrap_or(whole).into()], None)
        }
    }
}
