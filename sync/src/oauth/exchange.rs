//! Single exchanges with who publishes metadata and issues tokens. Each has an end, a size, and no redirect: what is
//! asked for at one place is not taken from another (metadata that moved is not there). No request but that for a
//! token carries a credential.

use alloc::string::String;
use alloc::vec::Vec;

use leeward::Millis;
use leeward::base64;
use leeward::border::HttpRequest;
use leeward::config::OAuth;
use leeward::config::oauth::{AuthMethod, Dpop};
use leeward::json::Members;

use super::Scheme;
use super::answer::{Refusal, Registered, Tokens};
use super::client::{Client, method_to_register};
use super::encode::{self, Form, Proof};
use super::metadata::Server;
use crate::exec::Io;
use crate::flow::{find, within};
use crate::limits::{MAX_OAUTH_BYTES, OAUTH_STEP};
use crate::trouble::Trouble;

/// A response with its whole body.
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    retry_after: Option<Millis>,
    text: String,
}

impl Answer {
    /// What it is if it says nothing about the question: an outage, or a limit.
    fn outage(&self) -> Option<Trouble> {
        let answers = !matches!(self.status, 408 | 429 | 500..);
        (!answers).then(|| Trouble::status(self.status, self.retry_after, false))
    }
}

async fn send(io: &mut Io, request: HttpRequest) -> Result<Answer, Trouble> {
    let timer = io.timer(OAUTH_STEP);
    let work = async {
        let response = io.fetch(request, None).await.map_err(Trouble::network)?;
        let (mut body, mut bytes) = (response.body, Vec::new());
        loop {
            let chunk = body.next(io).await;
            let Some(chunk) = chunk.map_err(|failure| Trouble::cut(failure.message))? else {
                break;
            };
            if bytes.len() + chunk.len() > MAX_OAUTH_BYTES {
                let message = "an answer about authorization is too large";
                return Err(Trouble::unissued("invalid_metadata", message));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Answer {
            status: response.status,
            headers: response.headers,
            retry_after: response.retry_after,
            // What is no text is no JSON either.
            text: String::from_utf8(bytes).unwrap_or_default(),
        })
    };
    within(timer, None, work).await.unwrap_or_else(|| {
        let message = "authorization did not get an answer in time";
        Err(Trouble::timeout().with_detail(message))
    })
}

/// The JSON object at the first of these places that has one. A place that is out of order does not hide the next
/// one, but if there is none, that is the outcome, rather than that nothing was published. `sure`: something was, so
/// who neither has it nor denies it is somebody else.
pub(super) async fn look(
    io: &mut Io,
    places: &[String],
    sure: bool,
) -> Result<Option<(String, String)>, Trouble> {
    let mut outage = None;
    for place in places {
        let request = HttpRequest {
            method: "GET",
            url: place.clone(),
            headers: [("accept".into(), "application/json".into())].into(),
            body: Vec::new(),
        };
        match send(io, request).await {
            Ok(answer) if answer.status == 200 && Members::parse(&answer.text).is_some() => {
                return Ok(Some((place.clone(), answer.text)));
            }
            Ok(answer) if sure && answer.status < 400 => {
                let message = "what answers for those who publish metadata is none of them";
                outage = outage.or(Some(Trouble::unissued("invalid_metadata", message)));
            }
            Ok(answer) => outage = outage.or(answer.outage()),
            Err(trouble) => outage = outage.or(Some(trouble)),
        }
    }
    outage.map_or(Ok(None), Err)
}

/// Registers a client (RFC 7591).
pub(super) async fn register(
    io: &mut Io,
    settings: &OAuth,
    server: &Server,
    redirect_uri: &str,
    native: bool,
) -> Result<Registered, Trouble> {
    let method = method_to_register(server);
    let name = settings.client_name.as_deref().unwrap_or("Leeward");
    let body = encode::registration(name, redirect_uri, method.name(), native);
    let request = encode::post(&server.registration, "application/json", body);
    let answer = send(io, request).await?;
    if let Some(outage) = answer.outage() {
        return Err(outage);
    }
    let failed = |detail: &str| {
        let message = "the authority's authorization server did not register the replica";
        Trouble::authorization("registration_failed", message).with_detail(detail)
    };
    if !matches!(answer.status, 200 | 201) {
        return Err(failed(&Refusal::read(answer.status, &answer.text).detail));
    }
    Registered::read(&answer.text, method).ok_or_else(|| failed("the client is not one that can be used"))
}

/// Asks the token endpoint; what it says if it says no.
pub(super) async fn tokens(
    io: &mut Io,
    settings: &OAuth,
    server: &Server,
    client: &Client,
    form: Form,
) -> Result<Result<Tokens, Refusal>, Trouble> {
    let mut nonce = None;
    loop {
        let mut request = authenticated(io, server, client, form.clone(), &server.token).await?;
        if let Some(dpop) = &settings.dpop {
            let proof = prove(io, dpop, "POST", &server.token, None, nonce.as_deref()).await?;
            request.headers.push(("dpop".into(), proof));
        }
        let answer = send(io, request).await?;
        if let Some(outage) = answer.outage() {
            return Err(outage);
        }
        let refusal = Refusal::read(answer.status, &answer.text);
        // RFC 6749, sections 5.1 and 5.2. Who answers otherwise, such as a captive portal, says nothing about the grant.
        let says = match answer.status {
            200 => Members::parse(&answer.text).is_some(),
            400 | 401 => true,
            _ => !refusal.error.is_empty(),
        };
        if !says {
            let message = "what answers for the authority's authorization server is not one";
            return Err(Trouble::unissued("token_invalid", message).with_detail(&refusal.detail));
        }
        if answer.status == 200 {
            let tokens = Tokens::read(&answer.text)?;
            // RFC 9449, section 5: a token that is not bound is to be discarded where that matters.
            let bound = tokens.scheme == Scheme::Dpop;
            if bound != settings.dpop.is_some() {
                let message = "the authorization server does not bind tokens as it was asked to";
                return Err(Trouble::authorization("dpop_mismatch", message));
            }
            return Ok(Ok(tokens));
        }
        // RFC 9449, section 8; once, so that a server which always asks is not answered for ever.
        let wanted = nonce_of(&answer.headers);
        if refusal.error != "use_dpop_nonce" || nonce.is_some() || wanted.is_none() {
            return Ok(Err(refusal));
        }
        nonce = wanted;
    }
}

/// Revokes a token (RFC 7009).
pub(super) async fn revoke(
    io: &mut Io,
    server: &Server,
    client: &Client,
    token: &str,
    kind: &str,
) -> Result<(), Trouble> {
    let form = Form::default().with("token", token).with("token_type_hint", kind);
    let request = authenticated(io, server, client, form, &server.revocation).await?;
    let answer = send(io, request).await?;
    if answer.status == 200 {
        return Ok(());
    }
    let detail = Refusal::read(answer.status, &answer.text).detail;
    let message = "the authority's authorization server did not revoke the grant";
    Err(Trouble::authorization("revocation_failed", message).with_detail(&detail))
}

/// A POST of `form` by which the client authenticates itself.
async fn authenticated(
    io: &mut Io,
    server: &Server,
    client: &Client,
    mut form: Form,
    url: &str,
) -> Result<HttpRequest, Trouble> {
    let secret = client.secret.as_ref().map_or("", |secret| &*secret.0);
    let mut authorization = None;
    match client.method {
        AuthMethod::None => form.push("client_id", &client.id),
        AuthMethod::Basic => authorization = Some(encode::basic(&client.id, secret)),
        AuthMethod::Post => {
            form.push("client_id", &client.id);
            form.push("client_secret", secret);
        }
        AuthMethod::PrivateKeyJwt => {
            let Some(key) = &client.key else {
                return Err(Trouble::authorization(
                    "unregistered",
                    "the client has no key to sign with",
                ));
            };
            let unique = unique(io).await?;
            let at = io.now().await.unix.0 / 1000;
            let id = key.key_id.as_deref().unwrap_or_default();
            let input = encode::assertion(&client.id, &server.issuer, key.algorithm, id, &unique, at);
            let assertion = signed(io, &key.name, key.algorithm, input).await?;
            form.push(
                "client_assertion_type",
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            );
            form.push("client_assertion", &assertion);
        }
    }
    let mut request = form.post(url);
    request
        .headers
        .extend(authorization.map(|value| ("authorization".into(), value)));
    Ok(request)
}

/// A DPoP proof for one request (RFC 9449, section 4): the value of its `dpop` header. `token`: the access token that
/// it carries, if it does; `nonce`: what the server asked for.
pub(crate) async fn prove(
    io: &mut Io,
    dpop: &Dpop,
    method: &str,
    url: &str,
    token: Option<&str>,
    nonce: Option<&str>,
) -> Result<String, Trouble> {
    let unique = unique(io).await?;
    let at = io.now().await.unix.0 / 1000;
    let input = encode::proof(&Proof {
        algorithm: dpop.algorithm,
        jwk: &dpop.jwk,
        unique: &unique,
        method,
        url,
        at,
        token,
        nonce,
    });
    signed(io, &dpop.key, dpop.algorithm, input).await
}

/// The nonce that a server asks for (RFC 9449, sections 8 and 9).
pub(crate) fn nonce_of(headers: &[(String, String)]) -> Option<String> {
    let fits = |nonce: &&str| nonce.len() <= 256 && nonce.bytes().all(|byte| byte.is_ascii_graphic());
    find(headers, "dpop-nonce").filter(fits).map(Into::into)
}

async fn signed(io: &mut Io, key: &str, algorithm: &str, mut input: String) -> Result<String, Trouble> {
    let signature = io
        .sign(key.into(), algorithm.into(), input.clone().into_bytes())
        .await;
    let signature = signature.map_err(|detail| {
        let message = "the host did not sign";
        Trouble::authorization("signature_failed", message).with_detail(&detail)
    })?;
    input.push('.');
    input.push_str(&base64::url(&signature));
    Ok(input)
}

/// 128 random bits, as text.
pub(super) async fn unique(io: &mut Io) -> Result<String, Trouble> {
    random(io, 16).await
}

/// Random bytes, as text for URLs.
pub(super) async fn random(io: &mut Io, count: usize) -> Result<String, Trouble> {
    let bytes = io.entropy(count).await;
    let bytes = bytes.map_err(|detail| Trouble::internal("the host has no entropy").with_detail(&detail))?;
    Ok(base64::url(&bytes))
}
