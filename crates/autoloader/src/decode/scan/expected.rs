//! What the next row is expected to look like: the keys of the last one, and their columns.

use std::collections::BTreeSet;

use crate::decode::number::word;

/// Rows wider than this are no vendor's rows; remembering them would only cost memory.
const KEYS_MAX: usize = 256;

/// The keys that rows had, by their place.
#[derive(Debug, Default)]
pub(super) struct Expected {
    keys: Vec<Key>,
    /// Whether the keys are those of all columns, each once; `None`: they changed, and nobody asked.
    are_columns: Option<bool>,
}

impl Expected {
    /// Returns the key at a place.
    #[inline]
    pub(super) fn key(&self, place: usize) -> Option<&Key> {
        self.keys.get(place)
    }

    /// Returns the keys by their place, if they are those of all `count` columns, each once.
    #[inline]
    pub(super) fn all_columns(&mut self, count: usize) -> Option<&[Key]> {
        let keys = &self.keys;
        let are_columns = *self.are_columns.get_or_insert_with(|| {
            let found: BTreeSet<usize> = keys.iter().filter_map(|key| key.column).collect();
            keys.len() == count && found.len() == count
        });
        are_columns.then_some(keys)
    }

    /// Notes which key a place had, from its opening quote to the colon.
    pub(super) fn set(&mut self, place: usize, text: &[u8], key_len: usize, column: Option<usize>) {
        if place == self.keys.len() && place < KEYS_MAX {
            self.keys.push(Key::default());
        }
        if let Some(key) = self.keys.get_mut(place) {
            key.set(text, key_len, column);
        }
        self.are_columns = None;
    }
}

/// A key as a row had it, from its opening quote to the colon.
#[derive(Debug, Default)]
pub(super) struct Key {
    pub(super) text: Vec<u8>,
    /// The text's first eight bytes, and which bits of them are its own.
    head: (u64, u64),
    /// Its last eight bytes; nothing where it has fewer.
    tail: u64,
    /// Length of the key itself, quotes included.
    pub(super) key_len: usize,
    pub(super) column: Option<usize>,
}

impl Key {
    fn set(&mut self, text: &[u8], key_len: usize, column: Option<usize>) {
        let mut head = [0; 8];
        let count = text.len().min(8);
        head[..count].copy_from_slice(&text[..count]);
        // Fewer than eight bytes leave the upper bits of the word to whatever follows.
        let mask = u64::MAX.checked_shr(64 - 8 * u32::try_from(count).unwrap_or(8)).unwrap_or(0);
        self.head = (u64::from_le_bytes(head), mask);
        self.tail = text.last_chunk().map_or(0, |tail| u64::from_le_bytes(*tail));
        self.text.clear();
        self.text.extend_from_slice(text);
        (self.key_len, self.column) = (key_len, column);
    }

    /// Whether `bytes` begin with the text: of most keys two words tell, without a call.
    #[inline]
    pub(super) fn begins(&self, bytes: &[u8]) -> bool {
        let length = self.text.len();
        let (head, mask) = self.head;
        match word(bytes, 0) {
            Some(found) if length <= 16 => {
                (found ^ head) & mask == 0
                    && (length <= 8 || word(bytes, length - 8) == Some(self.tail))
            }
            _ => bytes.starts_with(&self.text),
        }
    }
}
