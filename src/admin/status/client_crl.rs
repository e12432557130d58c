//! Lists of revoked clients.

use serde::Serialize;

use super::time;
use crate::time::Timestamp;

/// A list that the clients of a site are judged by.
#[derive(Clone, Debug, Serialize)]
pub struct ClientCrl {
    /// The site.
    pub site: String,
    /// Its file's name, without the folder.
    pub file: String,
    /// The CA that has made it.
    pub issuer: String,
    /// When.
    #[serde(serialize_with = "time")]
    pub this_update: Timestamp,
    /// From here on somebody has to see to its successor.
    #[serde(serialize_with = "time")]
    pub due: Timestamp,
    /// From here on it is old.
    #[serde(serialize_with = "time")]
    pub next_update: Timestamp,
    /// Nobody with a certificate of that CA is let in once it is old.
    pub refuses_when_old: bool,
}
