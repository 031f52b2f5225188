//! The targets under libFuzzer. Which one, `LEEWARD_FUZZ_TARGET` says; `cargo xtask fuzz` builds and runs this.
#![no_main]

use std::sync::OnceLock;

use leeward_fuzz::Target;

static TARGET: OnceLock<Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(
    init: {
        let name = std::env::var("LEEWARD_FUZZ_TARGET").expect("LEEWARD_FUZZ_TARGET names the target");
        let target = leeward_fuzz::target(&name).unwrap_or_else(|| panic!("there is no target {name}"));
        TARGET.set(target).expect("this runs once");
    },
    |data: &[u8]| {
        (TARGET.get().expect("it was set before").run)(data);
    }
);
