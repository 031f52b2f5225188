//! What a replica does, case by case, whatever host it lives in.
//!
//! Each file holds the cases of one subject. [`ALL`] is what runs on a host through its own program; on the
//! core, in both kinds of [`crate::pair::Kind`], each case is an ordinary test of this crate.

mod agents;
mod authorities;
mod bridge;
mod credentials;
mod eras;
mod hits;
mod keys;
mod listen;
mod lists;
mod local;
mod mirrored;
mod outages;
mod policy;
mod retries;
mod sessions;
mod tasks;
mod time;
mod together;
mod unstored;
mod writes;

use crate::target::{Host, Need};

/// One behaviour.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Subject and name.
    pub name: &'static str,
    /// What a host must be able to do for this to be a case of its.
    pub needs: &'static [Need],
    /// Panics if the behaviour is not there.
    pub run: fn(&mut dyn Host),
}

/// Every case, by subject.
pub const ALL: &[&[Case]] = &[
    agents::CASES,
    authorities::CASES,
    bridge::CASES,
    credentials::CASES,
    eras::CASES,
    hits::CASES,
    keys::CASES,
    listen::CASES,
    lists::CASES,
    local::CASES,
    mirrored::CASES,
    outages::CASES,
    policy::CASES,
    retries::CASES,
    sessions::CASES,
    tasks::CASES,
    time::CASES,
    together::CASES,
    unstored::CASES,
    writes::CASES,
];

/// The cases of a host.
pub fn cases_of(host: &dyn Host) -> Vec<Case> {
    let fits = |case: &&Case| case.needs.iter().all(|need| host.has(*need));
    ALL.iter().copied().flatten().filter(fits).copied().collect()
}

/// The rule that most cases go by: `get_*` is cached for a minute.
pub(crate) const GET: &[(&str, &str)] = &[("get_*", "cache;max-age=60")];

/// Defines the cases of a subject: the list, and a test of each on the core. `needs(…)` names what a host
/// must be able to do.
macro_rules! cases {
    ($($(#[doc = $doc:literal])* fn $name:ident($host:ident) $(needs($($need:ident),+))? $body:block)*) => {
        pub(super) const CASES: &[$crate::behaviour::Case] = &[$(
            $crate::behaviour::Case {
                name: concat!(module_path!(), "::", stringify!($name)),
                needs: &[$($($crate::target::Need::$need),+)?],
                run: $name,
            },
        )*];
        $($(#[doc = $doc])* fn $name($host: &mut dyn $crate::target::Host) $body)*
        #[cfg(test)]
        mod on_the_core {
            $($crate::behaviour::on_the_core! { $name $($($need)+)? })*
        }
    };
}

/// The tests of one case: on each kind of pair that can do what it needs.
#[cfg(test)]
macro_rules! on_the_core {
    ($name:ident Http $($rest:ident)*) => {
        mod $name {
            #[test]
            fn request_bound() {
                super::super::$name(&mut $crate::pair::Kind::RequestBound);
            }
        }
    };
    ($name:ident Sessions $($rest:ident)*) => {
        mod $name {
            #[test]
            fn sessions() {
                super::super::$name(&mut $crate::pair::Kind::Sessions);
            }
        }
    };
    ($name:ident InProcess $($rest:ident)*) => {
        mod $name {
            #[test]
            fn in_process() {
                super::super::$name(&mut $crate::pair::Kind::InProcess);
            }
        }
    };
    ($name:ident $need:ident $($rest:ident)*) => {
        $crate::behaviour::on_the_core! { $name $($rest)* }
    };
    ($name:ident) => {
        mod $name {
            #[test]
            fn in_process() {
                super::super::$name(&mut $crate::pair::Kind::InProcess);
            }
            #[test]
            fn request_bound() {
                super::super::$name(&mut $crate::pair::Kind::RequestBound);
            }
        }
    };
}

pub(crate) use cases;
#[cfg(test)]
pub(crate) use on_the_core;
