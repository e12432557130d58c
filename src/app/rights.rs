//! Which rights the process keeps: the ports are opened, then it becomes the configured user.

use std::io;
use std::path::{Path, PathBuf};

use tracing::{info, warn};

use super::{AppError, Inherited};
use crate::config::Config;
use crate::platform::{self, Account};

/// Opens what is to be listened on and becomes `user`, when we are root and it is configured. True when it did: what was
/// read before is to be read again, with the rights of that user.
///
/// To be called before the runtime is started: rights are those of a thread.
///
/// # Errors
///
/// [`AppError`] when an address, the user or the state directory is not as it has to be.
pub fn become_user(config: &Config, inherited: &mut Inherited) -> Result<bool, AppError> {
    let Some(account) = account(config)? else { return Ok(false) };
    prepare(&config.state_dir, &account)?;
    inherited.sockets.open_ahead(&config.listen.addresses()).map_err(AppError::Bind)?;
    account.become_it().map_err(RightsError::Become)?;
    Ok(true)
}

/// Becomes `user`, as [`become_user`] does, for work on the state directory alone.
///
/// # Errors
///
/// As [`become_user`].
pub(super) fn become_user_of_state(config: &Config) -> Result<(), AppError> {
    if let Some(account) = account(config)? {
        prepare(&config.state_dir, &account)?;
        account.become_it().map_err(RightsError::Become)?;
    }
    Ok(())
}

/// Gives up what no part of the program needs, and takes the files that it may have. Before the runtime, too.
///
/// # Errors
///
/// [`AppError::Rights`].
pub fn settle_rights(inherited: &mut Inherited) -> Result<(), AppError> {
    platform::harden().map_err(RightsError::Harden)?;
    inherited.descriptors = platform::raise_descriptor_limit().map_err(RightsError::Descriptors)?;
    Ok(())
}

/// Whom to become; `None` when there is nothing to do.
fn account(config: &Config) -> Result<Option<Account>, RightsError> {
    let Some(run_as) = config.run_as.as_ref().filter(|_| platform::is_root()) else { return Ok(None) };
    let found = Account::find(&run_as.user, run_as.group.as_deref()).map_err(RightsError::Lookup)?;
    let account = found.ok_or_else(|| RightsError::Unknown { user: run_as.user.clone() })?;
    Ok(Some(account).filter(|account| account.user != 0))
}

/// # Why
///
/// A folder that is there is not given away: `state_dir = "/etc"` would be a slip that nobody can take back.
fn prepare(state_dir: &Path, account: &Account) -> Result<(), RightsError> {
    let failed = |source| RightsError::StateDir { path: state_dir.to_owned(), source };
    if !state_dir.exists() {
        return account.create_private_dir(state_dir).map_err(failed);
    }
    if platform::owner(state_dir).map_err(failed)?.is_some_and(|owner| owner != account.user) {
        return Err(RightsError::Owner { path: state_dir.to_owned(), user: account.name.clone() });
    }
    Ok(())
}

/// Says who we are when that is not who was wanted, and how many files may be open.
pub(super) fn tell(descriptors: Option<u64>, config: &Config) {
    if let Some(run_as) = &config.run_as {
        let wanted = Account::find(&run_as.user, run_as.group.as_deref()).ok().flatten();
        if wanted.is_some_and(|wanted| platform::own_id() != Some(wanted.user)) {
            warn!(
                user = run_as.user,
                "`user` has no effect: only root can become another, and we are {}",
                platform::user()
            );
        }
    }
    tell_of_descriptors(descriptors, config);
}

fn tell_of_descriptors(limit: Option<u64>, config: &Config) {
    let Some(limit) = limit else { return };
    let needed = needed_descriptors(config);
    if limit < needed {
        warn!(
            limit,
            needed,
            "FEW FILES may be open (RLIMIT_NOFILE): clients may be turned away before `limits.connections` is reached. \
             Raise it with LimitNOFILE= or `ulimit -Hn`, or lower the limit"
        );
    } else {
        info!(limit, needed, "files that may be open");
    }
}

/// A connection has a client's side and an upstream's.
fn needed_descriptors(config: &Config) -> u64 {
    let listeners = config.listen.http.len() + config.listen.https.len();
    (listeners * config.listen.limits.connections * 2) as u64 + OTHER_FILES
}

/// Why the process cannot have the rights that it should.
#[derive(Debug, thiserror::Error)]
pub enum RightsError {
    /// Users cannot be looked up.
    #[error("cannot look up `user` and `group`")]
    Lookup(#[source] io::Error),
    /// There is no such user, or group.
    #[error("the system knows no user `{user}`, or not the group")]
    Unknown {
        /// As configured.
        user: String,
    },
    /// The system refused.
    #[error("cannot become the configured user")]
    Become(#[source] io::Error),
    /// The system refused.
    #[error("cannot switch core dumps off")]
    Harden(#[source] io::Error),
    /// The kernel cannot, or may not.
    #[error("cannot confine the process to the files that it needs (`landlock`)")]
    Confine(#[source] io::Error),
    /// The system refused.
    #[error("cannot raise the number of open files")]
    Descriptors(#[source] io::Error),
    /// The state directory cannot be made.
    #[error("cannot make the state directory `{path}`")]
    StateDir {
        /// The folder.
        path: PathBuf,
        /// Its reason.
        source: io::Error,
    },
    /// The state directory is somebody else's.
    #[error("the state directory `{path}` does not belong to `{user}`")]
    Owner {
        /// The folder.
        path: PathBuf,
        /// The user to become.
        user: String,
    },
}

impl RightsError {
    /// How to mend it.
    pub(super) fn fix(&self) -> String {
        match self {
            Self::Lookup(_) | Self::Unknown { .. } => "correct `user` and `group`, or create them".to_owned(),
            Self::Become(_) => "start it with CAP_SETUID and CAP_SETGID, or as that user without `user`".to_owned(),
            Self::Harden(_) | Self::Descriptors(_) => {
                "allow setrlimit, prctl and capset to it: a seccomp filter forbids them".to_owned()
            }
            Self::Confine(_) => platform::CONFINE_FIX.to_owned(),
            Self::StateDir { .. } => "create it and give it to that user, or correct `state_dir`".to_owned(),
            Self::Owner { path, user } => {
                format!("if it is portvakt's: `chown -R {user}: {}`; else correct `state_dir`", path.display())
            }
        }
    }
}

/// Listeners, files that are being read, the runtime's own.
const OTHER_FILES: u64 = 128;
