//! `portvakt cert rollback NAME`.

use clap::Args;

use super::super::control::Socket;
use super::super::failure::Failure;
use super::super::print_out;
use super::seen::Running;
use super::{find, refused, store_failure};
use crate::app;
use crate::config::{self, Config, Purpose};
use crate::control::Request;
use crate::manager::{self, Refused};
use crate::source::{CertificateSettings, Settings};
use crate::store::Generation;
use crate::time::{Clock, SystemClock, Timestamp};

#[derive(Debug, Args)]
#[command(
    after_help = "A running process serves it at once, when handshakes get it; with portvakt stopped it is served from the
next start on. Nothing newer is ordered before a twentieth of its life is left, or you ask for it with
`portvakt cert renew`.

Examples:
  portvakt cert rollback app.example.com           # to the one before
  portvakt cert rollback app.example.com --to 3    # as `portvakt cert show` counts them"
)]
pub(in crate::cli) struct Rollback {
    /// The certificate: a site's name, or one of its domains.
    name: String,
    /// The generation to serve; without it the newest before the present one that is whole and has not expired.
    #[arg(long, value_name = "N")]
    to: Option<u64>,
    /// Take one that has expired too.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    socket: Socket,
}

impl Rollback {
    pub(super) fn carry_out(&self) -> Result<(), Failure> {
        let config = config::load(self.socket.config().path(), Purpose::CheckOffline)?.config;
        let settings = find(&config, &self.name)?;
        let generation = self.generation(&config, settings)?;
        let is_running = self.socket.is_given() || Running::ask(&config.control).is_some();
        if is_running {
            let certificate = settings.name.clone();
            let request = Request::Rollback { certificate, generation, force: self.force };
            return super::renew::tell(self.socket.ask(request)?);
        }
        let store = app::store_to_change(&config)?;
        let told = manager::go_back_at_rest(&store, settings, generation, self.force, SystemClock.now());
        print_out(&format!("{}\n", told.map_err(refused)?));
        Ok(())
    }

    fn generation(&self, config: &Config, settings: &CertificateSettings) -> Result<u64, Failure> {
        if let Settings::Files(files) = &settings.source {
            return Err(refused(Refused {
                what: "the certificate in service stays".to_owned(),
                why: format!("`{}` lies in files, which portvakt only reads", settings.name),
                fix: format!("put the earlier certificate into `{}`: it is followed", files.main().display()),
            }));
        }
        let nothing = |why: &str, fix: &str| {
            let what = format!("there is nothing to go back to for `{}`", settings.name);
            refused(Refused { what, why: why.to_owned(), fix: fix.to_owned() })
        };
        let Some(store) = app::store(config)? else {
            return Err(nothing("there is no state directory yet", "see `portvakt cert show`"));
        };
        let all = store.generations(&settings.name).map_err(store_failure)?;
        match self.to {
            Some(number) if all.iter().any(|one| one.number == number) => Ok(number),
            Some(number) => {
                let known: Vec<_> = all.iter().map(|one| one.number.to_string()).collect();
                let why = format!("there is no generation {number}; known are {}", known.join(", "));
                Err(nothing(&why, "give one of these with `--to`"))
            }
            None => before(&all, self.force, SystemClock.now()).ok_or_else(|| {
                nothing("none before the present one is whole and in date", "`portvakt cert show` lists what is kept")
            }),
        }
    }
}

/// The newest before the present one that can be served; `all` begins with the newest.
fn before(all: &[Generation], force: bool, now: Timestamp) -> Option<u64> {
    let current = all.iter().find(|one| one.is_current).map(|one| one.number)?;
    let is_fit = |one: &&Generation| {
        let content = one.content.as_ref();
        one.number < current && content.is_ok_and(|(chain, _)| force || now <= chain.leaf().not_after)
    };
    all.iter().find(is_fit).map(|one| one.number)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::pki::Identity;
    use crate::store::Meta;

    const NOW: Timestamp = Timestamp::from_unix(1_795_311_180);
    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn given_generations_when_none_is_named_then_the_newest_before_the_present_one_that_can_be_served() {
        let of = |number, is_current, until: Option<Timestamp>| Generation {
            number,
            is_current,
            content: until.ok_or_else(|| "cut".to_owned()).map(|until| {
                let chain = Identity::self_signed(&["a.test".to_owned()], NOW - DAY, until).unwrap().chain().clone();
                let meta = Meta {
                    source: "internal".to_owned(),
                    issued_at: NOW,
                    identifiers: Vec::new(),
                    product: String::new(),
                    directory: None,
                };
                (chain, meta)
            }),
        };
        let (good, over) = (Some(NOW + DAY), Some(NOW - DAY));
        let newest = || of(4, false, good);
        assert_eq!(before(&[newest(), of(3, true, good), of(2, false, good)], false, NOW), Some(2));
        assert_eq!(before(&[of(3, true, good), of(2, false, None), of(1, false, good)], false, NOW), Some(1));
        assert_eq!(before(&[of(3, true, good), of(2, false, over)], false, NOW), None);
        assert_eq!(before(&[of(3, true, good), of(2, false, over)], true, NOW), Some(2));
        assert_eq!(before(&[of(1, true, good)], false, NOW), None);
    }
}
