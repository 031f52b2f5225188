//! Ordered tables, compiled once: what is looked up here has names that are numbers.
//!
//! `BTreeMap` is monomorphised for every pair of types, at 10 KB of WebAssembly each. So there is one for all,
//! from three numbers to one: [`Map`] and [`Set`] give it types, [`Table`] keeps larger values beside it.
//! [`Names`] is for the few things that are named by texts.
//!
//! # Complexity
//! Look-ups, insertions and removals of the first three are O(log n) in any order. They need to be: under them are
//! entries (tens of thousands, by digests in no order), waiters and flights with their timers and questions (up
//! to a million, if the limits are set so), contexts and queued outputs (thousands). A sorted `Vec` would be
//! smaller still, but moves half of itself for each of them. The memory of a [`Table`]'s values is used again, and
//! given back when the table is empty.

mod names;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;
use core::ops::RangeInclusive;

pub use names::Names;

use crate::border::{Ctx, FlightId, Millis, OpId, Ticket};

/// A number with a meaning. Its order is the number's.
pub trait Word: Copy {
    /// The number.
    fn number(self) -> u64;
    /// Its meaning.
    fn of(number: u64) -> Self;
}

/// One to three words, ordered by the first one first.
pub trait Key: Copy {
    /// The words, then zeros.
    fn words(self) -> Words;
    /// The reverse of [`Key::words`].
    fn of(words: Words) -> Self;
}

/// The numbers of a [`Key`].
pub type Words = (u64, u64, u64);

/// An ordered map from a key to a word.
pub struct Map<K, W> {
    words: BTreeMap<Words, u64>,
    types: PhantomData<(K, W)>,
}

impl<K, W> Map<K, W> {
    /// Nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            words: BTreeMap::new(),
            types: PhantomData,
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Drops all.
    pub fn clear(&mut self) {
        self.words.clear();
    }
}

impl<K: Key, W: Word> Map<K, W> {
    /// The word under a key.
    #[must_use]
    pub fn get(&self, key: K) -> Option<W> {
        self.words.get(&key.words()).copied().map(W::of)
    }

    /// Whether there is one under a key.
    #[must_use]
    pub fn has(&self, key: K) -> bool {
        self.words.contains_key(&key.words())
    }

    /// Puts a word under a key; returns the one before.
    pub fn insert(&mut self, key: K, word: W) -> Option<W> {
        self.words.insert(key.words(), word.number()).map(W::of)
    }

    /// Takes the word under a key out.
    pub fn remove(&mut self, key: K) -> Option<W> {
        self.words.remove(&key.words()).map(W::of)
    }

    /// The first key and its word.
    #[must_use]
    pub fn first(&self) -> Option<(K, W)> {
        let (words, number) = self.words.first_key_value()?;
        Some((K::of(*words), W::of(*number)))
    }

    /// Takes the first key and its word out.
    pub fn pop_first(&mut self) -> Option<(K, W)> {
        let first = self.first()?;
        self.remove(first.0);
        Some(first)
    }

    /// What lies between two keys, both included, in order; nothing if they are in the wrong order.
    pub fn range(&self, keys: RangeInclusive<K>) -> impl Iterator<Item = (K, W)> {
        let last = keys.end().words();
        // Upwards of the first one only: `BTreeMap::range` panics where the end lies before the start.
        self.words
            .range(keys.start().words()..)
            .take_while(move |(words, _)| **words <= last)
            .map(|(words, number)| (K::of(*words), W::of(*number)))
    }

    /// The first key between two, both included, and its word.
    #[must_use]
    pub fn first_in(&self, keys: RangeInclusive<K>) -> Option<(K, W)> {
        self.range(keys).next()
    }

    /// All, in order.
    pub fn iter(&self) -> impl Iterator<Item = (K, W)> {
        self.range(K::of((0, 0, 0))..=K::of((u64::MAX, u64::MAX, u64::MAX)))
    }
}

impl<K, W> Default for Map<K, W> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, W> fmt::Debug for Map<K, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.words.fmt(f)
    }
}

/// An ordered set of keys.
#[derive(Debug)]
pub struct Set<K> {
    keys: Map<K, ()>,
}

