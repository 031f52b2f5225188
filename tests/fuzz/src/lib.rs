//! Fuzz targets: properties of Leeward that hold for any bytes.
//!
//! A target is a plain function of bytes that panics only if a property is broken, so that anything can drive it:
//! libFuzzer (`cargo xtask fuzz`, binary `fuzz`), and an ordinary test that replays every seed and every regression
//! by name, and mutates the seeds a little (`tests/replay.rs`). Targets read no clock and draw nothing: the same
//! bytes give the same run.

pub mod host;
pub mod input;
pub mod judge;
pub mod mutate;
pub mod seeds;
pub mod targets;

/// One target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: of its file, its corpus and its regressions.
    pub name: &'static str,
    /// Judges one input; panics if a property does not hold.
    pub run: fn(&[u8]),
    /// Inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Longest input that is worth trying, in bytes.
    pub max_bytes: usize,
}

/// All targets.
pub const TARGETS: [Target; 8] = [
    targets::message::TARGET,
    targets::border::TARGET,
    targets::sse::TARGET,
    targets::policy::TARGET,
    targets::config::TARGET,
    targets::headers::TARGET,
    targets::json::TARGET,
    targets::oauth::TARGET,
];

/// The target of that name.
#[must_use]
pub fn target(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}
