//! Drives a world from its beginning to its end.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex};

use rand::RngExt;

use super::ca::Limit;
use super::executor::{Executor, Millis, TaskId};
use super::faults::{CaFault, Fault, MachineFault, What};
use super::judge::{Judge, Violation};
use super::parts::SimulatedParts;
use super::tally::Tally;
use super::world::{Shared, Site, World, locked};
use crate::manager::keeper::Keeper;
use crate::manager::{Gate, Slot};
use crate::source::{AcmeCas, AcmeSettings, CertificateSettings, Settings};

/// What is to be run.
#[derive(Clone, Debug)]
pub(super) struct Scenario {
    /// Of all chance.
    pub(super) seed: u64,
    pub(super) from: Millis,
    pub(super) until: Millis,
    pub(super) sites: Vec<Site>,
    /// When each machine is started for the first time.
    pub(super) begins: Vec<Millis>,
    pub(super) cas: usize,
    /// On each machine, all on one state directory.
    pub(super) processes: usize,
    /// In the order of their beginning.
    pub(super) faults: Vec<Fault>,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) tally: Tally,
    pub(super) violations: Vec<Violation>,
    /// Times that something was woken.
    pub(super) turns: u64,
    /// Requests to all CAs.
    pub(super) requests: u64,
    /// The most that was taken out of one bucket, by limit.
    pub(super) limits: Vec<(Limit, u32)>,
}

impl Scenario {
    /// Runs it. The same scenario has always the same outcome.
    pub(super) fn run(self) -> Outcome {
        Run::new(self).play()
    }
}

struct Run {
    executor: Executor,
    world: Shared,
    scenario: Scenario,
    machines: Vec<Process>,
    /// Faults that last now.
    lasting: Vec<Fault>,
    agenda: BinaryHeap<Reverse<(Millis, u64, Act)>>,
    acts: u64,
    turns: u64,
    /// Since when time stands still, and how often something was woken meanwhile.
    stands: Millis,
    busy: u64,
}

/// The processes of one machine, which begin and die together.
#[derive(Default)]
struct Process {
    tasks: Vec<TaskId>,
    /// Counted up with each beginning and death, so that what was meant for an earlier one is passed over.
    epoch: u64,
    /// Counted up with each change of the settings.
    settings: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Act {
    Begin(usize),
    End(usize),
    Start { machine: usize, epoch: u64 },
    Die { machine: usize, epoch: u64 },
}

impl Run {
    fn new(scenario: Scenario) -> Self {
        let machines = scenario.begins.len();
        let judge = Judge::new(&scenario.sites, &scenario.begins, scenario.processes, &scenario.faults);
        let world = World::new(scenario.seed, scenario.sites.clone(), machines, scenario.cas, judge);
        let mut run = Self {
            executor: Executor::new(scenario.from),
            world: Arc::new(Mutex::new(world)),
            machines: (0..machines).map(|_| Process::default()).collect(),
            lasting: Vec::new(),
            agenda: BinaryHeap::new(),
            acts: 0,
            turns: 0,
            stands: scenario.from,
            busy: 0,
            scenario,
        };
        for (at, fault) in run.scenario.faults.clone().into_iter().enumerate() {
            run.plan(fault.from, Act::Begin(at));
            run.plan(fault.until, Act::End(at));
        }
        for (machine, at) in run.scenario.begins.clone().into_iter().enumerate() {
            run.plan(at, Act::Start { machine, epoch: 0 });
        }
        run
    }

    fn play(mut self) -> Outcome {
        let until = self.scenario.until;
        loop {
            if !self.settle() {
                break;
            }
            let next = self.agenda.peek().map_or(until, |Reverse((at, ..))| *at).min(until);
            if self.executor.leap(next) {
                continue;
            }
            if next >= until {
                break;
            }
            if let Some(Reverse((_, _, act))) = self.agenda.pop() {
                self.carry_out(act);
            }
        }
        self.close()
    }

    /// Lets everything run that is ready; false when time stands still meanwhile.
    fn settle(&mut self) -> bool {
        let now = self.now();
        if self.stands != now {
            (self.stands, self.busy) = (now, 0);
        }
        while self.executor.turn() {
            self.turns += 1;
            self.busy += 1;
            if self.busy > BUSY * (1 + self.scenario.sites.len() as u64) {
                locked(&self.world).judge.spins(now);
                return false;
            }
            let deaths = std::mem::take(&mut locked(&self.world).deaths);
            for machine in deaths {
                self.die(machine);
            }
        }
        true
    }

    fn carry_out(&mut self, act: Act) {
        match act {
            Act::Begin(at) => self.begin(self.scenario.faults[at]),
            Act::End(at) => self.end(self.scenario.faults[at]),
            Act::Start { machine, epoch } if self.machines[machine].epoch == epoch => self.start(machine),
            Act::Die { machine, epoch } if self.machines[machine].epoch == epoch => self.die(machine),
            Act::Start { .. } | Act::Die { .. } => {}
        }
    }

    fn begin(&mut self, fault: Fault) {
        if fault.from < fault.until {
            self.lasting.push(fault);
            locked(&self.world).change(&fault.what, &self.lasting);
        }
        match fault.what {
            What::Ca(ca, CaFault::Revocation { share }) => self.revoke(ca, share),
            What::Machine(machine, MachineFault::Down) => self.stop(machine),
            What::Machine(machine, MachineFault::CrashLoop { .. }) => self.die(machine),
            What::Machine(machine, MachineFault::Reload) => self.reload(machine),
            What::Ca(..) | What::Machine(..) => {}
        }
    }

