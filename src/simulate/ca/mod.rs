//! A CA as Let's Encrypt runs it: orders, validations, renewal information, limits. It keeps the true time.
//!
//! Each method is one request. What portvakt does with the answer is in `parts`.

mod limits;

use std::collections::VecDeque;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::SmallRng;

use super::executor::Millis;
use super::faults::Weather;
use crate::lifecycle::{Reason, Validity, Window};
use crate::time::Timestamp;
pub(super) use limits::{Limit, Limits};

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Client {
    /// One for each machine.
    pub(super) account: u64,
    /// One for each machine.
    pub(super) address: u64,
}

/// For which names a certificate is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Names {
    /// Which exact set; one for each certificate.
    pub(super) set: usize,
    /// Under which registered domain.
    pub(super) domain: u64,
}

/// An issued certificate: what it says, in place of X.509.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Issued {
    /// Never given twice by one CA, never zero.
    pub(super) serial: u64,
    /// First and last second.
    pub(super) validity: Validity,
    /// Whether it can be used.
    pub(super) is_sound: bool,
}

/// An order, by the number of its URL.
pub(super) type OrderId = u64;

/// State of an order (RFC 8555 §7.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Pending,
    Ready,
    Valid,
    Invalid,
}

/// An answer that is no success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Nobody answers.
    Away,
    /// An HTTP status, and when it asks to be back.
    Busy(u16, Option<Millis>),
    /// 429: a limit has been reached that the client could have kept.
    Limited(Limit, Millis),
    /// 409: another order replaces that certificate.
    AlreadyReplaced,
    /// There is no such order or certificate.
    Gone,
}

/// The CA.
#[derive(Debug, Default)]
pub(super) struct Ca {
    /// How it stands now.
    pub(super) weather: Weather,
    /// Kept for every client.
    pub(super) limits: Limits,
    sets: Vec<Set>,
    accounts: Vec<u64>,
    serials: u64,
    orders: u64,
    requests: u64,
}

/// What is known of one exact set of names.
#[derive(Clone, Debug, Default)]
struct Set {
    /// The last few.
    issued: VecDeque<Record>,
    order: Option<Order>,
    authorized_until: Millis,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    issued: Issued,
    account: u64,
    is_replaced: bool,
    /// Must go, since an incident.
    must_go: bool,
}

#[derive(Clone, Copy, Debug)]
struct Order {
    id: OrderId,
    status: Status,
    ends: Millis,
    replaces: Option<u64>,
    certificate: Option<Issued>,
}

impl Ca {
    /// Without any certificate; knows of so many sets of names.
    pub(super) fn new(sets: usize) -> Self {
        Self { sets: vec![Set::default(); sets], ..Self::default() }
    }

    /// It has issued this before anybody looked.
    pub(super) fn found(&mut self, client: Client, names: Names, issued: Issued) {
        let record = Record { issued, account: client.account, is_replaced: false, must_go: false };
        self.sets[names.set].issued.push_back(record);
        self.accounts.push(client.account);
    }

    /// How many requests were sent to it, answered or not.
    pub(super) fn requests(&self) -> u64 {
        self.requests
    }

    /// newAccount: once for each account, whatever comes after.
    pub(super) fn register(&mut self, client: Client, now: Millis, rng: &mut SmallRng) -> Result<(), Refusal> {
        if self.accounts.contains(&client.account) {
            return Ok(());
        }
        self.let_in(Limit::Calls, client, now, rng)?;
        self.spend(Limit::Registrations, client.address, now)?;
        self.accounts.push(client.account);
        Ok(())
    }

    /// newOrder, perhaps as the replacement of a certificate.
    pub(super) fn order(
        &mut self,
        client: Client,
        names: Names,
        replaces: Option<u64>,
        now: Millis,
        rng: &mut SmallRng,
    ) -> Result<OrderId, Refusal> {
        self.let_in(Limit::OrderCalls, client, now, rng)?;
        let is_in_window = match replaces {
            Some(serial) => self.may_replace(client, names, serial, now)?,
            None => false,
        };
        if let Some(open) = self.sets[names.set].open_order(now) {
            return Ok(open.id);
        }
        self.allow(client, names, is_in_window, now)?;
        self.orders += 1;
        let set = &mut self.sets[names.set];
        let status = if now < set.authorized_until { Status::Ready } else { Status::Pending };
        set.order = Some(Order { id: self.orders, status, ends: now + ORDER_LIFE, replaces, certificate: None });
        Ok(self.orders)
    }

