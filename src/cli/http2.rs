//! `portvakt http2 ...`: sites whose servers know clients by their connections (NTLM, Negotiate), so that HTTP/2 is not offered.

use clap::{Args, Subcommand};

use super::control::{Socket, understood};
use super::failure::Failure;
use super::print_out;
use super::settings::ConfigFile;
use crate::app::{self, AppError};
use crate::config::{self, Config, Purpose, closest};
use crate::control::{AskError, Reply, Request};
use crate::store::NtlmSeen;
use crate::tls::SiteSettings;

#[derive(Debug, Subcommand)]
pub(super) enum Http2 {
    /// List every site: whether HTTP/2 is offered, and why not.
    List(List),
    /// Offer HTTP/2 again for a site, until its server asks for NTLM once more.
    Allow(Allow),
}

#[derive(Debug, Args)]
#[command(after_help = "Works with portvakt stopped.

Example:
  portvakt http2 list")]
pub(super) struct List {
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Debug, Args)]
#[command(
    after_help = "For a server that does not use NTLM or Negotiate any more. To have it never offered, set `affinity = \"connection\"` in
the site's upstream.

Example:
  portvakt http2 allow app.example.com"
)]
pub(super) struct Allow {
    /// The site's name, or one of its domains.
    site: String,
    #[command(flatten)]
    socket: Socket,
}

impl Http2 {
    pub(super) fn carry_out(self) -> Result<(), Failure> {
        match self {
            Self::List(list) => list.carry_out(),
            Self::Allow(allow) => allow.carry_out(),
        }
    }
}

impl List {
    fn carry_out(&self) -> Result<(), Failure> {
        let config = config::load(self.config.path(), Purpose::CheckOffline)?.config;
        let seen = match app::store(&config)? {
            Some(store) => store.load_ntlm_sites().map_err(AppError::Store)?,
            None => Default::default(),
        };
        let lines = config.tls.iter().map(|site| line(site, seen.get(&site.name)));
        print_out(&lines.collect::<String>());
        Ok(())
    }
}

fn line(site: &SiteSettings, seen: Option<&NtlmSeen>) -> String {
    let name = &site.name;
    match (site.is_http1_only, seen) {
        (true, _) => format!("{name}: HTTP/1.1 only, by `affinity = \"connection\"`\n"),
        (false, Some(seen)) => format!("{name}: HTTP/1.1 only, NTLM or Negotiate was seen {}\n", seen.at),
        (false, None) => format!("{name}: HTTP/2 and HTTP/1.1\n"),
    }
}

impl Allow {
    fn carry_out(&self) -> Result<(), Failure> {
        let config = config::load(self.socket.config().path(), Purpose::CheckOffline)?.config;
        let site = find(&config, &self.site)?;
        if site.is_http1_only {
            return Err(Failure::Plain {
                what: format!("HTTP/2 stays off for `{}`", site.name),
                why: "its upstream has `affinity = \"connection\"`".to_owned(),
                fix: "take that out of the configuration first".to_owned(),
            });
        }
        let was_withheld = match self.socket.try_ask(Request::OfferHttp2 { site: site.name.clone() })? {
            Ok(Reply::Done(told)) => understood::<bool>(told)?,
            Ok(Reply::Failed(why)) => return Err(not_kept(understood::<String>(why)?)),
            Err(AskError::NobodyThere { .. }) if !self.socket.is_given() => forget_at_rest(&config, &site.name)?,
            Err(error) => return Err(self.socket.failure(&error)),
        };
        let name = &site.name;
        print_out(&match was_withheld {
            true => format!("{name}: HTTP/2 is offered again\n"),
            false => format!("{name}: HTTP/2 was offered already\n"),
        });
        Ok(())
    }
}

fn forget_at_rest(config: &Config, site: &str) -> Result<bool, Failure> {
    let store = app::store_to_change(config)?;
    let mut was_known = false;
    let change = store.change_ntlm_sites(|sites| was_known = sites.remove(site).is_some());
    change.map_err(AppError::Store)?;
    Ok(was_known)
}

fn not_kept(why: String) -> Failure {
    let what = "the state directory cannot be changed, so that nothing has".to_owned();
    Failure::Plain { what, why, fix: "let portvakt write to `state_dir`, and try again".to_owned() }
}

fn find<'a>(config: &'a Config, name: &str) -> Result<&'a SiteSettings, Failure> {
    let mut sites = config.tls.iter();
    let found = sites.find(|site| site.name == name || site.domains.iter().any(|domain| domain == name));
    found.ok_or_else(|| Failure::Plain {
        what: format!("no site is called `{name}`"),
        why: "neither as its name nor as one of its domains".to_owned(),
        fix: match closest(name, config.tls.iter().map(|site| site.name.as_str())) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "see `portvakt http2 list`, or name another configuration with `--config`".to_owned(),
        },
    })
}
