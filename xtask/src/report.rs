//! Reads how many tests passed out of what the test programs print.

/// How many cases passed and failed. What was skipped or left to do counts as failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
}

impl Tally {
    /// A check that is one case in itself.
    pub(crate) fn one(ok: bool) -> Self {
        Self {
            passed: ok.into(),
            failed: (!ok).into(),
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// What a program with this exit reported. One that failed without saying which case, or that ran none, failed once.
    pub(crate) fn ended(mut self, ok: bool) -> Self {
        if self.failed == 0 && (!ok || self.passed == 0) {
            self.failed = 1;
        }
        self
    }
}

/// Adds up the `test result:` lines of `cargo test`.
pub(crate) fn cargo(output: &str) -> Tally {
    let mut tally = Tally::default();
    for result in output
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("test result: "))
    {
        tally.passed += before(result, "passed");
        tally.failed += before(result, "failed") + before(result, "ignored");
    }
    tally
}

/// Reads the summary at the end of node's TAP reporter.
pub(crate) fn node(output: &str) -> Tally {
    // The last of each: what a test prints stands above as a comment too.
    let last = |name: &str| {
        let prefix = format!("# {name} ");
        output
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix(&prefix)?.parse().ok())
            .unwrap_or(0)
    };
    Tally {
        passed: last("pass"),
        failed: last("fail") + last("cancelled") + last("skipped") + last("todo"),
    }
}

/// Adds up the lines `N passed, N failed` of our own drivers.
pub(crate) fn driver(output: &str) -> Tally {
    let mut tally = Tally::default();
    for line in output.lines() {
        if let Some((passed, failed)) = line
            .trim()
            .strip_suffix(" failed")
            .and_then(|l| l.split_once(" passed, "))
            && let (Ok(passed), Ok(failed)) = (passed.parse::<u32>(), failed.parse::<u32>())
        {
            tally.add(Tally { passed, failed });
        }
    }
    tally
}

/// The number in front of `word`, as in `3 passed; 0 failed`.
fn before(text: &str, word: &str) -> u32 {
    let words: Vec<&str> = text.split([' ', ';']).collect();
    words
        .windows(2)
        .find_map(|pair| {
            if pair.last() == Some(&word) {
                pair.first()?.parse().ok()
            } else {
                None
            }
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARGO: &str = "\
running 4 tests
test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
   Doc-tests leeward
test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s
";

    #[test]
    fn an_ignored_rust_test_counts_as_failed() {
        assert_eq!(cargo(CARGO), Tally { passed: 5, failed: 2 });
    }

    #[test]
    fn a_skipped_or_unfinished_node_test_counts_as_failed() {
        let output = "# pass 99\n# tests 8\n# pass 4\n# fail 1\n# cancelled 0\n# skipped 2\n# todo 1\n";
        assert_eq!(node(output), Tally { passed: 4, failed: 4 });
    }

    #[test]
    fn drivers_are_added_up() {
        let output = "ok one\n12 passed, 0 failed\nthree passed, 1 failed\n 3 passed, 2 failed\n";
        assert_eq!(
            driver(output),
            Tally {
                passed: 15,
                failed: 2
            }
        );
    }

    #[test]
    fn a_program_that_fails_or_runs_nothing_fails_once() {
        let passed = |passed| Tally { passed, failed: 0 };
        assert_eq!(passed(3).ended(true), passed(3));
        assert_eq!(passed(3).ended(false), Tally { passed: 3, failed: 1 });
        assert_eq!(passed(0).ended(true), Tally { passed: 0, failed: 1 });
        let failed = Tally { passed: 1, failed: 2 };
        assert_eq!(failed.ended(false), failed);
    }
}