    fn end(&mut self, fault: Fault) {
        if let Some(at) = self.lasting.iter().position(|lasting| *lasting == fault) {
            self.lasting.swap_remove(at);
        }
        locked(&self.world).change(&fault.what, &self.lasting);
        match fault.what {
            What::Machine(machine, MachineFault::Down) => self.start(machine),
            What::Machine(machine, MachineFault::CrashLoop { .. }) => {
                locked(&self.world).machines[machine].steps_left = None
            }
            What::Ca(..) | What::Machine(..) => {}
        }
    }

    /// Starts the processes, unless they run, or the machine is down.
    fn start(&mut self, machine: usize) {
        let now = self.now();
        let condition = locked(&self.world).machines[machine].condition;
        if !self.machines[machine].tasks.is_empty() || condition.down || now < self.scenario.begins[machine] {
            return;
        }
        self.machines[machine].epoch += 1;
        if let Some((life, steps)) = condition.crashes {
            self.doom(machine, life, steps);
        }
        for process in 0..self.scenario.processes {
            let gate = Gate::default();
            for site in 0..self.scenario.sites.len() {
                if self.scenario.sites[site].machine == machine {
                    let task = self.keep(site, process, gate.clone());
                    self.machines[machine].tasks.push(task);
                }
            }
        }
    }

    /// Says when a process in a crash loop will die.
    fn doom(&mut self, machine: usize, life: Millis, steps: Option<u32>) {
        let at = {
            let mut world = locked(&self.world);
            let life = world.rng.random_range(1..=life.max(1));
            let steps = steps.map(|steps| world.rng.random_range(0..=steps));
            world.machines[machine].steps_left = steps;
            self.executor.timeline().now() + life
        };
        let epoch = self.machines[machine].epoch;
        self.plan(at, Act::Die { machine, epoch });
    }

    /// Ends the processes, and has them started again soon.
    fn die(&mut self, machine: usize) {
        if self.machines[machine].tasks.is_empty() {
            return;
        }
        self.stop(machine);
        let pause = locked(&self.world).rng.random_range(500..20_000);
        let epoch = self.machines[machine].epoch;
        self.plan(self.now() + pause, Act::Start { machine, epoch });
    }

    fn stop(&mut self, machine: usize) {
        let now = self.now();
        for task in std::mem::take(&mut self.machines[machine].tasks) {
            self.executor.kill(task);
        }
        self.machines[machine].epoch += 1;
        let mut world = locked(&self.world);
        world.machines[machine].steps_left = None;
        world.judge.died(machine, now);
    }

    fn reload(&mut self, machine: usize) {
        if self.machines[machine].tasks.is_empty() {
            return;
        }
        self.machines[machine].settings += 1;
        self.stop(machine);
        locked(&self.world).judge.resettled(machine);
        self.start(machine);
    }

    fn revoke(&mut self, ca: usize, share: u8) {
        let now = self.now();
        let mut world = locked(&self.world);
        let World { cas, rng, judge, .. } = &mut *world;
        for (site, serial) in cas[ca].revoke(share, now, rng) {
            judge.must_go(site, ca, serial, now);
        }
    }

    fn keep(&mut self, site: usize, process: usize, gate: Gate) -> TaskId {
        let terms = &self.scenario.sites[site];
        let settings = settings(terms, self.machines[terms.machine].settings);
        let parts = Arc::new(SimulatedParts {
            world: Arc::clone(&self.world),
            timeline: self.executor.timeline(),
            site,
            machine: terms.machine,
            process,
        });
        self.executor.spawn(async move {
            let keeper = Keeper::begin(parts, settings, Slot::default()).await;
            keeper.run(gate).await;
        })
    }

    fn plan(&mut self, at: Millis, act: Act) {
        self.acts += 1;
        self.agenda.push(Reverse((at, self.acts, act)));
    }

    fn now(&self) -> Millis {
        self.executor.timeline().now()
    }

    fn close(self) -> Outcome {
        let now = self.now();
        // The tasks let go of their locks before the world is taken apart.
        drop(self.executor);
        let mut world = locked(&self.world);
        world.judge.close(now);
        let high = |limit: Limit| world.cas.iter().map(|ca| ca.limits.high(limit)).max().unwrap_or(0);
        let limits = Limit::ALL.map(|limit| (limit, high(limit))).to_vec();
        let requests = world.cas.iter().map(super::ca::Ca::requests).sum();
        let violations = world.judge.violations().to_vec();
        Outcome { tally: std::mem::take(&mut world.judge.tally), violations, turns: self.turns, requests, limits }
    }
}

/// What a keeper is told to keep. Each change of the settings asks for the same in another way.
fn settings(site: &Site, change: u32) -> CertificateSettings {
    let ca = |ca: &usize| AcmeSettings {
        directory: format!("https://ca{ca}.example/dir"),
        agree_tos: true,
        contact: vec![format!("mailto:{change}@example.com")],
        ..AcmeSettings::default()
    };
    let first = site.cas.first().map_or_else(AcmeSettings::default, ca);
    let next = site.cas.iter().skip(1).map(ca).collect();
    CertificateSettings {
        name: site.name.clone(),
        identifiers: vec![format!("{}.example", site.name)],
        source: Settings::Acme(AcmeCas { first, next }),
    }
}

/// Times that a certificate may be woken within a millisecond.
const BUSY: u64 = 200;
