//! The alerts hold for certificates of a day and of a year: silent while each is renewed in its time, and told in time when it is not.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use tempfile::TempDir;

use crate::support::peers::program;
use crate::support::podman::deploy;

/// A validity, and how far apart its moments are looked at.
#[derive(Clone, Copy)]
struct Life {
    name: &'static str,
    minutes: u64,
    step: u64,
}

const LIVES: [Life; 5] = [
    Life { name: "24 hours", minutes: 24 * 60, step: 5 },
    Life { name: "160 hours", minutes: 160 * 60, step: 30 },
    Life { name: "45 days", minutes: 45 * DAY, step: 180 },
    Life { name: "90 days", minutes: 90 * DAY, step: 360 },
    Life { name: "a year", minutes: 365 * DAY, step: DAY },
];

const DAY: u64 = 24 * 60;

impl Life {
    /// When portvakt renews: half of a short life, two thirds of a long one.
    fn due(self) -> u64 {
        if self.minutes < 10 * DAY { self.minutes / 2 } else { self.minutes / 3 * 2 }
    }

    /// The next moment that is looked at.
    fn round(self, minute: u64) -> u64 {
        minute.div_ceil(self.step) * self.step
    }
}

#[test]
fn given_any_lifetime_when_all_is_renewed_in_its_time_then_no_alert_at_all() {
    for life in LIVES {
        let mut play = Play::new(life, life.minutes * 5 / 2);
        play.ordered(|now| now / life.due() * life.due());
        // A program of others renews files and servers with a third of the life left.
        let other = life.minutes / 3 * 2;
        play.not_ours("bought", "listener", |now| now / other * other);
        play.not_ours("legacy", "upstream_peer", |now| now / other * other);
        let end = play.last();
        play.expect(&format!("count_over_time(ALERTS{{alertstate=\"firing\"}}[{end}m])"), end, None);
        play.carry_out();
    }
}

#[test]
fn given_any_lifetime_when_the_ca_refuses_every_renewal_then_each_alert_has_its_moment() {
    for life in LIVES {
        let mut play = Play::new(life, life.minutes * 9 / 8);
        play.ordered(|_| 0);
        let (due, all) = (life.due(), life.minutes);
        play.fires("PortvaktAcmeFailing", due + 3 * (all / 48), 10);
        play.fires("PortvaktRenewalOverdue", due + (all - due) / 4, 30);
        play.fires("PortvaktRenewalEmergency", all - all / 20, 15);
        play.fires("PortvaktCertificateExpired", all, 1);
        play.fires("PortvaktServedCertificateExpired", all, 1);
        play.carry_out();
        let told = due + (all - due) / 4 + 30;
        assert!(all - told > all / 5, "{}: a fifth of the life is left to whoever is told", life.name);
    }
}

#[test]
fn given_any_lifetime_when_nobody_renews_what_is_not_ours_then_told_in_the_last_month_or_fifth() {
    for life in LIVES {
        let mut play = Play::new(life, life.minutes);
        play.not_ours("bought", "listener", |_| 0);
        play.not_ours("legacy", "upstream_peer", |_| 0);
        let told = life.minutes - (life.minutes / 5).min(30 * DAY);
        play.fires("PortvaktManualCertificateExpiring", told, 0);
        play.fires("PortvaktUpstreamPeerExpiring", told, 0);
        play.carry_out();
    }
}

/// Series and expectations for promtool, in minutes from the first issuance.
struct Play {
    life: Life,
    steps: u64,
    series: String,
    expected: String,
}

impl Play {
    fn new(life: Life, minutes: u64) -> Self {
        let mut play = Self { life, steps: minutes / life.step, series: String::new(), expected: String::new() };
        play.add("up{job=\"portvakt\"}", |_| 1);
        play.add("portvakt_start_time_seconds{}", |_| 0);
        play.add("portvakt_config_last_reload_successful{}", |_| 1);
        play
    }

    fn last(&self) -> u64 {
        self.steps * self.life.step
    }

    /// A metric, by the minute; equal values in a row are written once.
    fn add(&mut self, name: &str, value: impl Fn(u64) -> u64) {
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for now in (0..=self.steps).map(|step| step * self.life.step) {
            match runs.last_mut() {
                Some((last, times)) if *last == value(now) => *times += 1,
                _ => runs.push((value(now), 0)),
            }
        }
        let values: Vec<_> = runs.iter().map(|(value, times)| format!("{value}x{times}")).collect();
        writeln!(self.series, "  - {{series: '{name}', values: '{}'}}", values.join(" ")).unwrap();
    }

    /// The dates of a certificate that was issued at `issued`.
    fn dates(&mut self, cert: &str, role: &str, issued: impl Fn(u64) -> u64) {
        let (labels, all) = (format!("cert=\"{cert}\",role=\"{role}\""), self.life.minutes);
        self.add(&format!("portvakt_certificate_not_before_timestamp_seconds{{{labels}}}"), |now| issued(now) * 60);
        for end in ["not_after", "chain_not_after"] {
            let name = format!("portvakt_certificate_{end}_timestamp_seconds{{{labels}}}");
            self.add(&name, |now| (issued(now) + all) * 60);
        }
    }

