//! Runs futures in virtual time: one thread, no clock, always in the same order.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Virtual time, in milliseconds since 1970-01-01 00:00:00 UTC.
pub(super) type Millis = i64;

/// A task of an [`Executor`]; never used again for another.
///
/// Later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TaskId {
    serial: u64,
    slot: usize,
}

/// Carries tasks from event to event.
///
/// Tasks that are ready run in the order in which they became so; when none is, time leaps to the earliest sleep that
/// ends, and among equal ones to the one that began first. So one beginning has one course.
pub(super) struct Executor {
    timeline: Timeline,
    slots: Vec<Option<Task>>,
    free: Vec<usize>,
    serial: u64,
}

struct Task {
    serial: u64,
    waker: Waker,
    future: Pin<Box<dyn Future<Output = ()>>>,
}

impl Executor {
    /// Without tasks, at `now`.
    pub(super) fn new(now: Millis) -> Self {
        let timeline = Timeline(Arc::new(Mutex::new(Queue { now, ..Queue::default() })));
        Self { timeline, slots: Vec::new(), free: Vec::new(), serial: 0 }
    }

    /// Tells the time to tasks.
    pub(super) fn timeline(&self) -> Timeline {
        self.timeline.clone()
    }

    /// Adds a task, which runs when its turn comes.
    pub(super) fn spawn(&mut self, future: impl Future<Output = ()> + 'static) -> TaskId {
        self.serial += 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        let id = TaskId { serial: self.serial, slot };
        let waker = Waker::from(Arc::new(TaskWaker { id, timeline: self.timeline.clone() }));
        self.slots[slot] = Some(Task { serial: id.serial, waker, future: Box::pin(future) });
        self.timeline.queue().ready.push_back(id);
        id
    }

    /// Drops a task where it stands, as a process that dies would. One that has ended is gone already.
    pub(super) fn kill(&mut self, id: TaskId) {
        if self.slots[id.slot].as_ref().is_some_and(|task| task.serial == id.serial) {
            self.slots[id.slot] = None;
            self.free.push(id.slot);
        }
    }

    /// Polls the next task that is ready, and gives it; `None` when none is.
    pub(super) fn turn(&mut self) -> Option<TaskId> {
        let id = self.timeline.queue().ready.pop_front()?;
        let Some(task) = self.slots[id.slot].as_mut().filter(|task| task.serial == id.serial) else { return Some(id) };
        let ended = task.future.as_mut().poll(&mut Context::from_waker(&task.waker)).is_ready();
        if ended {
            self.kill(id);
        }
        Some(id)
    }

    /// Leaps to the earliest sleep that ends by `end` and wakes its task; else to `end`, and gives false.
    pub(super) fn leap(&mut self, end: Millis) -> bool {
        let mut queue = self.timeline.queue();
        if queue.timers.peek().is_none_or(|Reverse(timer)| timer.at > end) {
            queue.now = queue.now.max(end);
            return false;
        }
        let Some(Reverse(timer)) = queue.timers.pop() else { return false };
        queue.now = queue.now.max(timer.at);
        drop(queue);
        timer.waker.wake();
        true
    }
}

/// The time of an [`Executor`], and sleep in it.
#[derive(Clone)]
pub(super) struct Timeline(Arc<Mutex<Queue>>);

#[derive(Default)]
struct Queue {
    now: Millis,
    ready: VecDeque<TaskId>,
    timers: BinaryHeap<Reverse<Timer>>,
    begun: u64,
}

impl Timeline {
    /// The time now.
    pub(super) fn now(&self) -> Millis {
        self.queue().now
    }

    /// Ends after `span`, counted from the first poll.
    pub(super) fn sleep(&self, span: Millis) -> Sleep {
        Sleep { timeline: self.clone(), span: span.max(0), until: None }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Timeline::sleep`].
pub(super) struct Sleep {
    timeline: Timeline,
    span: Millis,
    until: Option<Millis>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut queue = self.timeline.queue();
        let Some(until) = self.until else {
            let at = queue.now + self.span;
            queue.begun += 1;
            let order = queue.begun;
            queue.timers.push(Reverse(Timer { at, order, waker: context.waker().clone() }));
            drop(queue);
            self.until = Some(at);
            return Poll::Pending;
        };
        let is_over = queue.now >= until;
        drop(queue);
        if is_over { Poll::Ready(()) } else { Poll::Pending }
    }
}

struct Timer {
    at: Millis,
    order: u64,
    waker: Waker,
}

impl Ord for Timer {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl Eq for Timer {}

struct TaskWaker {
    id: TaskId,
    timeline: Timeline,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.timeline.queue().ready.push_back(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Seen = Arc<Mutex<Vec<(Millis, &'static str)>>>;

    fn run(executor: &mut Executor, end: Millis) {
        loop {
            while executor.turn().is_some() {}
            if !executor.leap(end) {
                return;
            }
        }
    }

    async fn tick(timeline: Timeline, seen: Seen, name: &'static str, every: Millis) {
        for _ in 0..3 {
            timeline.sleep(every).await;
            seen.lock().unwrap().push((timeline.now(), name));
        }
    }

    #[test]
    fn given_sleepers_when_run_then_they_wake_in_the_order_of_time_and_of_beginning() {
        let (mut executor, seen) = (Executor::new(1_000), Seen::default());
        for (name, every) in [("a", 20), ("b", 30), ("c", 20)] {
            executor.spawn(tick(executor.timeline(), seen.clone(), name, every));
        }

        run(&mut executor, 1_060);

        let expected = [
            (1_020, "a"),
            (1_020, "c"),
            (1_030, "b"),
            (1_040, "a"),
            (1_040, "c"),
            (1_060, "b"),
            (1_060, "a"),
            (1_060, "c"),
        ];
        assert_eq!(*seen.lock().unwrap(), expected);
        assert_eq!(executor.timeline().now(), 1_060);
    }

    #[test]
    fn given_a_killed_task_when_its_sleep_ends_then_whoever_has_its_place_is_left_alone() {
        let (mut executor, seen) = (Executor::new(0), Seen::default());
        let first = executor.spawn(tick(executor.timeline(), seen.clone(), "dead", 10));
        while executor.turn().is_some() {}
        executor.kill(first);
        executor.spawn(tick(executor.timeline(), seen.clone(), "alive", 25));
        executor.kill(first);

        run(&mut executor, 1_000);

        assert_eq!(*seen.lock().unwrap(), [(25, "alive"), (50, "alive"), (75, "alive")]);
    }
}
