//! Signed requests (RFC 8555 §6.2, RFC 7515) for what instant-acme does not send: an account bound to an external one
//! with a key that was kept before, another key for an account, a revocation by the certificate's own key, and the
//! download of another chain.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::response::Parts;
use http::{HeaderMap, Method, Request};
use instant_acme::{BodyWrapper, Error, Problem};
use serde_json::{Value, json};

use super::http::{AGENT, CaClient};
use super::{NONCE_ROUNDS, is_bad_nonce};
use crate::pki::PrivateKey;

/// A key that signs requests.
pub(super) struct Signer {
    key: Key,
    algorithm: &'static str,
    /// Members of the public JWK in the order of RFC 7638 §3.
    jwk: Vec<(&'static str, String)>,
}

enum Key {
    Ecdsa(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl Signer {
    /// Takes a key of RSA or of the NIST curves (RFC 7518 §3.1).
    pub(super) fn new(key: &PrivateKey) -> Result<Self, Error> {
        let curves = CURVES.iter().find_map(|(curve, algorithm, name)| {
            Some((EcdsaKeyPair::from_pkcs8(curve, key.der()).ok()?, *algorithm, *name))
        });
        if let Some((pair, algorithm, curve)) = curves {
            // An uncompressed point: 4, x, y.
            let point = pair.public_key().as_ref();
            let (x, y) = point.get(1..).unwrap_or_default().split_at(point.len() / 2);
            let jwk = vec![("crv", curve.to_owned()), ("kty", "EC".to_owned()), ("x", encoded(x)), ("y", encoded(y))];
            return Ok(Self { key: Key::Ecdsa(pair), algorithm, jwk });
        }
        let pair = RsaKeyPair::from_pkcs8(key.der()).map_err(|_| Error::KeyRejected)?;
        let e = encoded(pair.public_key().exponent().big_endian_without_leading_zero());
        let n = encoded(pair.public_key().modulus().big_endian_without_leading_zero());
        let jwk = vec![("e", e), ("kty", "RSA".to_owned()), ("n", n)];
        Ok(Self { key: Key::Rsa(pair), algorithm: "RS256", jwk })
    }

    /// The public key (RFC 7517).
    pub(super) fn jwk(&self) -> Value {
        self.jwk.iter().map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str()))).collect()
    }

    /// SHA-256 over the public key (RFC 7638), in base64url.
    pub(super) fn thumbprint(&self) -> String {
        // In the order of the alphabet and without spaces, as RFC 7638 §3 wants; none of the values has anything to escape.
        let members: Vec<String> = self.jwk.iter().map(|(name, value)| format!("\"{name}\":\"{value}\"")).collect();
        encoded(digest::digest(&digest::SHA256, format!("{{{}}}", members.join(",")).as_bytes()).as_ref())
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let random = SystemRandom::new();
        match &self.key {
            Key::Ecdsa(pair) => Ok(pair.sign(&random, message).map_err(|_| Error::Crypto)?.as_ref().to_vec()),
            Key::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(|_| Error::Crypto)?;
                Ok(signature)
            }
        }
    }
}

/// Who signs, as the CA is told (RFC 8555 §6.2).
pub(super) enum Name<'a> {
    /// URL of an account.
    Account(&'a str),
    /// The key itself, where there is no account yet.
    Key,
}

/// One JWS in flattened JSON (RFC 7515 §7.2.2). Without a payload it asks for what is at `url` (RFC 8555 §6.3).
pub(super) fn signed(
    signer: &Signer,
    name: &Name<'_>,
    nonce: Option<&str>,
    url: &str,
    payload: Option<&Value>,
) -> Result<Value, Error> {
    let mut header = json!({ "alg": signer.algorithm, "url": url });
    match name {
        Name::Account(account) => header["kid"] = Value::from(*account),
        Name::Key => header["jwk"] = signer.jwk(),
    }
    if let Some(nonce) = nonce {
        header["nonce"] = Value::from(nonce);
    }
    let (protected, payload) = (encoded(header.to_string().as_bytes()), payload.map_or_else(String::new, encoded_json));
    let signature = signer.sign(format!("{protected}.{payload}").as_bytes())?;
    Ok(json!({ "protected": protected, "payload": payload, "signature": encoded(&signature) }))
}

/// An account key signed by the key of an external account (RFC 8555 §7.3.4).
pub(super) fn bound(account: &Signer, kid: &str, key: &[u8], url: &str) -> Value {
    let header = json!({ "alg": "HS256", "kid": kid, "url": url });
    let (protected, payload) = (encoded(header.to_string().as_bytes()), encoded_json(&account.jwk()));
    let message = format!("{protected}.{payload}");
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes());
    json!({ "protected": protected, "payload": payload, "signature": encoded(signature.as_ref()) })
}

/// Sends signed requests, each with a nonce.
pub(super) struct Session<'a> {
    pub(super) client: &'a CaClient,
    pub(super) signer: &'a Signer,
    pub(super) name: Name<'a>,
}

