//! What a CA allows, and how much of it is left.
//!
//! In: what is about to be ordered ([`Ask`]), what was done before ([`Ledger`]), the CA's published limits ([`Limits`])
//! and `now`. Out: whether the order would surely be refused ([`Refusal`]), and how every bucket stands ([`Standing`]).
//! Pure. The ledger is kept by `store`, and written before an order is sent.
//!
//! # Why
//!
//! A refused order helps nobody, and at some CAs counts. We know only what we did ourselves: others may draw on the same
//! buckets, and a CA may allow an account more. So an order is held back only where our own doings alone have emptied a
//! bucket; the rest is shown. An order that replaces a certificate as the CA has asked for (RFC 9773) is never held back.

mod bucket;
mod key;
mod ledger;
mod limits;

pub use bucket::Bucket;
pub use key::registered_domains;
pub use ledger::{Ask, Ledger, Refusal, Standing};
pub use limits::{Limit, Limits};

#[cfg(test)]
mod tests;
