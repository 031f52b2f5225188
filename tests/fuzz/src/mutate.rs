//! A small mutator for runs without an engine: seeded, so that a run is a function of its seed.

/// Xorshift.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Any seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `sides`, which is not 0.
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 11) % sides as u64).unwrap_or(0)
    }
}

/// The words of `dictionary.txt`, which libFuzzer reads too: `"word"` a line, `\xNN`, `\"` and `\\` escaped.
#[must_use]
pub fn dictionary() -> Vec<Vec<u8>> {
    let lines = include_str!("../dictionary.txt").lines();
    let quoted = |line: &'static str| line.trim().strip_prefix('"')?.strip_suffix('"');
    lines.filter_map(quoted).map(unescape).collect()
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match (byte, rest) {
            (b'\\', [b'x', high, low, after @ ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).expect("ASCII");
                bytes.push(u8::from_str_radix(digits, 16).expect("two hexadecimal digits"));
                rest = after;
            }
            (b'\\', [escaped, after @ ..]) => {
                bytes.push(*escaped);
                rest = after;
            }
            _ => bytes.push(*byte),
        }
    }
    bytes
}

/// Another input made of `seeds`, which are not empty.
pub fn mutant(dice: &mut Dice, seeds: &[Vec<u8>], words: &[Vec<u8>], max_bytes: usize) -> Vec<u8> {
    let mut bytes = seeds[dice.roll(seeds.len())].clone();
    for _ in 0..=dice.roll(4) {
        let at = dice.roll(bytes.len() + 1);
        let span = at..(at + dice.roll(16)).min(bytes.len());
        match dice.roll(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.roll(8),
            1 if at < bytes.len() => bytes[at] = u8::try_from(dice.roll(256)).unwrap_or(0),
            2 => drop(bytes.drain(span)),
            3 => {
                let copied = bytes[span].to_vec();
                bytes.splice(at..at, copied);
            }
            4 | 5 => {
                let word = words[dice.roll(words.len())].clone();
                bytes.splice(at..at, word);
            }
            _ => {
                let other = &seeds[dice.roll(seeds.len())];
                bytes.truncate(at);
                bytes.extend_from_slice(&other[dice.roll(other.len() + 1)..]);
            }
        }
    }
    bytes.truncate(max_bytes);
    bytes
}