    /// POST-as-GET of an order.
    pub(super) fn look(
        &mut self,
        client: Client,
        names: Names,
        order: OrderId,
        now: Millis,
        rng: &mut SmallRng,
    ) -> Result<Status, Refusal> {
        self.let_in(Limit::Calls, client, now, rng)?;
        let order = self.sets[names.set].order.filter(|known| known.id == order).ok_or(Refusal::Gone)?;
        Ok(if order.ends <= now && order.status != Status::Valid { Status::Invalid } else { order.status })
    }

    /// The validation that a challenge has begun has ended: the names are ours, or not.
    pub(super) fn validated(
        &mut self,
        client: Client,
        names: Names,
        failure: Option<Reason>,
        now: Millis,
        rng: &mut SmallRng,
    ) -> Result<Status, Refusal> {
        self.let_in(Limit::Calls, client, now, rng)?;
        let of = per_account(client, names);
        let set = &mut self.sets[names.set];
        let Some(order) = set.order.as_mut() else { return Err(Refusal::Gone) };
        order.status = if failure.is_some() { Status::Invalid } else { Status::Ready };
        if failure.is_some() {
            self.limits.take(Limit::FailedAuthorizations, of, now);
            self.limits.take(Limit::Paused, of, now);
            return Ok(Status::Invalid);
        }
        set.authorized_until = now + AUTHORIZATION_LIFE;
        self.limits.reset(Limit::Paused, of);
        Ok(Status::Ready)
    }

    /// Finalize: a certificate of this lifetime is issued. Sent again for a valid order it changes nothing.
    pub(super) fn finalize(
        &mut self,
        client: Client,
        names: Names,
        lifetime: Duration,
        now: Millis,
        rng: &mut SmallRng,
    ) -> Result<(), Refusal> {
        self.let_in(Limit::Calls, client, now, rng)?;
        let set = &mut self.sets[names.set];
        let Some(order) = set.order.as_mut().filter(|order| order.status == Status::Ready) else {
            return Err(Refusal::Gone);
        };
        self.serials += 1;
        let not_before = seconds(now) - BACKDATED;
        let validity = Validity { not_before, not_after: not_before + lifetime - Duration::from_secs(1) };
        let issued = Issued { serial: self.serials, validity, is_sound: !self.weather.bad_chains };
        (order.status, order.certificate) = (Status::Valid, Some(issued));
        let replaced = order.replaces;
        let was_exempt = replaced.is_some_and(|serial| set.is_in_window(serial, now));
        let is_renewal = !set.issued.is_empty();
        for record in &mut set.issued {
            record.is_replaced |= Some(record.issued.serial) == replaced;
        }
        let record = Record { issued, account: client.account, is_replaced: false, must_go: false };
        set.issued.push_back(record);
        if set.issued.len() > KEPT {
            set.issued.pop_front();
        }
        if !was_exempt {
            self.limits.take(Limit::SameSet, names.set as u64, now);
        }
        if !was_exempt && !is_renewal {
            self.limits.take(Limit::Domain, names.domain, now);
        }
        Ok(())
    }

    /// The certificate of a valid order.
    pub(super) fn download(
        &mut self,
        client: Client,
        names: Names,
        now: Millis,
        rng: &mut SmallRng,
    ) -> Result<Issued, Refusal> {
        self.let_in(Limit::Calls, client, now, rng)?;
        self.sets[names.set].order.and_then(|order| order.certificate).ok_or(Refusal::Gone)
    }

    /// The directory, and with it the time.
    pub(super) fn directory(&mut self, client: Client, now: Millis, rng: &mut SmallRng) -> Result<(), Refusal> {
        self.let_in(Limit::Calls, client, now, rng)
    }

    /// renewalInfo: when the certificate is to be renewed, and when to ask again.
    pub(super) fn renewal_info(
        &mut self,
        client: Client,
        names: Names,
        serial: u64,
        now: Millis,
        rng: &mut SmallRng,
    ) -> Result<(Window, Duration), Refusal> {
        self.let_in(Limit::InfoCalls, client, now, rng)?;
        if self.weather.info_away {
            return Err(Refusal::Busy(500, None));
        }
        let record = self.sets[names.set].record(serial).ok_or(Refusal::Gone)?;
        let window = match self.weather.info_nonsense {
            true if serial.is_multiple_of(2) => Window { start: seconds(now), end: seconds(now), explanation: None },
            true => window(Validity { not_after: record.issued.validity.not_after + FAR, ..record.issued.validity }),
            false if record.must_go => window_of_incident(now),
            false => window(record.issued.validity),
        };
        Ok((window, ASK_AGAIN.mul_f64(rng.random_range(0.8..=1.2))))
    }

