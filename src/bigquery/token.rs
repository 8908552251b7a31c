//! Access tokens for Google's services: of a service account's key (RFC 7523, signed by OpenSSL),
//! of the machine's metadata server, or of a file that something else keeps fresh.

use std::io::Read;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use openssl::base64;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use serde::Deserialize;
use serde_json::json;
use ureq::Agent;
use ureq::http::Response;

use crate::base::clock::since_1970;
use crate::base::http_client;
use crate::base::secret::Secret;
use crate::base::text::first_line;

#[derive(Clone, Debug, PartialEq)]
pub enum Credentials {
    /// An emulator asks for nothing.
    None,
    /// The JSON file of a service account's key.
    ServiceAccount(PathBuf),
    TokenFile(PathBuf),
    /// The metadata server of the machine.
    Metadata {
        url: String,
    },
}

#[derive(Deserialize)]
struct ServiceAccount {
    client_email: String,
    private_key: String,
    private_key_id: Option<String>,
    #[serde(default = "token_uri")]
    token_uri: String,
}

fn token_uri() -> String {
    "https://oauth2.googleapis.com/token".into()
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default)]
    expires_in: u64,
}

/// To write rows, or to make tables too.
pub const SCOPE_INSERT: &str = "https://www.googleapis.com/auth/bigquery.insertdata";
pub const SCOPE_ALL: &str = "https://www.googleapis.com/auth/bigquery";

/// A token is not used in its last minute.
const EXPIRY_MARGIN: Duration = Duration::from_secs(60);
const LIFE_SECONDS: u64 = 3600;
/// Nor is one that is said to be good for longer.
const LIFE_LONGEST: Duration = Duration::from_secs(86_400);
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// Why there is none.
pub enum NoToken {
    /// There may be one later, not before `after`.
    Later {
        after: Option<Duration>,
        why: String,
    },
    Refused(String),
}

impl From<String> for NoToken {
    fn from(why: String) -> NoToken {
        NoToken::Refused(why)
    }
}

pub struct Tokens {
    agent: Agent,
    credentials: Credentials,
    scope: &'static str,
    kept: Option<(Secret, Instant)>,
}

impl Tokens {
    pub fn new(agent: Agent, credentials: Credentials, scope: &'static str) -> Tokens {
        Tokens { agent, credentials, scope, kept: None }
    }

    /// The current token was refused: the next one is a new one.
    pub fn forget(&mut self) {
        self.kept = None;
    }

    /// The `Authorization` header, if there is need of one.
    pub fn header(&mut self) -> Result<Option<Secret>, NoToken> {
        if let Some((token, expires)) = &self.kept
            && Instant::now() < *expires
        {
            return Ok(Some(token.clone()));
        }
        let granted = match &self.credentials {
            Credentials::None => return Ok(None),
            Credentials::TokenFile(path) => {
                // It is read each time, because another program keeps it fresh.
                let token = Secret::from_file(path)?;
                return Ok(Some(bearer(token.expose())));
            }
            Credentials::ServiceAccount(path) => {
                let shown = path.display();
                let text = std::fs::read_to_string(path)
                    .map_err(|err| format!("cannot read {shown}: {err}"))?;
                // The error must not show what is in the file.
                let account: ServiceAccount = serde_json::from_str(&text).map_err(|err| {
                    format!("{shown} is no service account's key: {}", place(&err))
                })?;
                let assertion = assertion(&account, self.scope, since_1970().as_secs())
                    .map_err(|why| format!("{shown}: {why}"))?;
                let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
                let form = [("grant_type", grant), ("assertion", assertion.expose())];
                let uri = &account.token_uri;
                granted(uri, http_client::post(&self.agent, uri)?.send_form(form))?
            }
            Credentials::Metadata { url } => {
                let uri =
                    format!("{url}/computeMetadata/v1/instance/service-accounts/default/token");
                let request = http_client::get(&self.agent, &uri)?;
                let request = request.header("Metadata-Flavor", "Google");
                granted(&uri, request.call())?
            }
        };
        let life = Duration::from_secs(granted.expires_in).min(LIFE_LONGEST);
        let life = life.saturating_sub(EXPIRY_MARGIN);
        let token = bearer(&granted.access_token);
        self.kept = Some((token.clone(), Instant::now() + life));
        Ok(Some(token))
    }
}

fn bearer(token: &str) -> Secret {
    Secret::new(format!("Bearer {token}"))
}

fn place(err: &serde_json::Error) -> String {
    match err.classify() {
        serde_json::error::Category::Data => "client_email or private_key is missing".into(),
        _ => format!("it is not JSON at line {}", err.line()),
    }
}

fn granted(
    uri: &str,
    response: Result<Response<ureq::Body>, ureq::Error>,
) -> Result<Granted, NoToken> {
    let later = |after, why: String| NoToken::Later { after, why: format!("{uri}: {why}") };
    let response = response.map_err(|err| later(None, http_client::describe(&err)))?;
    let (head, body) = response.into_parts();
    let mut text = Vec::new();
    let read = body.into_reader().take(ANSWER_BYTES_MAX).read_to_end(&mut text);
    read.map_err(|err| later(None, err.to_string()))?;
    if !head.status.is_success() {
        #[derive(Deserialize)]
        struct Refused {
            error: String,
            #[serde(default)]
            error_description: String,
        }
        let words = match serde_json::from_slice::<Refused>(&text) {
            Ok(refused) => format!("{}: {}", refused.error, refused.error_description),
            Err(_) => String::from_utf8_lossy(&text).into_owned(),
        };
        let status = head.status.as_u16();
        let why = format!("no token, status {status} ({})", first_line(&words));
        return Err(match status {
            408 | 429 | 500..=599 => later(http_client::retry_after(&head.headers), why),
            _ => NoToken::Refused(format!("{uri}: {why}")),
        });
    }
    let granted = serde_json::from_slice(&text);
    granted.map_err(|_| NoToken::Refused(format!("{uri}: the answer holds no access_token")))
}

/// The signed claims of RFC 7523 section 3, as a JWT of RFC 7515.
fn assertion(account: &ServiceAccount, scope: &str, now: u64) -> Result<Secret, String> {
    let mut header = json!({"alg": "RS256", "typ": "JWT"});
    if let Some(id) = &account.private_key_id {
        header["kid"] = id.as_str().into();
    }
    let claims = json!({
        "iss": account.client_email,
        "scope": scope,
        "aud": account.token_uri,
        "iat": now,
        "exp": now + LIFE_SECONDS,
    });
    let signed = format!(
        "{}.{}",
        base64url(header.to_string().as_bytes()),
        base64url(claims.to_string().as_bytes())
    );
    let sign = || -> Result<Vec<u8>, openssl::error::ErrorStack> {
        let key = PKey::private_key_from_pem(account.private_key.as_bytes())?;
        let mut signer = Signer::new(MessageDigest::sha256(), &key)?;
        signer.sign_oneshot_to_vec(signed.as_bytes())
    };
    let signature = sign().map_err(|_| "private_key is no private key, PEM".to_string())?;
    Ok(Secret::new(format!("{signed}.{}", base64url(&signature))))
}

/// RFC 4648 section 5, without padding.
fn base64url(bytes: &[u8]) -> String {
    let plain = base64::encode_block(bytes);
    plain.trim_end_matches('=').replace('+', "-").replace('/', "_")
}
