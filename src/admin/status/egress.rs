//! Services outside that local applications call through us.

use serde::Serialize;

use super::time;
use crate::time::Timestamp;

/// A way out.
#[derive(Clone, Debug, Serialize)]
pub struct Egress {
    /// The configured name.
    pub name: String,
    /// Where it leads to.
    pub address: String,
    /// Where applications call it.
    pub listener: String,
    /// The last call that tells how it stands; `None` before the first.
    pub last_call: Option<Call>,
}

/// What came of a call.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    /// When.
    #[serde(serialize_with = "time")]
    pub at: Timestamp,
    /// The service has answered.
    pub answered: bool,
    /// What is the matter with who answers there, such as `PV0436`; `None` where nobody does, and where all is well.
    pub code: Option<String>,
    /// Why there was no answer.
    pub error: Option<String>,
}
