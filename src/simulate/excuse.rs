//! Whether a certificate could have been renewed in time: told from the faults alone, never from portvakt's words.

use super::executor::Millis;
use super::faults::{CaFault, Fault, MachineFault, What};

/// Half-open spans in rising order that do not touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spans(Vec<(Millis, Millis)>);

impl Spans {
    /// Of spans in any order; empty ones are left out.
    pub(super) fn new(mut spans: Vec<(Millis, Millis)>) -> Self {
        spans.sort_unstable();
        let mut merged: Vec<(Millis, Millis)> = Vec::with_capacity(spans.len());
        for (from, until) in spans.into_iter().filter(|(from, until)| from < until) {
            match merged.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(until),
                _ => merged.push((from, until)),
            }
        }
        Self(merged)
    }

    /// What is in both.
    pub(super) fn intersection(&self, other: &Self) -> Self {
        let mut common = Vec::new();
        for (from, until) in &self.0 {
            common.extend(other.0.iter().map(|span| (span.0.max(*from), span.1.min(*until))));
        }
        Self::new(common)
    }

    /// What is left of `from..until` between them.
    pub(super) fn gaps(&self, from: Millis, until: Millis) -> Vec<(Millis, Millis)> {
        let mut gaps = Vec::new();
        let mut at = from;
        for (begin, end) in &self.0 {
            if *begin >= until {
                break;
            }
            if at < *begin {
                gaps.push((at, *begin));
            }
            at = at.max(*end);
        }
        if at < until {
            gaps.push((at, until));
        }
        gaps
    }
}

/// One certificate's circumstances.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case<'a> {
    pub(super) machine: usize,
    /// In the order in which they may be asked.
    pub(super) cas: &'a [usize],
    /// When it should be renewed.
    pub(super) due: Millis,
    /// When renewing it has become an emergency: another CA has been asked for long.
    pub(super) emergency: Millis,
    /// The first moment at which it is not valid.
    pub(super) end: Millis,
    /// When a CA refused for reasons that are no fault of portvakt.
    pub(super) refused: &'a [(Millis, Millis)],
}

impl Case<'_> {
    /// A time in which nothing hindered, and that was long enough, if there is one: then a lapse has no excuse.
    ///
    /// Long enough is an eighth of what was left at its beginning, the longest that an attempt may be put off, and
    /// [`SLACK`].
    pub(super) fn opportunity(&self, faults: &[Fault]) -> Option<(Millis, Millis)> {
        self.free(faults).into_iter().find(|(from, until)| until - from >= (self.end - from) / 8 + SLACK)
    }

    /// When nothing hindered.
    pub(super) fn free(&self, faults: &[Fault]) -> Vec<(Millis, Millis)> {
        self.hindered(faults).gaps(self.due, self.end)
    }

    /// When no CA could be had.
    fn hindered(&self, faults: &[Fault]) -> Spans {
        // Another CA is asked in the last third before the emergency.
        let passed_on = self.due + (self.emergency - self.due) / 3 * 2;
        let mut all: Option<Spans> = None;
        for (nth, ca) in self.cas.iter().enumerate() {
            let mut spans: Vec<_> = faults
                .iter()
                .filter(|fault| fault.from < self.end)
                .filter_map(|fault| Some((fault.from, fault.hinders(self.machine, *ca)?)))
                .chain(self.refused.iter().copied())
                .collect();
            if nth > 0 {
                spans.push((Millis::MIN, passed_on));
            }
            let spans = Spans::new(spans);
            all = Some(all.map_or_else(|| spans.clone(), |all| all.intersection(&spans)));
        }
        all.unwrap_or_default()
    }
}

