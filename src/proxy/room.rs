//! What collected bodies may take together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of bodies that are kept, over all requests of the process.
#[derive(Debug, Default)]
pub(super) struct Room {
    memory: AtomicU64,
    files: AtomicU64,
}

impl Room {
    /// A place in it that takes nothing yet; `most_in_files` are bytes.
    pub(super) fn place(self: &Arc<Self>, most_in_files: u64) -> Place {
        Place { room: self.clone(), most_in_files, memory: 0, files: 0 }
    }
}

/// What one body takes; it is free again when this is dropped, however the request ends.
#[derive(Debug)]
pub(super) struct Place {
    room: Arc<Room>,
    most_in_files: u64,
    memory: u64,
    files: u64,
}

impl Place {
    /// Takes memory; `false` when there is none.
    pub(super) fn take_memory(&mut self, bytes: u64) -> bool {
        let is_taken = take(&self.room.memory, bytes, MOST_IN_MEMORY);
        self.memory += if is_taken { bytes } else { 0 };
        is_taken
    }

    /// Takes a part of the disk; `false` when there is none.
    pub(super) fn take_file(&mut self, bytes: u64) -> bool {
        let is_taken = take(&self.room.files, bytes, self.most_in_files);
        self.files += if is_taken { bytes } else { 0 };
        is_taken
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.memory.fetch_sub(self.memory, Ordering::Relaxed);
        self.room.files.fetch_sub(self.files, Ordering::Relaxed);
    }
}

fn take(taken: &AtomicU64, bytes: u64, most: u64) -> bool {
    let add = |taken: u64| taken.checked_add(bytes).filter(|taken| *taken <= most);
    taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
}

/// Over all bodies; what comes when it is full goes into files.
const MOST_IN_MEMORY: u64 = 128 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_room_when_full_then_nobody_gets_more_until_somebody_leaves() {
        let room = Arc::<Room>::default();
        let (mut first, mut second) = (room.place(100), room.place(100));
        assert!(first.take_file(60) && second.take_file(40));
        assert!(!first.take_file(1) && !second.take_file(u64::MAX));
        assert!(first.take_memory(MOST_IN_MEMORY) && !second.take_memory(1));

        drop(first);

        assert!(second.take_file(60) && second.take_memory(MOST_IN_MEMORY));
        assert!(!second.take_file(1));
        drop(second);
        assert_eq!((room.memory.load(Ordering::Relaxed), room.files.load(Ordering::Relaxed)), (0, 0));
    }

    #[test]
    fn given_a_smaller_limit_after_a_reload_when_asked_then_nothing_until_there_is_room_again() {
        let room = Arc::<Room>::default();
        let mut before = room.place(100);
        assert!(before.take_file(80));
        assert!(!room.place(50).take_file(1));
        drop(before);
        assert!(room.place(50).take_file(50));
    }
}
