//! Ways from a leaf to a root that somebody believes in.
//!
//! As in RFC 5280 §6, but every way is looked for and none is taken for the right one: phones and browsers know different
//! roots, and an authority that is cross-signed leads to several.

use crate::pki::{Certificate, TrustAnchors};
use crate::time::Timestamp;

/// A root, and who believes in it.
#[derive(Clone, Debug)]
pub(super) struct Root {
    pub(super) certificate: Certificate,
    /// Not one of Mozilla's: believed only where somebody has put it.
    pub(super) is_private: bool,
}

/// Every root that is known here.
#[derive(Clone, Debug)]
pub(super) struct Roots(Vec<Root>);

impl Roots {
    /// Mozilla's, and those of `private`.
    pub(super) fn new(private: Option<&TrustAnchors>) -> Self {
        let read = |anchors: &TrustAnchors, is_private| {
            let each = anchors.certificates().iter().filter_map(|der| Certificate::read(der.clone()).ok());
            each.map(|certificate| Root { certificate, is_private }).collect::<Vec<_>>()
        };
        let mut roots = read(&TrustAnchors::mozilla(), false);
        roots.extend(private.map(|private| read(private, true)).unwrap_or_default());
        Self(roots)
    }

    /// The roots that this certificate leads to, or is.
    fn of<'a>(&'a self, certificate: &'a Certificate) -> impl Iterator<Item = &'a Root> {
        self.0.iter().filter(move |root| {
            certificate.der() == root.certificate.der() || certificate.is_issued_by(&root.certificate)
        })
    }
}

/// One way: the leaf, intermediates, and the root that is not sent.
#[derive(Clone, Debug)]
pub(super) struct Way<'a> {
    pub(super) certificates: Vec<&'a Certificate>,
    pub(super) root: &'a Root,
}

impl Way<'_> {
    /// The moment at which one of its certificates ends; the root does not count, since phones do not look at its date.
    pub(super) fn not_after(&self) -> Timestamp {
        let ends = self.certificates.iter().map(|certificate| certificate.facts().not_after);
        ends.min().unwrap_or_default()
    }

    /// Every intermediate may issue, and none is out of date.
    fn is_sound(&self, now: Timestamp) -> bool {
        self.certificates.iter().skip(1).all(|certificate| {
            let facts = certificate.facts();
            facts.is_ca && facts.not_before <= now && now <= facts.not_after
        })
    }
}

/// Every sound way from `leaf` by certificates of `pool`.
pub(super) fn ways<'a>(
    leaf: &'a Certificate,
    pool: &'a [Certificate],
    roots: &'a Roots,
    now: Timestamp,
) -> Vec<Way<'a>> {
    let mut found = Vec::new();
    let mut steps = MOST_STEPS;
    climb(&mut vec![leaf], pool, roots, &mut steps, &mut found);
    found.retain(|way| way.is_sound(now));
    found
}

fn climb<'a>(
    so_far: &mut Vec<&'a Certificate>,
    pool: &'a [Certificate],
    roots: &'a Roots,
    steps: &mut usize,
    found: &mut Vec<Way<'a>>,
) {
    let Some(last) = so_far.last().copied() else { return };
    if *steps == 0 || so_far.len() > LONGEST {
        return;
    }
    *steps -= 1;
    found.extend(roots.of(last).map(|root| Way { certificates: so_far.clone(), root }));
    for issuer in pool {
        if !so_far.contains(&issuer) && last.is_issued_by(issuer) {
            so_far.push(issuer);
            climb(so_far, pool, roots, steps, found);
            so_far.pop();
        }
    }
}

/// The certificate at which every way upwards ends without a root; `None` when one leads to a root, or ends in a
/// certificate that signs itself.
pub(super) fn dead_end<'a>(leaf: &'a Certificate, pool: &'a [Certificate], roots: &Roots) -> Option<&'a Certificate> {
    let mut last = leaf;
    let mut passed = vec![leaf];
    while passed.len() <= LONGEST {
        if last.is_self_signed() || roots.of(last).next().is_some() {
            return None;
        }
        match pool.iter().find(|issuer| !passed.contains(issuer) && last.is_issued_by(issuer)) {
            Some(issuer) => {
                passed.push(issuer);
                last = issuer;
            }
            None => return Some(last),
        }
    }
    None
}

/// Certificates from the leaf to the root; four is much.
const LONGEST: usize = 8;
/// A server that sends a maze is not followed through all of it.
const MOST_STEPS: usize = 256;
