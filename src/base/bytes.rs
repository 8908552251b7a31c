//! Bytes that are looked for eight at once, in a word: what is sought is nearly always so near, or
//! the text so short, that setting up a longer search would cost more than searching.

const EACH: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Marks the bytes of a word that are `byte`: the lowest mark is right, those above it may not be.
pub const fn equal(word: u64, byte: u8) -> u64 {
    below(word ^ (EACH * byte as u64), 1)
}

/// The same for the bytes below `limit`, which is at most 128.
pub const fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(EACH * limit as u64) & !word & HIGH
}

/// Where the first byte is that `marks` marks.
#[inline(always)]
pub fn find(bytes: &[u8], marks: impl Fn(u64) -> u64) -> Option<usize> {
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let marked = marks(u64::from_le_bytes(*word));
        if marked != 0 {
            return Some(index * 8 + marked.trailing_zeros() as usize / 8);
        }
    }
    let at = rest.iter().position(|byte| marks(EACH * u64::from(*byte)) != 0)?;
    Some(words.len() * 8 + at)
}

/// Whether `marks` marks any of the bytes.
#[inline(always)]
pub fn has(bytes: &[u8], marks: impl Fn(u64) -> u64) -> bool {
    // The last word of it: of what is shorter than a word, two halves or two pairs, which may
    // overlap.
    let last = if let Some(word) = bytes.last_chunk() {
        u64::from_le_bytes(*word)
    } else if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last))
    } else if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let pairs = [u16::from_le_bytes(*first), u16::from_le_bytes(*last)].map(u64::from);
        (pairs[0] << 16 | pairs[1]) * (1 << 32 | 1)
    } else if let [byte] = bytes {
        EACH * u64::from(*byte)
    } else {
        return false;
    };
    let words = bytes.as_chunks::<8>().0.iter();
    words.fold(marks(last), |found, word| found | marks(u64::from_le_bytes(*word))) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_is_found_wherever_it_stands() {
        let marks = |word| equal(word, b'=') | below(word, b'"' + 1);
        for length in 0..40 {
            let plain = vec![b'#'; length];
            assert_eq!((find(&plain, marks), has(&plain, marks)), (None, false), "{length}");
            for (at, byte) in (0..length).flat_map(|at| [(at, b'='), (at, b'"'), (at, 0)]) {
                let mut bytes = plain.clone();
                bytes[at] = byte;
                assert_eq!((find(&bytes, marks), has(&bytes, marks)), (Some(at), true), "{length}");
                bytes[at] = 0xff;
                assert_eq!((find(&bytes, marks), has(&bytes, marks)), (None, false), "{length}");
            }
        }
    }
}
