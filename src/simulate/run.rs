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
use super::watch::{Entry, Told, Watch};
use super::world::{Shared, Site, World, locked};
use crate::manager::keeper::Keeper;
use crate::manager::{Gate, Slot};
use crate::source::{CertificateSettings, Settings};

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
    /// The same, but the judge is not told: what it does not know excuses nothing.
    pub(super) hidden: Vec<Fault>,
    /// Everything is written down that keepers tell and that alerts would fire for. Of one process without deaths.
    pub(super) is_watched: bool,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) tally: Tally,
    pub(super) violations: Vec<Violation>,
    /// Those that lapsed, in the order of time.
    pub(super) lapsed: Vec<usize>,
    /// Times that something was woken.
    pub(super) turns: u64,
    /// Requests to all CAs.
    pub(super) requests: u64,
    /// The most that was taken out of one bucket, by limit.
    pub(super) limits: Vec<(Limit, u32)>,
    /// In the order of time, when it was written.
    pub(super) diary: Vec<Entry>,
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
    /// Known or hidden.
    faults: Vec<Fault>,
    /// Faults that last now.
    lasting: Vec<Fault>,
    agenda: BinaryHeap<Reverse<(Millis, u64, Act)>>,
    acts: u64,
    turns: u64,
    /// Since when time stands still, and how often something was woken meanwhile.
    stands: Millis,
    busy: u64,
    watch: Watch,
    diary: Vec<Entry>,
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
        let mut world = World::new(scenario.seed, scenario.sites.clone(), machines, scenario.cas, judge);
        world.diary = scenario.is_watched.then(Vec::new);
        let all = scenario.faults.iter().chain(&scenario.hidden).copied().collect();
        let mut run = Self {
            executor: Executor::new(scenario.from),
            world: Arc::new(Mutex::new(world)),
            machines: (0..machines).map(|_| Process::default()).collect(),
            faults: all,
            lasting: Vec::new(),
            agenda: BinaryHeap::new(),
            acts: 0,
            turns: 0,
            stands: scenario.from,
            busy: 0,
            watch: Watch::default(),
            diary: Vec::new(),
            scenario,
        };
        for (at, fault) in run.faults.clone().into_iter().enumerate() {
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
        while let Some(task) = self.executor.turn() {
            if self.scenario.is_watched {
                self.look(task, now);
            }
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
            Act::Begin(at) => self.begin(self.faults[at]),
            Act::End(at) => self.end(self.faults[at]),
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
        if condition.forgetful {
            locked(&self.world).forget(machine);
        }
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
        let settings = changed(&terms.settings, self.machines[terms.machine].settings);
        let slot = Slot::default();
        if self.scenario.is_watched {
            self.watch.add(slot.clone());
            self.diary.extend(terms.found.as_ref().map(|found| Entry {
                at: self.scenario.from,
                site,
                told: Told::Found(found.issued.validity),
            }));
        }
        let parts = Arc::new(SimulatedParts {
            world: Arc::clone(&self.world),
            timeline: self.executor.timeline(),
            site,
            machine: terms.machine,
            process,
            compared: Mutex::default(),
        });
        self.executor.spawn(async move {
            let keeper = Keeper::begin(parts, settings, slot, None).await;
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

    /// Writes down what a task that has just run tells and shows.
    fn look(&mut self, task: TaskId, now: Millis) {
        let told = locked(&self.world).diary.as_mut().map(std::mem::take).unwrap_or_default();
        self.diary.extend(told.into_iter().map(|(at, site, event)| Entry { at, site, told: Told::Event(event) }));
        if let Some(Ok(site)) = self.machines.first().map(|machine| machine.tasks.binary_search(&task)) {
            self.watch.look(site, now, &mut self.diary);
        }
    }

    fn close(mut self) -> Outcome {
        let now = self.now();
        self.watch.close(now, &mut self.diary);
        let mut diary = std::mem::take(&mut self.diary);
        diary.sort_by_key(|entry| entry.at);
        // The tasks let go of their locks before the world is taken apart.
        drop(self.executor);
        let mut world = locked(&self.world);
        world.judge.close(now);
        let high = |limit: Limit| world.cas.iter().map(|ca| ca.limits.high(limit)).max().unwrap_or(0);
        let limits = Limit::ALL.map(|limit| (limit, high(limit))).to_vec();
        let requests = world.cas.iter().map(super::ca::Ca::requests).sum();
        let (violations, lapsed) = (world.judge.violations().to_vec(), world.judge.lapsed().to_vec());
        Outcome {
            tally: std::mem::take(&mut world.judge.tally),
            violations,
            lapsed,
            turns: self.turns,
            requests,
            limits,
            diary,
        }
    }
}

/// Each change of the settings asks for the same in another way.
fn changed(settings: &CertificateSettings, change: u32) -> CertificateSettings {
    let mut settings = settings.clone();
    if let Settings::Acme(cas) = &mut settings.source
        && change > 0
    {
        cas.first.contact = vec![format!("mailto:{change}@example.com")];
    }
    settings
}

/// Times that a certificate may be woken within a millisecond.
const BUSY: u64 = 200;