impl<K> Set<K> {
    /// Nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { keys: Map::new() }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Drops all.
    pub fn clear(&mut self) {
        self.keys.clear();
    }
}

impl<K: Key> Set<K> {
    /// Puts a key in. False if it was there.
    pub fn insert(&mut self, key: K) -> bool {
        self.keys.insert(key, ()).is_none()
    }

    /// Takes a key out. False if it was not there.
    pub fn remove(&mut self, key: K) -> bool {
        self.keys.remove(key).is_some()
    }

    /// The first key.
    #[must_use]
    pub fn first(&self) -> Option<K> {
        self.keys.first().map(|(key, ())| key)
    }

    /// Takes the first key out.
    pub fn pop_first(&mut self) -> Option<K> {
        self.keys.pop_first().map(|(key, ())| key)
    }

    /// The first key between two, both included.
    #[must_use]
    pub fn first_in(&self, keys: RangeInclusive<K>) -> Option<K> {
        self.keys.first_in(keys).map(|(key, ())| key)
    }

    /// What lies between two keys, both included, in order.
    pub fn range(&self, keys: RangeInclusive<K>) -> impl Iterator<Item = K> {
        self.keys.range(keys).map(|(key, ())| key)
    }

    /// All, in order.
    pub fn iter(&self) -> impl Iterator<Item = K> {
        self.keys.iter().map(|(key, ())| key)
    }
}

impl<K> Default for Set<K> {
    fn default() -> Self {
        Self::new()
    }
}

/// An ordered map from a key to a value of any size.
#[derive(Debug)]
pub struct Table<K, V> {
    /// Where in `values` a key's value is.
    places: Map<K, u64>,
    values: Vec<Option<V>>,
    /// The places of the `None`s.
    free: Vec<u64>,
}

impl<K, V> Table<K, V> {
    /// Nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            places: Map::new(),
            values: Vec::new(),
            free: Vec::new(),
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

impl<K: Key, V> Table<K, V> {
    /// The value under a key.
    #[must_use]
    pub fn get(&self, key: K) -> Option<&V> {
        self.at(self.places.get(key)?)
    }

    /// The value under a key, to be changed.
    #[must_use]
    pub fn get_mut(&mut self, key: K) -> Option<&mut V> {
        let place = self.places.get(key)?;
        self.values.get_mut(index(place))?.as_mut()
    }

    fn at(&self, place: u64) -> Option<&V> {
        self.values.get(index(place))?.as_ref()
    }

    /// Whether there is a value under a key.
    #[must_use]
    pub fn has(&self, key: K) -> bool {
        self.places.has(key)
    }

    /// Puts a value under a key; returns the one before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.seat(key).replace(value)
    }

    /// The value under a key, to be changed; made if there is none.
    pub fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        self.seat(key).get_or_insert_with(make)
    }

    /// Where the value under a key is, or is to be put at once.
    #[expect(
        clippy::indexing_slicing,
        reason = "all places are below the number of values"
    )]
    fn seat(&mut self, key: K) -> &mut Option<V> {
        let place = self.places.get(key).unwrap_or_else(|| {
            let place = self.free.pop().unwrap_or(self.values.len() as u64);
            self.places.insert(key, place);
            place
        });
        if index(place) == self.values.len() {
            self.values.push(None);
        }
        &mut self.values[index(place)]
    }

    /// Takes the value under a key out.
    pub fn remove(&mut self, key: K) -> Option<V> {
        let place = self.places.remove(key)?;
        let value = self.values.get_mut(index(place))?.take();
        if self.places.is_empty() {
            self.values = Vec::new();
            self.free = Vec::new();
        } else {
            self.free.push(place);
        }
        value
    }

    /// The first key between two, both included.
    #[must_use]
    pub fn first_in(&self, keys: RangeInclusive<K>) -> Option<K> {
        self.places.first_in(keys).map(|(key, _)| key)
    }

    /// Takes the first key and its value out.
    pub fn pop_first(&mut self) -> Option<(K, V)> {
        let (key, _) = self.places.first()?;
        self.remove(key).map(|value| (key, value))
    }

    /// All keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = K> {
        self.places.iter().map(|(key, _)| key)
    }

    /// All values, in the order of their keys.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.places.iter().filter_map(|(_, place)| self.at(place))
    }
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

