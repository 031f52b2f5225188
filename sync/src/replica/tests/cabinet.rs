//! What a scripted host has for grants: a vault, a key, and a user.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use leeward::border::{Callback, Credential, ErrandId};
use leeward::{Error, Input, OpId, Output};

type User = Box<dyn FnMut(&str) -> Option<Result<Callback, String>> + Send>;

/// See the module.
pub(super) struct Cabinet {
    pub(super) vault: BTreeMap<String, Vec<u8>>,
    /// Whether reading the vault fails.
    pub(super) broken: bool,
    /// Whether it never answers.
    pub(super) silent: bool,
    /// What the user does with a link; `None`: nothing yet.
    pub(super) user: User,
    /// The links that the user was brought to.
    pub(super) shown: Vec<(OpId, String)>,
    pub(super) told: Vec<(ErrandId, Result<Option<Credential>, Error>)>,
}

impl Default for Cabinet {
    fn default() -> Self {
        Self {
            vault: BTreeMap::new(),
            broken: false,
            silent: false,
            user: Box::new(|_| None),
            shown: Vec::new(),
            told: Vec::new(),
        }
    }
}

impl Cabinet {
    /// Takes a page away from the user, if it is one.
    pub(super) fn closes(&mut self, op: OpId) -> bool {
        let before = self.shown.len();
        self.shown.retain(|(shown, _)| *shown != op);
        self.shown.len() < before
    }

    pub(super) fn act(&mut self, output: Output) -> Option<Input> {
        match output {
            Output::Load { .. } if self.silent => None,
            Output::Load { op, .. } if self.broken => {
                let result = Err("the disk is gone".into());
                Some(Input::Loaded { op, result })
            }
            Output::Load { op, key } => {
                check(&key);
                let result = Ok(self.vault.get(&key).cloned());
                Some(Input::Loaded { op, result })
            }
            Output::Keep { key, record } => {
                check(&key);
                match record {
                    Some(record) => self.vault.insert(key, record),
                    None => self.vault.remove(&key),
                };
                None
            }
            Output::Sign { op, payload, .. } => {
                let result = Ok(payload.into_iter().rev().take(8).collect());
                Some(Input::Signed { op, result })
            }
            Output::Redirect { op, .. } => {
                let result = Ok("http://127.0.0.1:7777/callback".into());
                Some(Input::Redirect { op, result })
            }
            Output::Authorize { op, url, .. } => {
                let result = (self.user)(&url);
                self.shown.push((op, url));
                result.map(|result| Input::Authorized { op, result })
            }
            Output::Errand { id, result } => {
                self.told.push((id, result));
                None
            }
            other => panic!("{other:?}"),
        }
    }
}

fn check(key: &str) {
    assert!(
        key.len() <= 128 && key.bytes().all(|byte| byte.is_ascii_graphic()),
        "{key}"
    );
    assert!(!key.contains("ann"), "{key} names the principal");
}
