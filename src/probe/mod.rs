//! What our own listeners really serve, seen as a client sees it.
//!
//! In: the open https listeners, the sites' names, and what each certificate was published with. Out: for each listener and
//! name what a handshake showed ([`Sight`]), again every minute and whenever asked ([`Truth::confirm`]). Imports `pki`,
//! `tls` (its settings) and `time`.
//!
//! Promises: it is a whole handshake over TCP, with the server's signature checked, that offers no more kinds of keys than
//! every browser does; it resumes no session; it ends within [`LIMIT`], whatever answers. Nobody else is taken for
//! ourselves ([`Sources`]): the address and port that a look comes from are ours while it lasts. What proves nothing about
//! a certificate (nobody answers, a connection breaks) is told apart from what does.
//! Standards: RFC 8446, RFC 6066 §3, RFC 9525 §6, PROXY protocol 2 §2.2 (LOCAL, before a listener that expects a header).

mod finding;
mod handshake;
mod source;
mod target;
mod truth;

pub use finding::{Finding, Flaw, Published, Verdict, judge, verdict};
pub use handshake::{Fault, LIMIT, Prober, ProberError};
pub use source::{Source, Sources};
pub use target::{Place, ServerName, Target, is_here, targets};
pub use truth::{Sight, Truth};
