//! Does what the replica asks for the sake of its credentials: in an object what authorizations need, in an isolate the
//! question for a token, which goes to an object.

use futures::future::LocalBoxFuture;
use leeward::http::login::CALLBACK;
use leeward::{Input, Output};
use worker::Env;

use crate::host::{self, Handle, Host};
use crate::sign::Keys;
use crate::store::Store;
use crate::{grants, log, login, runtime};

/// What becomes of an output.
pub(crate) enum Done {
    /// Its answer, if it has one.
    Now(Option<Input>),
    /// What its answer comes from.
    Later(LocalBoxFuture<'static, Option<Input>>),
}

/// The request of an isolate's within which its objects are asked.
#[derive(Clone)]
pub(crate) struct Seat {
    pub(crate) env: Env,
    pub(crate) origin: Option<String>,
}

/// Does an output. Without a seat it is an object's.
pub(crate) fn undertake(host: &Handle, seat: Option<&Seat>, output: Output) -> Done {
    let object = host.with(|host| Some((host.object.clone()?, host.keys.clone())));
    let object = object.flatten();
    Done::Now(match output {
        Output::Keep { key, record } => {
            if let Some(((store, _), _)) = object {
                store.keep(&key, record.as_deref());
            }
            None
        }
        Output::Redirect { op, .. } => {
            let origin = host.with(|host| host.origin.clone()).flatten();
            let uri = origin.map(|origin| format!("{origin}{CALLBACK}"));
            let unknown = "no request came over https: authority.oauth.redirectUri is needed";
            let result = logged(uri.ok_or_else(|| unknown.into()));
            Some(Input::Redirect { op, result })
        }
        Output::Load { .. } | Output::Sign { .. } | Output::Authorize { .. }
            if let Some(((store, id), keys)) = object =>
        {
            return Done::Later(Box::pin(as_object(store, id, keys, output)));
        }
        Output::Credential {
            op,
            principal,
            refused,
        } if let Some(seat) = seat => {
            let now = runtime::now().mono;
            let fresh = |host: &mut Host| {
                let fresh = host.held.fresh(principal.as_deref(), refused.as_ref(), now);
                fresh.cloned()
            };
            if let Some(credential) = host.with(fresh).flatten() {
                let result = Ok(Some(credential));
                return Done::Now(Some(Input::Credential { op, result }));
            }
            let asked = grants::token(host.clone(), seat.clone(), principal, refused);
            return Done::Later(Box::pin(async move {
                Some(match asked.await {
                    Ok(credential) => Input::Credential {
                        op,
                        result: Ok(credential),
                    },
                    Err(error) => Input::Denied { op, error },
                })
            }));
        }
        Output::Errand { id, result } => {
            host.with(|host| host.run_errand(id, result));
            None
        }
        output => host::at_once(output),
    })
}

/// What an object does that needs waiting.
async fn as_object(store: Store, id: String, keys: Keys, output: Output) -> Option<Input> {
    Some(match output {
        Output::Load { op, key } => Input::Loaded {
            op,
            result: logged(store.load(key).await),
        },
        Output::Sign {
            op,
            key,
            algorithm,
            payload,
        } => Input::Signed {
            op,
            result: logged(keys.sign(key, algorithm, payload).await),
        },
        Output::Authorize { op, principal, url } => Input::Authorized {
            op,
            result: logged(login::offer(store, id, principal, url).await),
        },
        output => return host::at_once(output),
    })
}

/// What failed is the operator's to know; agents are told no more than that it did.
fn logged<T>(result: Result<T, String>) -> Result<T, String> {
    result.inspect_err(|detail| log::unable(detail))
}
