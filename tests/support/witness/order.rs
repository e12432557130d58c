//! What became of an order at a CA.

use portvakt::pki::CertificateChain;
use portvakt::time::{Clock, SystemClock};
use serde_json::Value;

use crate::support::raw::Reply;

/// An order that the CA has made (RFC 8555 §7.1.3), as its answers have told.
#[derive(Clone, Debug)]
pub(crate) struct SeenOrder {
    /// Its own URL.
    pub(crate) url: String,
    /// Its first identifier.
    pub(crate) name: String,
    /// Portvakt has gone on with it: something of it was asked for after it was made.
    pub(crate) is_continued: bool,
    /// It can give no certificate: the CA has called it or one of its authorizations invalid, or the certificate had
    /// ended when it was handed out.
    pub(crate) is_over: bool,
    /// The leaf that it gave, DER, once that was handed out.
    pub(crate) leaf: Option<Vec<u8>>,
    authorizations: Vec<String>,
    finalize: String,
    certificate: Option<String>,
}

impl SeenOrder {
    pub(super) fn new(url: Option<&str>, json: &Value) -> Option<Self> {
        let authorizations = json["authorizations"].as_array()?.iter().filter_map(Value::as_str);
        Some(Self {
            url: url?.to_owned(),
            name: json["identifiers"][0]["value"].as_str()?.to_owned(),
            is_continued: false,
            is_over: false,
            leaf: None,
            authorizations: authorizations.map(str::to_owned).collect(),
            finalize: json["finalize"].as_str()?.to_owned(),
            certificate: None,
        })
    }

    pub(super) fn is_of(&self, url: &str) -> bool {
        self.url == url
            || self.finalize == url
            || self.certificate.as_deref() == Some(url)
            || self.authorizations.iter().any(|own| own == url)
    }

    pub(super) fn note(&mut self, url: &str, reply: &Reply, json: &Value) {
        self.is_continued = true;
        self.is_over |= json["status"] == "invalid";
        if let Some(certificate) = json["certificate"].as_str() {
            self.certificate = Some(certificate.to_owned());
        }
        if self.certificate.as_deref() == Some(url) && reply.status == 200 {
            let chain = CertificateChain::from_pem(&reply.body).expect("the CA gives a chain");
            self.is_over |= chain.leaf().not_after <= SystemClock.now();
            self.leaf = chain.certificates().first().map(|leaf| leaf.to_vec());
        }
    }
}
