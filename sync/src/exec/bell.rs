//! Real wakers without a lock: a bit per slot in words that executor and wakers share.
//!
//! A waker may be called from anywhere, any number of times, also while its task is being polled; it only sets
//! the bit. Words are of 32 bits because those have compare-and-swap on every target (thumbv7em among them).

use alloc::sync::Arc;
use alloc::task::Wake;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};
use core::task::Waker;

const BITS: usize = u32::BITS as usize;

/// Which slots have been woken since they were last taken.
#[derive(Debug, Default)]
pub(super) struct Ready {
    words: Vec<Arc<AtomicU32>>,
    /// The word looked at first: advanced by each slot taken, so that none starves.
    start: usize,
}

impl Ready {
    /// The waker of a slot. Slots are added in order, without gaps.
    pub(super) fn waker(&mut self, slot: usize) -> Waker {
        let at = slot / BITS;
        while self.words.len() <= at {
            self.words.push(Arc::default());
        }
        let word = self.words.get(at).cloned().unwrap_or_default();
        Waker::from(Arc::new(Bell {
            word,
            mask: 1 << (slot % BITS),
        }))
    }

    /// Takes a slot that was woken.
    pub(super) fn take(&mut self) -> Option<usize> {
        let count = self.words.len();
        for step in 0..count {
            let at = (self.start + step) % count;
            let Some(word) = self.words.get(at) else { continue };
            let bits = word.load(Ordering::Acquire);
            if bits != 0 {
                let bit = bits.trailing_zeros();
                word.fetch_and(!(1 << bit), Ordering::AcqRel);
                self.start = (at + 1) % count;
                return Some(at * BITS + bit as usize);
            }
        }
        None
    }
}

struct Bell {
    word: Arc<AtomicU32>,
    mask: u32,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.word.fetch_or(self.mask, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_each_woken_slot_once() {
        let mut ready = Ready::default();
        let wakers: Vec<_> = (0..70).map(|slot| ready.waker(slot)).collect();
        assert_eq!(ready.take(), None);
        for slot in [69, 3, 33, 3] {
            wakers[slot].wake_by_ref();
        }
        let mut taken: Vec<_> = core::iter::from_fn(|| ready.take()).collect();
        taken.sort_unstable();
        assert_eq!(taken, [3, 33, 69]);
    }
}
