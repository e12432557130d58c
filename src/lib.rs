//! portvakt: a TLS sidecar for servers that cannot be changed.
//!
//! ```text
//! level 7   cli                         arguments, exit codes, printed errors
//! level 6   app   explain               builds the rooms, tasks, signals, reload, drain, demo; what a URL gets
//! level 5   config   simulate           TOML as written -> settings, every problem at once; certificates in virtual time
//!           doctor                      what phones and browsers make of a server
//! level 4   manager   proxy             certificates' carrier; pingora adapter
//!           admin   control             operators' listener and socket
//! level 3   source   listener   upstream   probe   notify
//! level 2   store   tls   metrics   access
//! level 1   lifecycle   route   egress  pure decisions
//!           dns                         questions to name servers
//! level 0   pki   challenge   time   platform   causes   language   html   outward
//! ```
//!
//! Arrows point down. Requests: config → listener → tls accept → route → upstream.
//! Certificates: source → store → tls resolver → metrics, carried by `manager`, decided by `lifecycle`.

pub mod access;
pub mod admin;
pub mod app;
mod causes;
pub mod challenge;
pub mod cli;
pub mod config;
pub mod control;
pub mod dns;
pub mod doctor;
pub mod egress;
pub mod explain;
mod html;
pub mod language;
pub mod lifecycle;
pub mod listener;
pub mod manager;
pub mod metrics;
pub mod notify;
mod outward;
pub mod pki;
pub mod platform;
pub mod probe;
pub mod proxy;
pub mod route;
pub mod simulate;
pub mod source;
pub mod store;
pub mod time;
pub mod tls;
pub mod upstream;