    /// So many of a hundred of all that is not expired must go. Gives the sets whose last certificate that is.
    pub(super) fn revoke(&mut self, share: u8, now: Millis, rng: &mut SmallRng) -> Vec<(usize, u64)> {
        let mut hit = Vec::new();
        for (at, set) in self.sets.iter_mut().enumerate() {
            let Some(last) = set.issued.back_mut() else { continue };
            if seconds(now) < last.issued.validity.not_after && rng.random_range(0..100) < share {
                last.must_go = true;
                hit.push((at, last.issued.serial));
            }
        }
        hit
    }

    /// What stands between a request and its answer, however good it is.
    fn let_in(&mut self, limit: Limit, client: Client, now: Millis, rng: &mut SmallRng) -> Result<(), Refusal> {
        self.requests += 1;
        if self.weather.is_away {
            return Err(Refusal::Away);
        }
        if let Some((status, retry_after, share)) = self.weather.storm
            && rng.random_range(0..100) < share
        {
            return Err(Refusal::Busy(status, retry_after.map(|span| now + span)));
        }
        self.spend(limit, client.address, now)
    }

    /// Whether the certificate may be replaced by this client; then whether its window is open now, which lifts limits.
    fn may_replace(&self, client: Client, names: Names, serial: u64, now: Millis) -> Result<bool, Refusal> {
        let set = &self.sets[names.set];
        let record = set.record(serial).filter(|record| record.account == client.account).ok_or(Refusal::Gone)?;
        let is_open = set.open_order(now).is_some_and(|order| order.replaces == Some(serial));
        if record.is_replaced || is_open {
            return Err(Refusal::AlreadyReplaced);
        }
        Ok(set.is_in_window(serial, now))
    }

    fn allow(&mut self, client: Client, names: Names, is_in_window: bool, now: Millis) -> Result<(), Refusal> {
        if is_in_window {
            return Ok(());
        }
        let of = per_account(client, names);
        self.check(Limit::FailedAuthorizations, of, now)?;
        self.check(Limit::Paused, of, now)?;
        self.check(Limit::SameSet, names.set as u64, now)?;
        if self.sets[names.set].issued.is_empty() {
            self.check(Limit::Domain, names.domain, now)?;
            self.spend(Limit::Orders, client.account, now)?;
        }
        Ok(())
    }

    fn check(&self, limit: Limit, of: u64, now: Millis) -> Result<(), Refusal> {
        self.limits.check(limit, of, now).map_err(|at| Refusal::Limited(limit, at))
    }

    fn spend(&mut self, limit: Limit, of: u64, now: Millis) -> Result<(), Refusal> {
        self.limits.spend(limit, of, now).map_err(|at| Refusal::Limited(limit, at))
    }
}

impl Set {
    fn record(&self, serial: u64) -> Option<&Record> {
        self.issued.iter().find(|record| record.issued.serial == serial)
    }

    fn open_order(&self, now: Millis) -> Option<Order> {
        self.order.filter(|order| now < order.ends && matches!(order.status, Status::Pending | Status::Ready))
    }

    fn is_in_window(&self, serial: u64, now: Millis) -> bool {
        self.record(serial).is_some_and(|record| {
            let window = if record.must_go { window_of_incident(now) } else { window(record.issued.validity) };
            (window.start..window.end).contains(&seconds(now))
        })
    }
}

/// Two thirds of the life, one half under ten days of it; a hundredth to each side.
pub(super) fn window(validity: Validity) -> Window {
    let total = validity.total() + Duration::from_secs(1);
    let centre = validity.not_before + if total < SHORT { total / 2 } else { total / 3 * 2 };
    Window { start: centre - total / 100, end: centre + total / 100, explanation: None }
}

fn window_of_incident(now: Millis) -> Window {
    let start = seconds(now) - Duration::from_secs(3_600);
    let explanation = Some("https://ca.example/incident".to_owned());
    Window { start, end: start + Duration::from_secs(1_800), explanation }
}

fn per_account(client: Client, names: Names) -> u64 {
    client.account << 32 | names.set as u64
}

/// Whole seconds, as everybody else counts.
pub(super) fn seconds(at: Millis) -> Timestamp {
    Timestamp::from_unix(at.div_euclid(1_000))
}

const BACKDATED: Duration = Duration::from_secs(3_600);
const SHORT: Duration = Duration::from_secs(10 * 86_400);
const ASK_AGAIN: Duration = Duration::from_secs(6 * 3_600);
const FAR: Duration = Duration::from_secs(3_650 * 86_400);
/// Of the shorter profiles; of the classic one it is a week.
const ORDER_LIFE: Millis = 8 * 3_600_000;
/// As above; of the classic one it is thirty days now, and seven hours from 2028 on.
const AUTHORIZATION_LIFE: Millis = 7 * 3_600_000;
const KEPT: usize = 4;

#[cfg(test)]
mod tests;