/// Whether anything at all was wrong for a machine in a time, apart from reloads and slow answers.
pub(super) fn is_calm(faults: &[Fault], machine: usize, cas: &[usize], from: Millis, until: Millis) -> bool {
    !faults.iter().filter(|fault| fault.from < until).any(|fault| match fault.what {
        What::Ca(ca, CaFault::InfoAway | CaFault::InfoNonsense) => cas.contains(&ca) && from < fault.until,
        What::Machine(at, MachineFault::Clock { .. }) if at == machine => from < fault.until,
        What::Ca(..) | What::Machine(..) => {
            cas.iter().any(|ca| fault.hinders(machine, *ca).is_some_and(|until| from < until))
        }
    })
}

/// What an order may take, and the hour that four failures may cost.
pub(super) const SLACK: Millis = 75 * 60_000;

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Millis = 3_600_000;

    fn outage(ca: usize, from: Millis, until: Millis) -> Fault {
        Fault { from: from * HOUR, until: until * HOUR, what: What::Ca(ca, CaFault::Outage) }
    }

    fn case(cas: &[usize]) -> Case<'_> {
        Case { machine: 0, cas, due: 0, emergency: 36 * HOUR, end: 40 * HOUR, refused: &[] }
    }

    #[test]
    fn given_spans_when_merged_then_gaps_between_them() {
        let spans = Spans::new(vec![(5, 9), (1, 3), (2, 4), (7, 7), (9, 10)]);
        assert_eq!(spans, Spans(vec![(1, 4), (5, 10)]));
        assert_eq!(spans.gaps(0, 12), [(0, 1), (4, 5), (10, 12)]);
        assert_eq!(spans.gaps(2, 6), [(4, 5)]);
        assert_eq!(spans.gaps(6, 9), []);
        assert_eq!(Spans::default().gaps(1, 2), [(1, 2)]);
        assert_eq!(spans.intersection(&Spans::new(vec![(3, 6), (8, 20)])), Spans(vec![(3, 4), (5, 6), (8, 10)]));
    }

    #[test]
    fn given_one_fault_when_judged_then_it_excuses_only_what_it_hindered() {
        let storm = CaFault::Storm { status: 429, retry_after: Some(30 * HOUR), share: 100 };
        let table = [
            ("nothing", vec![], false),
            ("away all the time", vec![outage(0, -5, 40)], true),
            ("away but for the last hour", vec![outage(0, -5, 39)], true),
            ("back in time", vec![outage(0, -5, 30)], false),
            ("gone too late", vec![outage(0, 10, 40)], false),
            ("another CA is away", vec![outage(1, -5, 40)], false),
            ("a Retry-After", vec![Fault { from: 0, until: 9 * HOUR, what: What::Ca(0, storm) }], true),
            (
                "another machine's disk",
                vec![Fault { from: 0, until: 40 * HOUR, what: What::Machine(1, MachineFault::DiskFull) }],
                false,
            ),
            (
                "its disk",
                vec![Fault { from: 0, until: 40 * HOUR, what: What::Machine(0, MachineFault::DiskFull) }],
                true,
            ),
            (
                "a clock ahead",
                vec![Fault { from: 0, until: 40 * HOUR, what: What::Machine(0, MachineFault::Clock { by: 9 * HOUR }) }],
                false,
            ),
            (
                "a late clock",
                vec![Fault {
                    from: 0,
                    until: 40 * HOUR,
                    what: What::Machine(0, MachineFault::Clock { by: -9 * HOUR }),
                }],
                false,
            ),
        ];
        for (name, faults, is_excused) in table {
            assert_eq!(case(&[0]).opportunity(&faults).is_none(), is_excused, "{name}");
        }
    }

    #[test]
    fn given_a_second_ca_when_judged_then_both_must_be_away() {
        let away = outage(0, -5, 40);
        assert!(case(&[0, 1]).opportunity(std::slice::from_ref(&away)).is_some());
        assert!(case(&[0, 1]).opportunity(&[away, outage(1, 25, 40)]).is_none());
        // The second is not asked early.
        assert!(case(&[0, 1]).opportunity(&[away, outage(1, 24, 40)]).is_none());
    }
}
