//! The engine's part in authorization: answers of the host's hooks, and errands.

use leeward::border::{Callback, Credential, Errand};
use leeward::{Caller, Ctx, Input, OpId};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::engine::{Engine, cut, double, now, text, whole};
use crate::output::{AUTHORIZE, CREDENTIAL, LOAD, REDIRECT, SIGN};

/// Errand: the redirect of an authorization.
const CALLBACK: u32 = 0;
/// Errand: the end of a principal's grant.
const SIGN_OUT: u32 = 1;

#[wasm_bindgen]
impl Engine {
    /// There is no credential for the principal.
    #[wasm_bindgen(js_name = handleNoCredential)]
    pub fn handle_no_credential(&mut self, mono: f64, unix: f64, op: f64) {
        let op = OpId(whole(op));
        self.handle(mono, unix, Input::Credential { op, result: Ok(None) });
    }

    /// The credential for the principal. Input: the token, then the identity of its grant if `identified`.
    #[wasm_bindgen(js_name = handleCredential)]
    pub fn handle_credential(
        &mut self,
        mono: f64,
        unix: f64,
        op: f64,
        token: usize,
        identity: usize,
        identified: bool,
    ) {
        let (token, rest) = cut(&self.input, token);
        let credential = Credential {
            identity: identified.then(|| text(cut(rest, identity).0)),
            ..Credential::of(text(token))
        };
        let op = OpId(whole(op));
        let result = Ok(Some(credential));
        self.handle(mono, unix, Input::Credential { op, result });
    }

    /// What the vault has. Input: the record, if `found`.
    #[wasm_bindgen(js_name = handleLoaded)]
    pub fn handle_loaded(&mut self, mono: f64, unix: f64, op: f64, found: bool, len: usize) {
        let result = Ok(found.then(|| cut(&self.input, len).0.to_vec()));
        let op = OpId(whole(op));
        self.handle(mono, unix, Input::Loaded { op, result });
    }

    /// A signature. Input: its bytes.
    #[wasm_bindgen(js_name = handleSigned)]
    pub fn handle_signed(&mut self, mono: f64, unix: f64, op: f64, len: usize) {
        let result = Ok(cut(&self.input, len).0.to_vec());
        let op = OpId(whole(op));
        self.handle(mono, unix, Input::Signed { op, result });
    }

    /// Where a redirect is waited for. Input: the redirect URI.
    #[wasm_bindgen(js_name = handleRedirect)]
    pub fn handle_redirect(&mut self, mono: f64, unix: f64, op: f64, len: usize) {
        let result = Ok(text(cut(&self.input, len).0));
        let op = OpId(whole(op));
        self.handle(mono, unix, Input::Redirect { op, result });
    }

    /// What came of an authorization. Input: the query of its redirect; if it goes on `elsewhere`, the link for that.
    #[wasm_bindgen(js_name = handleAuthorized)]
    pub fn handle_authorized(&mut self, mono: f64, unix: f64, op: f64, elsewhere: bool, len: usize) {
        let came = text(cut(&self.input, len).0);
        let result = Ok(if elsewhere {
            Callback::Elsewhere(came)
        } else {
            Callback::Query(came)
        });
        let op = OpId(whole(op));
        self.handle(mono, unix, Input::Authorized { op, result });
    }

    /// A hook failed that an output of that kind asked. Input: why.
    #[wasm_bindgen(js_name = handleHookFailed)]
    pub fn handle_hook_failed(&mut self, mono: f64, unix: f64, op: f64, kind: u32, len: usize) {
        let why = text(cut(&self.input, len).0);
        let op = OpId(whole(op));
        let input = match kind {
            CREDENTIAL => Input::Credential { op, result: Err(why) },
            LOAD => Input::Loaded { op, result: Err(why) },
            SIGN => Input::Signed { op, result: Err(why) },
            REDIRECT => Input::Redirect { op, result: Err(why) },
            AUTHORIZE => Input::Authorized { op, result: Err(why) },
            _ => return,
        };
        self.handle(mono, unix, input);
    }

    /// Begins an errand, and names it. Input: of kind 0 the query of a redirect, after a line's end who came back, if that
    /// is known: a `=` and the principal, or nothing for an anonymous caller; of kind 1 the principal whose grant is to
    /// end; of any other kind nothing: the grant of anonymous callers.
    pub fn errand(&mut self, mono: f64, unix: f64, kind: u32, len: usize) -> f64 {
        let about = text(cut(&self.input, len).0);
        let errand = match kind {
            CALLBACK => {
                let (query, who) = match about.split_once('\n') {
                    Some((query, who)) => (query, Some(who)),
                    None => (&*about, None),
                };
                let caller = |who: &str| match who.strip_prefix('=') {
                    Some(name) => Caller::Principal(name.into()),
                    None => Caller::Anonymous,
                };
                Errand::Callback {
                    query: query.into(),
                    caller: who.map(caller),
                }
            }
            SIGN_OUT => Errand::SignOut {
                principal: Some(about),
            },
            _ => Errand::SignOut { principal: None },
        };
        double(self.replica.errand(now(mono, unix), Ctx::SHARED, errand).0)
    }
}