    /// A certificate by ACME; where it is not renewed when it is due, each attempt fails.
    fn ordered(&mut self, issued: impl Fn(u64) -> u64 + Copy) {
        let (due, all) = (self.life.due(), self.life.minutes);
        let pause = all / 48;
        self.dates("m5", "listener", issued);
        let at = move |after: u64| move |now: u64| (issued(now) + after) * 60;
        let late = move |now: u64| now.checked_sub(issued(now) + due);
        for (name, after) in [
            ("portvakt_certificate_renewal_due_timestamp_seconds{cert=\"m5\"}", due),
            ("portvakt_certificate_emergency_timestamp_seconds{cert=\"m5\"}", all - all / 20),
            ("portvakt_acme_ari_window_start_timestamp_seconds{cert=\"m5\"}", due),
            ("portvakt_acme_ari_window_end_timestamp_seconds{cert=\"m5\"}", due + all / 50),
            (
                "portvakt_served_certificate_not_after_timestamp_seconds{cert=\"m5\",listener=\"https\",sni=\"m5.test\"}",
                all,
            ),
        ] {
            self.add(name, at(after));
        }
        self.add("portvakt_acme_consecutive_failures{cert=\"m5\"}", |now| late(now).map_or(0, |late| late / pause));
        let next = |now| late(now).map_or_else(|| at(due)(now), |_| (now + pause) * 60);
        self.add("portvakt_next_action_timestamp_seconds{cert=\"m5\",action=\"renew\"}", next);
        self.add("portvakt_next_action_reason{cert=\"m5\",reason=\"renewal_planned\"}", |_| 1);
        self.add("portvakt_certificate_renewal_manual{cert=\"m5\",role=\"listener\"}", |_| 0);
        self.add("portvakt_certificate_ready{cert=\"m5\",state=\"placeholder\"}", |_| 0);
        self.add("portvakt_certificate_stored{cert=\"m5\"}", |_| 1);
        self.add("portvakt_served_certificate_matches{cert=\"m5\",listener=\"https\",sni=\"m5.test\"}", |_| 1);
        self.add("portvakt_served_certificate_probe_timestamp_seconds{listener=\"https\",sni=\"m5.test\"}", |now| {
            now * 60
        });
        self.add("portvakt_acme_clock_skew_seconds{ca=\"ca.test\"}", |_| 1);
        self.add("portvakt_acme_failures_total{cert=\"m5\",ca=\"ca.test\",reason=\"ratelimited\"}", |_| 0);
    }

    /// A certificate that others renew, from files or of a server behind.
    fn not_ours(&mut self, cert: &str, role: &str, issued: impl Fn(u64) -> u64) {
        self.dates(cert, role, issued);
        self.add(&format!("portvakt_certificate_renewal_manual{{cert=\"{cert}\",role=\"{role}\"}}"), |_| 1);
    }

    /// Silent from the beginning to `from`, and firing `pending` minutes later.
    fn fires(&mut self, alert: &str, from: u64, pending: u64) {
        let before = from / self.life.step * self.life.step;
        let firing = format!("ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}}");
        self.expect(&format!("count_over_time({firing}[{before}m])"), before, None);
        // A rule compares with `>`, and its time begins at the first look at which it holds.
        let after = self.life.round(from) + self.life.round(pending) + self.life.step;
        self.expect(&format!("count({firing})"), after.min(self.last()), Some(1));
    }

    fn expect(&mut self, expression: &str, minute: u64, value: Option<u64>) {
        let samples = value.map_or_else(|| "[]".to_owned(), |value| format!("[{{labels: '{{}}', value: {value}}}]"));
        let line = format!("{{expr: '{expression}', eval_time: {minute}m, exp_samples: {samples}}}");
        writeln!(self.expected, "  - {line}").unwrap();
    }

    fn carry_out(&self) {
        let dir = TempDir::new().unwrap();
        let rules = ["certificates", "egress", "service"].map(|name| deploy(&format!("prometheus/{name}.rules.yml")));
        let (rules, step) = (rules.map(|path| path.display().to_string()).join(", "), self.life.step);
        let (name, series, expected) = (self.life.name, &self.series, &self.expected);
        let text = format!(
            "rule_files: [{rules}]\nevaluation_interval: {step}m\ntests:\n- name: {name}\n  interval: {step}m\n  \
             input_series:\n{series}  promql_expr_test:\n{expected}"
        );
        let file = dir.path().join("life.test.yml");
        fs::write(&file, text).unwrap();
        let output = Command::new(program("promtool")).args(["test", "rules"]).arg(file).output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stdout));
    }
}
