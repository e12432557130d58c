//! What a process is given by whoever started it.

use crate::platform::Supervisor;

use super::AppError;

/// What was handed to this process. To be taken once, before anything else is done.
#[derive(Debug, Default)]
pub struct Inherited {
    /// Who wants to hear how we are.
    pub(super) supervisor: Supervisor,
}

impl Inherited {
    /// Takes what the environment names.
    ///
    /// # Errors
    ///
    /// [`AppError::Supervisor`] when `NOTIFY_SOCKET` is no address.
    pub fn from_environment() -> Result<Self, AppError> {
        Ok(Self { supervisor: Supervisor::from_environment().map_err(AppError::Supervisor)? })
    }
}
