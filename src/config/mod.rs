//! TOML as written to settings as meant, with every problem at once.
//!
//! In: files, a text or the command line. Out: a [`Config`] whose parts are the settings of the rooms, or [`Problems`]
//! that say what is wrong, where, why, and how to mend it. May import: the settings types of every room below, `pki`,
//! `time`. No room below imports this one.
//!
//! `raw` knows TOML, `check` every rule, `diff` what a reload changes.
//!
//! Promises: no text panics; a value that exists is valid, so that nobody checks twice; what is wrong is said all at
//! once, and nothing that is written is ignored.

mod check;
mod code;
mod command_line;
mod diff;
mod duration;
mod environment;
mod foreign;
mod load;
mod merge;
mod need;
mod online;
mod origin;
mod page;
mod problem;
mod raw;
mod render;
mod secret;
mod show;
mod suggest;
mod variable;

use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::source::{CertificateSettings, ClientIdentitySettings};
use crate::{access, egress, listener, notify, route, tls, upstream};

pub use code::{Code, UnknownCode};
pub use command_line::CommandLine;
pub use diff::{Change, diff};
pub use environment::{Environment, Machine};
pub use load::{Loaded, Purpose, control_socket, from_args, from_text, from_text_on, load, load_on};
pub use need::{Need, needs, sockets};
pub use online::{CaView, CaaView};
pub use origin::Origin;
pub use page::Page;
pub use problem::{Place, Problem, Problems, Severity, Source, Style};
pub use show::{Setting, Shown};
pub use suggest::closest;

/// Reads a span of time as configurations have it: `5d`, `36h`, `1h30m`.
///
/// # Errors
///
/// What is wrong with it, in words.
pub fn duration(text: &str) -> Result<Duration, String> {
    duration::parse(text).map_err(|error| error.to_string())
}

/// The JSON schema (draft 2020-12) of a configuration file.
pub fn schema() -> serde_json::Value {
    check::schema()
}

/// The whole configuration, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where keys, certificates and accounts are kept.
    pub state_dir: PathBuf,
    /// The operators' socket.
    pub control: PathBuf,
    /// What is listened on.
    pub listen: listener::Settings,
    /// What happens to requests.
    pub route: route::Settings,
    /// What handshakes see; same order as `route.sites`.
    pub tls: Vec<tls::SiteSettings>,
    /// Where requests go; `route::Route::upstream` is an index into it.
    pub upstreams: Vec<upstream::Settings>,
    /// Same order as `route.sites`.
    pub certificates: Vec<CertificateSettings>,
    /// What applications of this machine may call.
    pub egress: Vec<Egress>,
    /// Whom we are to servers that ask; those of `egress` and `upstreams`, found by name.
    pub client_identities: Vec<ClientIdentitySettings>,
    /// Whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How long open requests may finish after SIGTERM or a reload that removed their listener.
    pub drain: Duration,
    /// Reload when a file changes.
    pub watch: bool,
    /// Whom to become when the ports are open; `None` stays who we are.
    pub run_as: Option<RunAs>,
    /// The process lets itself open nothing but what is configured.
    pub landlock: bool,
    /// How the log is written.
    pub log: LogSettings,
    /// Where the metrics are written for a textfile collector; `None` is nowhere.
    pub textfile: Option<PathBuf>,
    /// Who is told of what happens.
    pub notify: Vec<notify::Settings>,
    /// The configuration files, the folder `conf.d` beside them (there or not) and every file that they name, absolute.
    pub files: Vec<PathBuf>,
}

impl Config {
    /// `drain` when it is not set.
    pub const DRAIN: Duration = Duration::from_secs(30);

    /// The default of the bytes that the body of a request to an egress may have.
    pub const EGRESS_BODY: u64 = 10 << 20;

    /// The same where BankID's rules hold: far more than any of its calls has.
    pub const BANKID_BODY: u64 = 1 << 20;
}

/// `[[egress]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Egress {
    /// What may be asked, and by whom.
    pub settings: egress::Settings,
    /// Where it goes: one peer, over TLS.
    pub upstream: upstream::Settings,
}

/// `user` and `group`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunAs {
    /// Name of the user.
    pub user: String,
    /// Name of the group; `None` is the user's own.
    pub group: Option<String>,
}

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// `text` or `json`.
    pub format: LogFormat,
    /// A `tracing` filter, such as `info` or `portvakt=debug`.
    pub level: String,
    /// Whether and where requests are written.
    pub access: Option<access::Settings>,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: LogFormat::default(), level: "info".to_owned(), access: None }
    }
}

/// `log.format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}
