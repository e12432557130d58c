//! What a request to an ACME server is for, learned from the server's own answers.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::support::raw::Reply;

/// One of the requests of RFC 8555 §7 and RFC 9773 §4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    /// GET of the directory.
    Directory,
    /// A fresh nonce.
    NewNonce,
    /// Registration.
    NewAccount,
    /// The account itself: contacts, deactivation.
    Account,
    /// A new order.
    NewOrder,
    /// A look at an order.
    Order,
    /// A look at an authorization.
    Authorization,
    /// A challenge is said to be ready, or looked at.
    Challenge,
    /// The signing request.
    Finalize,
    /// The certificate is fetched.
    Certificate,
    /// Renewal information (RFC 9773).
    RenewalInfo,
    /// Revocation.
    RevokeCert,
    /// Another account key.
    KeyChange,
    /// Something else.
    Other,
}

/// One request, as a rule is matched with it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// What it is for.
    pub(crate) operation: Operation,
    /// The first identifier of the order that it belongs to.
    pub(crate) name: Option<String>,
}

/// What is known of a CA's URLs.
pub(super) struct Known {
    base: String,
    targets: HashMap<String, Asked>,
    renewal_info: Option<String>,
}

impl Known {
    /// Nothing but the directory. `base` begins every URL: scheme, host and port.
    pub(super) fn new(base: &str, directory: &str) -> Self {
        let asked = Asked { operation: Operation::Directory, name: None };
        let targets = HashMap::from([(directory.to_owned(), asked)]);
        Self { base: base.to_owned(), targets, renewal_info: None }
    }

    /// What a request is for; a new order's names are in its body.
    pub(super) fn judge(&self, target: &str, body: &[u8]) -> Asked {
        match self.targets.get(target) {
            Some(Asked { operation: Operation::NewOrder, .. }) => {
                Asked { operation: Operation::NewOrder, name: first_name(body) }
            }
            Some(asked) => asked.clone(),
            None if self.renewal_info.as_ref().is_some_and(|prefix| target.starts_with(prefix)) => {
                Asked { operation: Operation::RenewalInfo, name: None }
            }
            None => Asked { operation: Operation::Other, name: None },
        }
    }

    /// Takes over the URLs in an answer of the CA's own.
    pub(super) fn learn(&mut self, asked: &Asked, reply: &Reply) {
        let json: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let name = || asked.name.clone();
        match asked.operation {
            Operation::Directory => self.learn_directory(&json),
            Operation::NewAccount => self.note(reply.header("location"), Operation::Account, None),
            Operation::NewOrder | Operation::Order | Operation::Finalize => {
                if asked.operation == Operation::NewOrder {
                    self.note(reply.header("location"), Operation::Order, name());
                }
                self.note(json["finalize"].as_str(), Operation::Finalize, name());
                self.note(json["certificate"].as_str(), Operation::Certificate, name());
                for authorization in json["authorizations"].as_array().into_iter().flatten() {
                    self.note(authorization.as_str(), Operation::Authorization, name());
                }
            }
            Operation::Authorization => {
                for challenge in json["challenges"].as_array().into_iter().flatten() {
                    self.note(challenge["url"].as_str(), Operation::Challenge, name());
                }
            }
            _ => {}
        }
    }

    fn learn_directory(&mut self, json: &Value) {
        let operations = [
            ("newNonce", Operation::NewNonce),
            ("newAccount", Operation::NewAccount),
            ("newOrder", Operation::NewOrder),
            ("revokeCert", Operation::RevokeCert),
            ("keyChange", Operation::KeyChange),
        ];
        for (key, operation) in operations {
            self.note(json[key].as_str(), operation, None);
        }
        self.renewal_info = json["renewalInfo"].as_str().and_then(|url| self.target(url));
    }

    fn note(&mut self, url: Option<&str>, operation: Operation, name: Option<String>) {
        if let Some(target) = url.and_then(|url| self.target(url)) {
            self.targets.insert(target, Asked { operation, name });
        }
    }

    fn target(&self, url: &str) -> Option<String> {
        url.strip_prefix(&self.base).map(str::to_owned)
    }
}

/// The payload of a JWS (RFC 7515 §7.2.2).
pub(super) fn payload(body: &[u8]) -> Option<Value> {
    let jws: Value = serde_json::from_slice(body).ok()?;
    let payload = URL_SAFE_NO_PAD.decode(jws["payload"].as_str()?).ok()?;
    serde_json::from_slice(&payload).ok()
}

/// The first identifier of a new order.
fn first_name(body: &[u8]) -> Option<String> {
    payload(body)?["identifiers"][0]["value"].as_str().map(str::to_owned)
}
