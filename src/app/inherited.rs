//! What a process is given by whoever started it.

use super::AppError;
use super::upgrade::Predecessor;
use crate::listener::Sockets;
use crate::platform::{Confinement, Program, Supervisor};

/// What was handed to this process. To be taken once, before anything else is done.
#[derive(Debug, Default)]
pub struct Inherited {
    /// Who wants to hear how we are.
    pub(super) supervisor: Supervisor,
    /// Where clients may be waiting already.
    pub(super) sockets: Sockets,
    /// What an upgrade starts; `None` where there is none.
    pub(super) program: Option<Program>,
    /// How many files may be open; `None` is no limit that we know.
    pub(super) descriptors: Option<u64>,
    /// What can be opened at all; `None` is whatever the system lets us.
    pub(super) confined: Option<Confinement>,
    /// Who serves until we do.
    pub(super) predecessor: Option<Predecessor>,
}

impl Inherited {
    /// Takes what the environment names.
    ///
    /// # Errors
    ///
    /// [`AppError::Supervisor`] when `NOTIFY_SOCKET` is no address, [`AppError::Predecessor`] when the process that is to be
    /// taken over from does not give its sockets.
    pub fn from_environment() -> Result<Self, AppError> {
        let (predecessor, sockets) = match Predecessor::meet().map_err(AppError::Predecessor)? {
            Some((predecessor, sockets)) => (Some(predecessor), sockets),
            None => (None, Sockets::from_environment()),
        };
        let supervisor = Supervisor::from_environment().map_err(AppError::Supervisor)?;
        Ok(Self {
            supervisor,
            sockets,
            program: Program::current().ok(),
            descriptors: None,
            confined: None,
            predecessor,
        })
    }
}
