//! Messages to people who have no Prometheus: by webhook, by mail, or by a program of theirs.
//!
//! In: [`Settings`] of each notifier; [`Facts`] about how everything stands, asked for each minute; [`Event`]s that are
//! told. Out: messages, and how each try ended, to whoever counts. May import `lifecycle`'s states, `pki`, `platform`,
//! `store` and `time`; the only room that knows `lettre`.
//!
//! `look` decides what is worth a message, `ledger` when it is sent and what becomes of it, `message` and `words` what it
//! says: all of them pure. `webhook`, `mail` and `program` do the sending, `carrier` carries it all, a task for each notifier.
//!
//! Standards: Internet messages (RFC 5322), SMTP (RFC 5321) with STARTTLS (RFC 3207) or implicit TLS (RFC 8314) and AUTH
//! (RFC 4954); JSON (RFC 8259) by POST with a bearer token (RFC 6750).
//!
//! # Promises
//!
//! - Serving never waits for a message, and nothing that fails here ends anything.
//! - No message is sent twice, whenever the process dies: what has been told is on the disk before it is tried. Of a
//!   message whose sending was cut off, the next one says that it may not have arrived.
//! - What cannot be delivered is tried again for three days. No storms: what happens at once is one message, there are at
//!   most six in an hour, and one a day about the same thing; the rest is counted, and the next message tells how often.
//! - Text from certificates, servers and CAs is one line where a line is expected: nobody adds a header to a mail.
//! - No password, token or path of a webhook is in a message, the log, or any `Debug`.

mod carrier;
mod event;
mod facts;
mod ledger;
mod look;
mod mail;
mod message;
mod obstacle;
mod program;
mod remedy;
mod send;
mod settings;
mod webhook;
mod words;

pub use carrier::{Count, Notifiers, NotifiersParts, Sent};
pub use event::{Event, Kind};
pub use facts::{CertificateFact, Facts, FailureFact, Role, ServerFact};
pub use ledger::{Failure, Standing};
pub use look::{Ending, Need, Report};
pub use message::Message;
pub use obstacle::Believes;
pub use remedy::Remedy;
pub use send::{SendError, send};
pub use settings::{
    Address, Channel, HookUrl, MailSettings, MailTls, NoSecret, ProgramSettings, Secret, Settings, WebhookSettings,
};

#[cfg(test)]
mod tests;
