//! A time that the CA names is kept to: nothing is sent before it, over any number of restarts and in no other form.

use std::time::Duration;

use portvakt::time::{Clock, SystemClock};
use serde_json::Value;

use crate::support::clock::PATIENCE;
use crate::support::pebble::Settings;
use crate::support::witness::{Fault, Operation, Rule};
use crate::support::{Echo, Home, Pebble, Witness};

#[test]
fn given_a_time_that_the_ca_has_named_when_restarted_again_and_again_then_nothing_is_sent_before_it() {
    let scene = Scene::new();
    let in_two_hours = SystemClock.now() + Duration::from_secs(7200);
    let date = in_two_hours.to_http_date();
    let words = in_two_hours.to_string().replace('T', " ").replace('Z', " UTC");
    let in_words = format!("too many certificates (5) already issued, retry after {words}: see https://ca.test/limits");
    let refusals = [
        Fault::problem(429, "rateLimited", &[("retry-after", "7200")]),
        Fault::problem(429, "rateLimited", &[("retry-after", &date)]),
        Fault::problem_in_words(429, "rateLimited", &[], &in_words),
        Fault::answer(503, &[("retry-after", "7200")], "<html>busy</html>"),
        Fault::problem(503, "serverInternal", &[("retry-after", "7200")]),
        // Absurd: years. A week is the longest that is believed.
        Fault::problem(429, "rateLimited", &[("retry-after", "999999999")]),
    ];
    for (site, refusal) in SITES.iter().zip(refusals) {
        scene.witness.rule(Rule::on(Operation::NewOrder, refusal).of(site));
    }
    let portvakt = scene.home.start();
    for site in SITES {
        // Told when it is on the disk: a death before that forgets what the CA has said.
        let is_planned = |line: &str| line.contains("next attempt planned") && line.contains(site);
        portvakt.child.wait_line(site, is_planned);
        assert_eq!(scene.plan(site)["why"], "the CA asks to wait", "{site}");
    }
    let sent = scene.witness.requests().len();
    scene.witness.heal();
    drop(portvakt);

    for later in [0, 0, 600, 7000] {
        let mut portvakt = scene.home.start_at(later);
        for site in SITES {
            assert_eq!(scene.plan(site)["why"], "the CA asks to wait", "{site} {later} s later");
        }
        assert!(portvakt.reload(&scene.home));
        portvakt.child.kill();
    }
    assert_eq!(scene.witness.requests().len(), sent, "not even the directory is asked for");

    let portvakt = scene.home.start_at(7260);
    for site in &SITES[..5] {
        scene.home.wait_certificate(site, "issued", PATIENCE);
        assert_eq!(scene.witness.orders_asked(site), 2, "{site}");
    }
    assert_eq!((scene.pebble.accounts(), scene.witness.orders_asked(SITES[5])), (1, 1));
    drop(portvakt);
    let _portvakt = scene.home.start_at(7 * DAY + 60);
    scene.home.wait_certificate(SITES[5], "issued", PATIENCE);
}

#[test]
fn given_a_clock_a_day_off_when_ordered_then_issued_by_the_cas_time_and_told() {
    for (offset, words) in [(DAY, "seconds=-86"), (-DAY, "seconds=86")] {
        let scene = Scene::new();
        let portvakt = scene.home.start_at(offset);

        SITES.iter().for_each(|site| scene.home.wait_certificate(site, "issued", PATIENCE));

        let is_told = |line: &str| line.contains("set this machine's clock") && line.contains(words);
        portvakt.child.wait_line("the clock", is_told);
        assert_eq!(scene.pebble.orders(), SITES.len(), "{offset}");
    }
}

#[test]
fn given_an_attempt_that_ends_every_process_when_restarted_a_hundred_times_then_no_more_than_the_scheduled_attempts() {
    let scene = Scene::new();
    scene.witness.rule(Rule::on(Operation::NewOrder, Fault::HoldAfter));
    let began = SystemClock.now();
    let mut portvakt = scene.home.start();
    scene.witness.await_held();
    portvakt.child.kill();
    scene.witness.let_go();
    scene.witness.rule(Rule::on(Operation::NewOrder, Fault::CutAfter));
    for _ in 0..100 {
        let mut portvakt = scene.home.start();
        portvakt.child.kill();
    }

    // A minute at least, then ten: what was planned when the first died.
    let minutes = SystemClock.now().since(began).as_secs() / 42;
    for site in SITES {
        let asked = scene.witness.orders_asked(site);
        assert!(asked as u64 <= 1 + minutes, "{site}: {asked} orders in {minutes} pauses");
    }
    assert_eq!(scene.pebble.accounts(), 1);
}

struct Scene {
    home: Home,
    pebble: Pebble,
    witness: Witness,
    _echo: Echo,
}

impl Scene {
    fn new() -> Self {
        let (home, echo) = (Home::new(), Echo::start());
        let pebble = Pebble::start(Settings { always_valid: true, ..Settings::on(1, 1) });
        let witness = Witness::before(&pebble);
        let site = |site| format!("[[site]]\ndomain = \"{site}\"\nupstream = \"{}\"\n", echo.url());
        home.configure("", &format!("{}{}", witness.acme_section(), SITES.map(site).concat()));
        Self { home, pebble, witness, _echo: echo }
    }

    fn status_of(&self, site: &str) -> Value {
        let status: Value = serde_json::from_slice(&self.home.admin("/status.json").body).expect("JSON");
        let all = status["certificates"].as_array().expect("a list");
        all.iter().find(|certificate| certificate["name"] == site).expect("every site is shown").clone()
    }

    fn plan(&self, site: &str) -> Value {
        self.status_of(site)["next"].clone()
    }
}

const SITES: [&str; 6] = ["seconds.test", "date.test", "words.test", "busy.test", "internal.test", "absurd.test"];
/// Seconds.
const DAY: i64 = 86_400;
