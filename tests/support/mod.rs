//! What the tests of both binaries share: the program as a child, its peers, and clients that look closely.
//!
//! Every piece takes free ports and a folder of its own, so that tests run beside each other, and cleans up when it is
//! dropped. Nothing sleeps for a number of seconds: one waits for a port, a log line or an answer.

#![allow(dead_code, unused_imports, reason = "two test binaries share this room, and each uses a part of it")]

pub(crate) mod acme_dns;
pub(crate) mod bankid;
pub(crate) mod bind;
pub(crate) mod browser;
pub(crate) mod ca;
pub(crate) mod caddy;
pub(crate) mod child;
pub(crate) mod clock;
pub(crate) mod connect_proxy;
pub(crate) mod curl;
pub(crate) mod disk;
pub(crate) mod dns;
pub(crate) mod echo;
pub(crate) mod gate;
pub(crate) mod h2;
pub(crate) mod holder;
pub(crate) mod home;
pub(crate) mod inbox;
pub(crate) mod kubernetes;
pub(crate) mod load;
pub(crate) mod metrics;
pub(crate) mod mono;
pub(crate) mod nginx;
pub(crate) mod ntlm;
pub(crate) mod openssl;
pub(crate) mod pebble;
pub(crate) mod peers;
pub(crate) mod podman;
pub(crate) mod ports;
pub(crate) mod programs;
pub(crate) mod prometheus;
pub(crate) mod raw;
pub(crate) mod s_server;
pub(crate) mod shifty;
pub(crate) mod supervisor;
pub(crate) mod tls;
pub(crate) mod victims;
pub(crate) mod witness;

pub(crate) use bankid::BankId;
pub(crate) use bind::Bind;
pub(crate) use ca::{Ca, Leaf};
pub(crate) use caddy::Caddy;
pub(crate) use clock::eventually;
pub(crate) use curl::{Answer, Curl};
pub(crate) use echo::Echo;
pub(crate) use gate::Gate;
pub(crate) use h2::H2;
pub(crate) use holder::Holder;
pub(crate) use home::{Home, Portvakt};
pub(crate) use inbox::Inbox;
pub(crate) use mono::AspNet;
pub(crate) use nginx::Nginx;
pub(crate) use ntlm::Ntlm;
pub(crate) use pebble::Pebble;
pub(crate) use podman::Podman;
pub(crate) use prometheus::Prometheus;
pub(crate) use s_server::{Kind, OldServer};
pub(crate) use supervisor::Supervisor;
pub(crate) use victims::Victims;
pub(crate) use witness::Witness;