impl Session<'_> {
    /// Posts, and repeats what was refused for its nonce.
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with the CA's own words, [`Error::Other`] when no answer came.
    pub(super) async fn post(&self, url: &str, payload: Option<&Value>) -> Result<(Parts, Bytes), Error> {
        let mut left = 3 * NONCE_ROUNDS;
        loop {
            match self.post_once(url, payload).await {
                Err(error) if left > 0 && is_bad_nonce(&error) => left -= 1,
                outcome => return outcome,
            }
        }
    }

    async fn post_once(&self, url: &str, payload: Option<&Value>) -> Result<(Parts, Bytes), Error> {
        let nonce = self.nonce().await?;
        let body = signed(self.signer, &self.name, Some(&nonce), url, payload)?.to_string();
        let request = Request::builder().method(Method::POST).uri(url).header(USER_AGENT, AGENT);
        let request = request.header(CONTENT_TYPE, JOSE).body(BodyWrapper::from(body.into_bytes()))?;
        let (parts, body) = self.client.exchange(request).await?;
        match parts.status.is_success() {
            true => Ok((parts, body)),
            false => Err(Error::Api(serde_json::from_slice::<Problem>(&body)?)),
        }
    }

    async fn nonce(&self) -> Result<String, Error> {
        let directory = self.client.directory().await?;
        let request = Request::builder().method(Method::HEAD).uri(&directory.new_nonce).header(USER_AGENT, AGENT);
        let (parts, _) = self.client.exchange(request.body(BodyWrapper::default())?).await?;
        nonce(&parts.headers).ok_or(Error::Str("no nonce found in newNonce response"))
    }
}

fn nonce(headers: &HeaderMap) -> Option<String> {
    headers.get("replay-nonce")?.to_str().ok().map(str::to_owned)
}

pub(super) fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn encoded_json(value: &Value) -> String {
    encoded(value.to_string().as_bytes())
}

const CURVES: [(&EcdsaSigningAlgorithm, &str, &str); 3] = [
    (&ECDSA_P256_SHA256_FIXED_SIGNING, "ES256", "P-256"),
    (&ECDSA_P384_SHA384_FIXED_SIGNING, "ES384", "P-384"),
    (&ECDSA_P521_SHA512_FIXED_SIGNING, "ES512", "P-521"),
];

const JOSE: &str = "application/jose+json";

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
        VerificationAlgorithm,
    };

    use super::*;
    use crate::pki::KeyType;

    fn decoded(value: &Value) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(value.as_str().unwrap()).unwrap()
    }

    #[test]
    fn given_keys_of_each_kind_when_signing_then_their_public_half_verifies() {
        let table: [(KeyType, &str, &dyn VerificationAlgorithm); 3] = [
            (KeyType::P256, "ES256", &ECDSA_P256_SHA256_FIXED),
            (KeyType::P384, "ES384", &ECDSA_P384_SHA384_FIXED),
            (KeyType::Rsa2048, "RS256", &RSA_PKCS1_2048_8192_SHA256),
        ];
        for (kind, algorithm, verifier) in table {
            let signer = Signer::new(&PrivateKey::generate(kind).unwrap()).unwrap();
            let payload = json!({ "reason": 1 });
            let jws = signed(&signer, &Name::Key, Some("n"), "https://ca/x", Some(&payload)).unwrap();

            let header: Value = serde_json::from_slice(&decoded(&jws["protected"])).unwrap();
            assert_eq!((&header["alg"], &header["nonce"]), (&json!(algorithm), &json!("n")));
            assert_eq!((&header["url"], &header["jwk"]), (&json!("https://ca/x"), &signer.jwk()));
            assert_eq!(decoded(&jws["payload"]), payload.to_string().as_bytes());
            let message = format!("{}.{}", jws["protected"].as_str().unwrap(), jws["payload"].as_str().unwrap());
            let public = match &signer.key {
                Key::Ecdsa(pair) => pair.public_key().as_ref().to_vec(),
                Key::Rsa(pair) => pair.public_key().as_ref().to_vec(),
            };
            let verified =
                UnparsedPublicKey::new(verifier, public).verify(message.as_bytes(), &decoded(&jws["signature"]));
            assert!(verified.is_ok(), "{algorithm}");
        }
    }

    /// The thumbprint is what key authorizations end with, and instant-acme makes those.
    #[test]
    fn given_an_account_key_when_printed_then_as_instant_acme_does() {
        let key = PrivateKey::generate(KeyType::P256).unwrap();
        let signer = Signer::new(&key).unwrap();
        let header = json!({ "crv": "P-256", "kty": "EC", "x": signer.jwk()["x"], "y": signer.jwk()["y"] });
        let expected = digest::digest(&digest::SHA256, header.to_string().as_bytes());
        assert_eq!(signer.thumbprint(), encoded(expected.as_ref()));
        assert_eq!(signer.thumbprint().len(), 43);
    }

    #[test]
    fn given_an_external_account_when_bound_then_signed_with_its_key_and_without_a_nonce() {
        let signer = Signer::new(&PrivateKey::generate(KeyType::P256).unwrap()).unwrap();
        let jws = bound(&signer, "kid-1", b"secret", "https://ca/new-account");

        let header: Value = serde_json::from_slice(&decoded(&jws["protected"])).unwrap();
        assert_eq!(header, json!({ "alg": "HS256", "kid": "kid-1", "url": "https://ca/new-account" }));
        let message = format!("{}.{}", jws["protected"].as_str().unwrap(), jws["payload"].as_str().unwrap());
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"secret");
        assert!(hmac::verify(&key, message.as_bytes(), &decoded(&jws["signature"])).is_ok());
        assert_eq!(decoded(&jws["payload"]), signer.jwk().to_string().as_bytes());
    }

    #[test]
    fn given_no_payload_when_signed_then_it_is_empty() {
        let signer = Signer::new(&PrivateKey::generate(KeyType::P256).unwrap()).unwrap();
        let jws = signed(&signer, &Name::Account("https://ca/a/1"), Some("n"), "https://ca/c/1", None).unwrap();
        assert_eq!(jws["payload"], json!(""));
        let header: Value = serde_json::from_slice(&decoded(&jws["protected"])).unwrap();
        assert_eq!((&header["kid"], header.get("jwk")), (&json!("https://ca/a/1"), None));
    }
}
