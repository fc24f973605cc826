//! Every fuzz target with its seeds, as they are and damaged, in the same ways each
//! time. Fuzzing in earnest is `tests/fuzz/run`.

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use pvelens_tests::fuzz::TARGETS;

    /// Damaged inputs of each target.
    const DAMAGED: usize = 400;
    /// What parsers tend to believe.
    const TOKENS: &[&[u8]] = &[
        b"\n",
        b"\0",
        b"\xff\xfe",
        b"-1",
        b"18446744073709551615",
        b"99999999999999999999999",
        b"1e400",
        b"{",
        b"]",
        b"\"",
        b": ",
        b"../",
        "\u{e4}\u{1f9ca}".as_bytes(),
    ];

    /// xorshift64: the same numbers at each run.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, end: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 >> 16).unwrap() % end.max(1)
        }
    }

    fn damage(seeds: &[Vec<u8>], numbers: &mut Numbers) -> Vec<u8> {
        let mut bytes = seeds[numbers.below(seeds.len())].clone();
        for _ in 0..=numbers.below(4) {
            let at = numbers.below(bytes.len());
            match numbers.below(6) {
                0 => bytes.truncate(at),
                1 if at < bytes.len() => bytes[at] ^= 1 << numbers.below(8),
                2 => {
                    let end = (at + numbers.below(40)).min(bytes.len());
                    bytes.drain(at..end);
                }
                3 => {
                    let other = &seeds[numbers.below(seeds.len())];
                    let from = numbers.below(other.len());
                    let end = (from + numbers.below(200)).min(other.len());
                    bytes.splice(at..at, other[from..end].iter().copied());
                }
                _ => {
                    let token = TOKENS[numbers.below(TOKENS.len())];
                    bytes.splice(at..at, token.iter().copied());
                }
            }
        }
        bytes
    }

    #[test]
    fn no_target_panics_on_a_damaged_seed() {
        for target in TARGETS {
            let seeds = (target.seeds)().unwrap();
            assert!(!seeds.is_empty(), "{}", target.name);
            let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
            let damaged: Vec<_> = (0..DAMAGED).map(|_| damage(&seeds, &mut numbers)).collect();
            for input in seeds.iter().chain(&damaged) {
                let run = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
                let shown = String::from_utf8_lossy(input);
                assert!(run.is_ok(), "{}: {shown:?}", target.name);
            }
        }
    }

    #[test]
    fn every_target_has_its_program() {
        let manifest = include_str!("fuzz/Cargo.toml");
        assert_eq!(manifest.matches("[[bin]]").count(), TARGETS.len());
        for target in TARGETS {
            let path = format!("path = \"targets/{}.rs\"", target.name);
            assert!(manifest.contains(&path), "{}", target.name);
        }
    }
}
