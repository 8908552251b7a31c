//! Which flags each of many numbers has had, in 8 bytes for each number.
//!
//! The numbers are hashes with a random key. Of each, 56 bits are kept: among as many numbers as
//! fit, two are taken for one in one of 30 million tables.

use std::collections::HashMap;

/// So many numbers are remembered, which takes 1 MB; what comes later is compared with these.
const NUMBERS_MAX: usize = 1 << 16;
/// The bits of a number that are kept. The others hold where its flags are.
const KEY: u64 = !0xff;
/// Flags that have no place in `flags` are in `more`.
const IN_MORE: u8 = u8::MAX;

#[derive(Default)]
pub struct Seen {
    /// A hash table with linear probing: a number's key, and one more than the place of its flags
    /// in `flags`. 0 is a free place.
    slots: Vec<u64>,
    used: usize,
    /// The different flags that there are. Most numbers share those of others.
    flags: Vec<u64>,
    more: HashMap<u64, u64>,
}

impl Seen {
    /// Notes that the number has these flags; which of them it had before.
    pub fn add(&mut self, number: u64, flags: u64) -> u64 {
        if self.used * 4 >= self.slots.len() * 3 {
            self.grow();
        }
        let key = number & KEY;
        let at = self.find(key);
        let had = match self.slots[at] as u8 {
            0 if self.used >= NUMBERS_MAX => return 0,
            0 => {
                self.used += 1;
                0
            }
            IN_MORE => self.more.get(&key).copied().unwrap_or_default(),
            place => self.flags[usize::from(place) - 1],
        };
        if had & flags != flags {
            self.slots[at] = key | u64::from(self.place(key, had | flags));
        }
        had & flags
    }

    /// Where the key is, or is to be.
    fn find(&self, key: u64) -> usize {
        let last = self.slots.len() - 1;
        let mut at = (key >> KEY.trailing_zeros()) as usize & last;
        while self.slots[at] != 0 && self.slots[at] & KEY != key {
            at = (at + 1) & last;
        }
        at
    }

    fn grow(&mut self) {
        let slots = vec![0; (self.slots.len() * 2).max(64)];
        for slot in std::mem::replace(&mut self.slots, slots) {
            if slot != 0 {
                let at = self.find(slot & KEY);
                self.slots[at] = slot;
            }
        }
    }

    /// Where a number with these flags finds them.
    fn place(&mut self, key: u64, flags: u64) -> u8 {
        let known = self.flags.iter().position(|known| *known == flags);
        let place = known.unwrap_or_else(|| {
            if self.flags.len() + 1 < usize::from(IN_MORE) {
                self.flags.push(flags);
                return self.flags.len() - 1;
            }
            self.more.insert(key, flags);
            usize::from(IN_MORE) - 1
        });
        place as u8 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number whose bits are all over the place, as those of a hash are.
    fn number(of: u64) -> u64 {
        of.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    }

    #[test]
    fn flags_that_came_before_are_told() {
        let mut seen = Seen::default();
        assert_eq!(seen.add(number(1), 0b11), 0);
        assert_eq!(seen.add(number(2), 0b11), 0);
        assert_eq!(seen.add(number(1), 0b110), 0b10);
        assert_eq!(seen.add(number(1), 0b1111), 0b111);
        assert_eq!(seen.add(number(2), 0b100), 0);
    }

    #[test]
    fn any_flags_are_told_of_as_many_numbers_as_fit() {
        let mut seen = Seen::default();
        let flags = |of: u64| if of < 2000 { number(of) | 1 } else { 1 };
        let all = || 0..NUMBERS_MAX as u64;
        assert!(all().all(|of| seen.add(number(of), flags(of)) == 0));
        assert!(all().all(|of| seen.add(number(of), !0) == flags(of)));
        assert!(all().all(|of| seen.add(number(of), !0) == !0));
        // There is no room for those that come later.
        let late = number(NUMBERS_MAX as u64);
        assert_eq!((seen.add(late, 1), seen.add(late, 1)), (0, 0));
        assert_eq!((seen.used, seen.slots.len() * 8), (NUMBERS_MAX, 1 << 20));
    }
}