/// Of a place: there are no more than there is memory for.
#[expect(clippy::cast_possible_truncation, reason = "it came from a usize")]
const fn index(place: u64) -> usize {
    place as usize
}

impl Word for u64 {
    fn number(self) -> u64 {
        self
    }

    fn of(number: u64) -> Self {
        number
    }
}

impl Word for () {
    fn number(self) -> u64 {
        0
    }

    fn of(_: u64) -> Self {}
}

macro_rules! words {
    ($($word:ident)*) => {$(
        impl Word for $word {
            fn number(self) -> u64 {
                self.0
            }

            fn of(number: u64) -> Self {
                Self(number)
            }
        }
    )*};
}

words!(Ctx FlightId Millis OpId Ticket);

impl<A: Word> Key for A {
    fn words(self) -> Words {
        (self.number(), 0, 0)
    }

    fn of((a, _, _): Words) -> Self {
        Word::of(a)
    }
}

impl<A: Word, B: Word> Key for (A, B) {
    fn words(self) -> Words {
        (self.0.number(), self.1.number(), 0)
    }

    fn of((a, b, _): Words) -> Self {
        (A::of(a), B::of(b))
    }
}

impl<A: Word, B: Word, C: Word> Key for (A, B, C) {
    fn words(self) -> Words {
        (self.0.number(), self.1.number(), self.2.number())
    }

    fn of((a, b, c): Words) -> Self {
        (A::of(a), B::of(b), C::of(c))
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn keys_are_ordered_by_their_first_word_first() {
        let mut set = Set::<(Ctx, Millis, OpId)>::new();
        let keys = [
            (2, 0, 0),
            (1, 2, 0),
            (1, 1, 9),
            (1, 1, 3),
            (u64::MAX, u64::MAX, u64::MAX),
        ];
        for key in keys {
            assert!(set.insert(Key::of(key)));
            assert!(!set.insert(Key::of(key)));
        }
        let all: Vec<Words> = set.iter().map(Key::words).collect();
        assert_eq!(all, [keys[3], keys[2], keys[1], keys[0], keys[4]]);
        let of_one = (Ctx(1), Millis(0), OpId(0))..=(Ctx(1), Millis(u64::MAX), OpId(u64::MAX));
        assert_eq!(set.range(of_one).count(), 3);
        assert_eq!(set.range(Key::of(keys[0])..=Key::of(keys[1])).count(), 0);
        assert_eq!(set.pop_first().map(Key::words), Some(keys[3]));
        assert_eq!(set.len(), 4);
    }

    #[test]
    fn a_map_replaces_and_removes() {
        let mut map = Map::<Ticket, Ctx>::new();
        assert_eq!(map.insert(Ticket(1), Ctx(5)), None);
        assert_eq!(map.insert(Ticket(1), Ctx(6)), Some(Ctx(5)));
        assert_eq!((map.get(Ticket(1)), map.get(Ticket(6))), (Some(Ctx(6)), None));
        assert_eq!(map.remove(Ticket(1)), Some(Ctx(6)));
        assert!(map.is_empty() && !map.has(Ticket(1)));
    }

    #[test]
    fn a_table_does_as_a_btreemap_and_uses_places_again() {
        let (mut table, mut model) = (Table::<u64, u64>::new(), BTreeMap::new());
        let mut random = 1_u64;
        for step in 0..10_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let key = random >> 58;
            if random & (1 << 40) == 0 {
                assert_eq!(table.insert(key, step), model.insert(key, step));
            } else {
                assert_eq!(table.remove(key), model.remove(&key));
            }
            assert_eq!(table.len(), model.len());
            assert!(table.values().eq(model.values()));
            assert!(table.values.len() <= 64);
            assert_eq!(table.values.len(), table.len() + table.free.len());
            let next = model.range(key..).next().map(|(key, _)| *key);
            assert_eq!(table.first_in(key..=u64::MAX), next);
            assert_eq!(table.get(key), model.get(&key));
        }
        while let Some(first) = table.pop_first() {
            assert_eq!(Some(first), model.pop_first());
        }
        assert!(model.is_empty() && table.values.capacity() == 0 && table.free.capacity() == 0);
    }
}
