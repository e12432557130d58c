//! Taking a certificate back before its end (RFC 8555 §7.6).

use std::fmt;

use serde_json::json;
use tracing::info;

use super::AcmeSource;
use super::account::Stored;
use super::error::{AcmeError, Step};
use super::jose::{Name, Session, Signer, encoded};
use crate::causes::with_causes;
use crate::pki::Identity;

/// Why a certificate is revoked; those reasons of RFC 5280 §5.3.1 that CAs take from subscribers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RevocationReason {
    /// None is told.
    #[default]
    Unspecified,
    /// Somebody else has, or may have, the private key.
    KeyCompromise,
    /// Another certificate has taken its place.
    Superseded,
    /// The names are no longer served.
    CessationOfOperation,
}

impl RevocationReason {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Unspecified, Self::KeyCompromise, Self::Superseded, Self::CessationOfOperation];

    /// As RFC 5280 writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "keyCompromise",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessationOfOperation",
        }
    }

    const fn code(self) -> u8 {
        match self {
            Self::Unspecified => 0,
            Self::KeyCompromise => 1,
            Self::Superseded => 4,
            Self::CessationOfOperation => 5,
        }
    }
}

impl fmt::Display for RevocationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who has signed a revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevokedBy {
    /// The account that ordered the certificate.
    Account,
    /// The certificate's own key.
    CertificateKey,
    /// It was revoked before.
    Nobody,
}

impl AcmeSource {
    /// Revokes a certificate of this CA: by the kept account, and by the certificate's own key when the account is gone or
    /// may not.
    ///
    /// # Errors
    ///
    /// [`AcmeError::NoRevocation`] where the CA does not offer it, and every way in which the CA cannot be asked.
    pub async fn revoke(&self, identity: &Identity, reason: RevocationReason) -> Result<RevokedBy, AcmeError> {
        let accounts = self.accounts();
        accounts.settle().await?;
        if let Some(Stored { key, url: Some(url), .. }) = accounts.load().await? {
            let signer = key.signer()?;
            match self.post_revocation(&signer, Name::Account(&url), identity, reason).await {
                Err(error) if error.is_about_account() => {
                    info!(
                        why = with_causes(&error),
                        "the account may not revoke: signing with the certificate's own key"
                    );
                }
                other => return other.map(|is_new| if is_new { RevokedBy::Account } else { RevokedBy::Nobody }),
            }
        }
        let signer = Signer::new(identity.key()).map_err(|error| self.error(Step::Revoke, error))?;
        let is_new = self.post_revocation(&signer, Name::Key, identity, reason).await?;
        Ok(if is_new { RevokedBy::CertificateKey } else { RevokedBy::Nobody })
    }

    /// False when it was revoked before.
    async fn post_revocation(
        &self,
        signer: &Signer,
        name: Name<'_>,
        identity: &Identity,
        reason: RevocationReason,
    ) -> Result<bool, AcmeError> {
        let directory = self.client.directory().await.map_err(|error| self.error(Step::Connect, error.into()))?;
        let Some(url) = &directory.revoke_cert else {
            return Err(AcmeError::NoRevocation { directory: self.settings.directory.clone() });
        };
        let leaf = identity.chain().certificates().first().map(|leaf| encoded(leaf)).unwrap_or_default();
        let payload = json!({ "certificate": leaf, "reason": reason.code() });
        self.client.seen().doing(Step::Revoke);
        let session = Session { client: &self.client, signer, name };
        match session.post(url, Some(&payload)).await.map_err(|error| self.error(Step::Revoke, error)) {
            Ok(_) => Ok(true),
            Err(error) if error.is_already_revoked() => Ok(false),
            Err(error) => Err(error),
        }
    }
}
