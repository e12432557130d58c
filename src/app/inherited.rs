//! What a process is given by whoever started it.

use super::AppError;
use crate::listener::Sockets;
use crate::platform::Supervisor;

/// What was handed to this process. To be taken once, before anything else is done.
#[derive(Debug, Default)]
pub struct Inherited {
    /// Who wants to hear how we are.
    pub(super) supervisor: Supervisor,
    /// Where clients may be waiting already.
    pub(super) sockets: Sockets,
}

impl Inherited {
    /// Takes what the environment names.
    ///
    /// # Errors
    ///
    /// [`AppError::Supervisor`] when `NOTIFY_SOCKET` is no address.
    pub fn from_environment() -> Result<Self, AppError> {
        let sockets = Sockets::from_environment();
        Ok(Self { supervisor: Supervisor::from_environment().map_err(AppError::Supervisor)?, sockets })
    }
}
