//! A certificate of a process that does not run: what the state directory says, and going back there.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::wish::{Refused, Told};
use super::{CertificateStatus, Life, Shown, Slot, Snapshot, asked, validity};
use crate::causes::with_causes;
use crate::lifecycle::{Failure, Lifecycle, Reason, Record, Retry, Served};
use crate::source::files::FilesSource;
use crate::source::{CertificateSettings, Settings};
use crate::store::Store;
use crate::time::Timestamp;

/// How a certificate is by what is kept of it. It reads the disk; no process is asked, and nothing is changed.
pub fn at_rest(store: Option<&Store>, settings: &CertificateSettings, now: Timestamp) -> CertificateStatus {
    let snapshot = match &settings.source {
        Settings::Acme(_) | Settings::Internal => kept(store, settings, now),
        Settings::Files(files) => of_files(FilesSource::new(files.clone()), now),
    };
    let slot: Slot = Arc::new(ArcSwap::from_pointee(snapshot));
    Shown { settings: settings.clone(), slot }.status(now)
}

fn kept(store: Option<&Store>, settings: &CertificateSettings, now: Timestamp) -> Snapshot {
    let stored = store.map(|store| store.load_identity(&settings.name));
    let (identity, issued_by, trouble) = match stored {
        Some(Ok(Some(stored))) => {
            let issued_by = stored.meta.issued_by().map(str::to_owned);
            (Some(stored.identity), issued_by, stored.fallback)
        }
        Some(Ok(None)) | None => (None, None, None),
        Some(Err(error)) => (None, None, Some(with_causes(&error))),
    };
    let record: Option<Record> = store.and_then(|store| store.load_record(&settings.name).ok().flatten());
    let served = identity.as_ref().map_or(Served::Placeholder, |identity| Served::Certificate(validity(identity)));
    let mut asked = asked::asked(settings);
    // Read without keys and trust anchors the settings only seem to be others, which would begin all anew.
    if let Some(record) = record.as_ref().filter(|record| record.asked.product == asked.product) {
        asked.way.clone_from(&record.asked.way);
    }
    // An attempt that runs is the process's own: only that one knows whether it still does.
    let life = Lifecycle::open(record, asked, served, true, now, &mut rand::rng());
    let unsaved = trouble.map(|detail| storage(detail).noted(now));
    Snapshot { life: Life::Issued { life: Box::new(life), unsaved }, identity, issued_by }
}

fn of_files(mut source: FilesSource, now: Timestamp) -> Snapshot {
    match source.load() {
        Ok(assembled) => {
            let served = Served::Certificate(validity(&assembled.identity));
            Snapshot {
                life: Life::Files { served, last_failure: None },
                identity: Some(assembled.identity),
                issued_by: None,
            }
        }
        Err(errors) => {
            let detail = errors.iter().map(|error| with_causes(error)).collect::<Vec<_>>().join("; ");
            let last_failure = Some(storage(detail).noted(now));
            Snapshot { life: Life::Files { served: Served::Nothing, last_failure }, identity: None, issued_by: None }
        }
    }
}

fn storage(detail: String) -> Failure {
    Failure { reason: Reason::Storage, retry: Retry::Backoff, detail, fix: None }
}

/// Goes back to a generation that is kept, for the next start of the process.
///
/// # Errors
///
/// [`Refused`] when it has expired (unless `force`), is damaged, or a process orders just now; nothing has changed then.
pub fn go_back_at_rest(
    store: &Store,
    settings: &CertificateSettings,
    number: u64,
    force: bool,
    now: Timestamp,
) -> Told {
    const NONE: &str = "the certificate in service stays";
    let name = &settings.name;
    let failed = |why: String| Refused::new(NONE, why, "`portvakt cert show` lists what can be gone back to");
    let locked = store.lock(name).map_err(|error| failed(with_causes(&error)))?;
    let Some(_guard) = locked else {
        return Err(Refused::held_by(NONE, store.lock_holder(name).as_deref()));
    };
    let (identity, meta) = store.load_generation(name, number).map_err(|error| failed(with_causes(&error)))?;
    let validity = validity(&identity);
    if validity.not_after < now && !force {
        let why = format!("generation {number} has expired at {}", validity.not_after);
        return Err(Refused::new(NONE, why, "`--force`, if an expired certificate is better than the present one"));
    }
    let record: Option<Record> = store.load_record(name).ok().flatten();
    let served = Served::Certificate(validity);
    let mut life = Lifecycle::open(record, asked::asked(settings), served, true, now, &mut rand::rng());
    life.went_back(&meta.product, validity, now, &mut rand::rng());
    store.point_to(name, number).map_err(|error| failed(with_causes(&error)))?;
    store.save_record(name, life.record()).map_err(|error| failed(with_causes(&error)))?;
    Ok(format!("generation {number} is served from the next start on, until {}", validity.not_after))
}
