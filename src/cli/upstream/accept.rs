//! `portvakt upstream accept NAME`.

use std::io::{BufRead, IsTerminal, Write};

use clap::Args;

use super::super::control::Socket;
use super::super::failure::Failure;
use super::super::{block_on_alone, print_out};
use super::{find, known, store_failure};
use crate::app;
use crate::causes::with_causes;
use crate::config::{self, Config, Purpose};
use crate::control::{AskError, Reply, Request};
use crate::pki::{CertificateChain, Fingerprint};
use crate::time::{Clock, SystemClock};
use crate::upstream::{self, PeerSettings, Settings, Trust, in_words};

#[derive(Debug, Args)]
#[command(
    after_help = "Looks at what the server shows now, and refuses when it is another certificate than you name. Ask whoever runs
the server for the fingerprint, on the server itself: what the network shows may be somebody else's. A running process
believes it at once; with portvakt stopped it is believed from the next start on.

Examples:
  portvakt upstream accept 10.20.0.5:8443                        # shows it, and asks
  portvakt upstream accept legacy --fingerprint AB:CD:..          # as `openssl x509 -noout -fingerprint -sha256` prints it"
)]
pub(in crate::cli) struct Accept {
    /// The upstream's name, or the address of one of its servers.
    name: String,
    /// SHA-256 of the certificate to accept; without it you are asked.
    #[arg(long, value_name = "HEX")]
    fingerprint: Option<String>,
    #[command(flatten)]
    socket: Socket,
}

impl Accept {
    pub(super) fn carry_out(&self) -> Result<(), Failure> {
        let named = self.fingerprint.as_deref().map(read_fingerprint).transpose()?;
        let config = config::load(self.socket.config().path(), Purpose::CheckOffline)?.config;
        let upstream = find(&config, &self.name)?;
        let peer = self.peer(upstream)?;
        let shown = block_on_alone(async { Ok(upstream::look(peer, upstream.timeouts).await) })?;
        let shown = shown.map_err(|error| Failure::Plain {
            what: format!("{peer} cannot be looked at"),
            why: with_causes(&error),
            fix: "let the server answer, and try again".to_owned(),
        })?;
        let leaf = shown.chain.leaf();
        print_out(&format!("{peer} shows {}\n", in_words(leaf)));
        match named {
            Some(named) if named == leaf.fingerprint => {}
            Some(named) => return Err(shows_another(peer, named, leaf.fingerprint)),
            None if self.is_confirmed(&config, peer, leaf.fingerprint)? => {}
            None => return Ok(()),
        }
        self.tell(&config, upstream, peer, &shown.chain)
    }

    /// The one server that is meant.
    fn peer<'a>(&self, upstream: &'a Settings) -> Result<&'a PeerSettings, Failure> {
        let by_first_use = |peer: &&PeerSettings| peer.tls.as_ref().is_some_and(|tls| tls.trust == Trust::FirstUse);
        let all: Vec<_> = upstream.peers.iter().filter(by_first_use).collect();
        let by_address = all.iter().find(|peer| peer.address.to_string() == self.name);
        match (by_address, &all[..]) {
            (Some(peer), _) | (None, [peer]) => Ok(peer),
            (None, []) => Err(Failure::Plain {
                what: format!("upstream `{}` is not believed by its first use", upstream.name),
                why: "only with `trust = \"first-use\"` a certificate is accepted by this command".to_owned(),
                fix: "put the new fingerprint, pin or root into the upstream's table, and `portvakt reload`".to_owned(),
            }),
            (None, several) => Err(Failure::Plain {
                what: format!("upstream `{}` has several servers", upstream.name),
                why: "each has a certificate of its own".to_owned(),
                fix: format!(
                    "name one by its address: {}",
                    several.iter().map(|peer| format!("`{}`", peer.address)).collect::<Vec<_>>().join(", ")
                ),
            }),
        }
    }

    /// Asks whoever sits at the terminal; `false` when there is nothing to do.
    fn is_confirmed(&self, config: &Config, peer: &PeerSettings, shown: Fingerprint) -> Result<bool, Failure> {
        let store = app::store(config)?;
        if let Some(known) = known(store.as_ref(), peer).map_err(store_failure)? {
            if known.leaf.fingerprint == shown {
                print_out("It is believed already.\n");
                return Ok(false);
            }
            print_out(&format!("Believed until now is {}\n", in_words(&known.leaf)));
        }
        let is_asked = std::io::stdin().is_terminal();
        if is_asked {
            print_out("Believe it from now on, in place of any other? Type `yes`: ");
            let _ = std::io::stdout().flush();
            let mut answer = String::new();
            if std::io::stdin().lock().read_line(&mut answer).is_ok() && answer.trim() == "yes" {
                return Ok(true);
            }
        }
        Err(Failure::Plain {
            what: "nothing was accepted".to_owned(),
            why: match is_asked {
                true => "the answer was not `yes`".to_owned(),
                false => "nobody is there to be asked, and a certificate is accepted only by name".to_owned(),
            },
            fix: format!(
                "compare it with the server's own, then `portvakt upstream accept {} --fingerprint {shown}`",
                self.name
            ),
        })
    }

    /// Tells a running process, or writes it down for the next one.
    fn tell(
        &self,
        config: &Config,
        upstream: &Settings,
        peer: &PeerSettings,
        chain: &CertificateChain,
    ) -> Result<(), Failure> {
        let fingerprint = chain.leaf().fingerprint.to_string();
        let request = Request::AcceptUpstream { upstream: upstream.name.clone(), peer: peer.to_string(), fingerprint };
        match self.socket.try_ask(request)? {
            Ok(Reply::Done(told)) => print_out(&format!("{}\n", told.as_str().unwrap_or("accepted"))),
            Ok(Reply::Failed(why)) => {
                return Err(Failure::Plain {
                    what: "the running process does not accept it".to_owned(),
                    why: why.as_str().unwrap_or_default().to_owned(),
                    fix: "see `portvakt upstream show`; after a change of the configuration `portvakt reload`"
                        .to_owned(),
                });
            }
            Err(AskError::NobodyThere { .. }) if !self.socket.is_given() => {
                let server_name = peer.tls.as_ref().map(|tls| tls.server_name.as_str()).unwrap_or_default();
                let address = peer.address.to_string();
                let store = app::store_to_change(config)?;
                upstream::accept(&store, (&address, server_name), &upstream.name, chain, SystemClock.now())
                    .map_err(store_failure)?;
                print_out("accepted; it is believed from the next start on\n");
            }
            Err(error) => return Err(self.socket.failure(&error)),
        }
        Ok(())
    }
}

fn read_fingerprint(text: &str) -> Result<Fingerprint, Failure> {
    text.parse().map_err(|error| Failure::Usage(format!("`{text}` is not a fingerprint: {error}")))
}

fn shows_another(peer: &PeerSettings, named: Fingerprint, shown: Fingerprint) -> Failure {
    Failure::Plain {
        what: format!("{peer} shows another certificate than the one that you name"),
        why: format!("you name {named}, it shows {shown}"),
        fix: "ask whoever runs the server which one is right; nothing has changed".to_owned(),
    }
}
