//! A client's certificate, from the connection to the upstream's request.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderName;
use pingora::Result;
use pingora::http::RequestHeader;

use super::connection::Connection;
use crate::metrics::ClientCertificateRefusal;
use crate::route::{CertificateRefusal, ClientCertificates, HeaderEdits, Shown, byte_sequence, byte_sequences};
use crate::time::Timestamp;
use crate::tls::{ClientCertificate, Resolver};

/// What is known of the client, by the rules that hold for its site now.
pub(super) fn shown<'a>(connection: &'a Connection, resolver: &Resolver, now: Timestamp) -> Shown<'a> {
    let Some((site, proof)) = connection.site.as_deref().zip(connection.proof()) else { return Shown::Nothing };
    if !proof.is_good(resolver.judge(site).as_deref(), now) {
        return Shown::BeforeAChange;
    }
    proof.certificate().map_or(Shown::Nothing, |certificate| Shown::Certificate(&certificate.holder))
}

/// Takes away what a client says about certificates in the headers that are `ours`, and writes what it has proven.
pub(super) fn hand_on(
    rules: &ClientCertificates,
    ours: &HeaderEdits,
    proven: Option<&ClientCertificate>,
    request: &mut RequestHeader,
) -> Result<()> {
    let doomed = |name: &&HeaderName| ours.remove.contains(name) || ours.is_disguised(name);
    let doomed: Vec<_> = request.headers.keys().filter(doomed).cloned().collect();
    for name in doomed {
        request.remove_header(&name);
    }
    let Some((leaf, rest)) = proven.and_then(|certificate| certificate.chain.split_first()) else { return Ok(()) };
    let leaf = STANDARD.encode(leaf);
    for name in &rules.pass_on {
        let value = if name == CLIENT_CERT { byte_sequence(&leaf) } else { leaf.clone() };
        request.insert_header(name.clone(), value)?;
    }
    let rest: Vec<_> = rest.iter().map(|certificate| STANDARD.encode(certificate)).collect();
    let length = rest.iter().map(String::len).sum::<usize>();
    if rules.with_chain && !rest.is_empty() && length <= LONGEST_CHAIN {
        request.insert_header(CLIENT_CERT_CHAIN, byte_sequences(&rest))?;
    }
    Ok(())
}

pub(super) const fn label(refusal: CertificateRefusal) -> ClientCertificateRefusal {
    match refusal {
        CertificateRefusal::Missing => ClientCertificateRefusal::Missing,
        CertificateRefusal::NotListed => ClientCertificateRefusal::NotListed,
        CertificateRefusal::Expired => ClientCertificateRefusal::Expired,
        CertificateRefusal::BeforeAChange => ClientCertificateRefusal::BeforeAChange,
    }
}

/// RFC 9440.
const CLIENT_CERT: &str = "client-cert";
const CLIENT_CERT_CHAIN: &str = "client-cert-chain";
/// A longer one is left out: servers take 16 KiB of headers in all.
const LONGEST_CHAIN: usize = 12 * 1024;
