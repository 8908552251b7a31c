//! Asks Prometheus.

use std::path::PathBuf;
use std::time::Duration;

use ureq::Agent;

use super::answer::{self, Rest, Series};
use crate::base::http_client::{self, Login};

#[derive(Clone, Debug, PartialEq)]
pub struct PrometheusQueryConfig {
    /// Without `/api/v1/query`.
    pub url: String,
    pub login: Login,
    pub tenant: Option<String>,
    /// For the whole of an answer.
    pub timeout: Duration,
    pub ca_file: Option<PathBuf>,
    pub answer_bytes_max: u64,
    /// Take an answer with warnings, of which a part may be missing.
    pub partial: bool,
}

pub struct PrometheusClient {
    agent: Agent,
    settings: PrometheusQueryConfig,
}

impl PrometheusClient {
    /// Fails if the file with the roots of trust cannot be read.
    pub fn new(settings: &PrometheusQueryConfig) -> Result<PrometheusClient, String> {
        let agent = http_client::agent(&settings.url, settings.timeout, &settings.ca_file)?;
        Ok(PrometheusClient { agent, settings: settings.clone() })
    }

    /// Whether it answers: for `check`.
    pub fn check(&self) -> Result<String, String> {
        let rest = self.ask("vector(1)", 0, &[], &mut |_| Ok(()))?;
        match rest.series {
            1 => Ok(format!("{} answers", self.settings.url)),
            series => Err(format!("{} gives {series} series for one", self.settings.url)),
        }
    }

    /// What an expression gives at a time, in milliseconds since 1970: each series goes to `each`.
    /// After an error, what was given out is to be thrown away.
    pub fn ask(
        &self,
        expression: &str,
        at: u64,
        wanted: &[&str],
        each: &mut dyn FnMut(&Series) -> Result<(), String>,
    ) -> Result<Rest, String> {
        let PrometheusQueryConfig { url, login, tenant, timeout, .. } = &self.settings;
        let mut request = self.agent.post(format!("{url}/api/v1/query"));
        if let Some(tenant) = tenant {
            request = request.header("X-Scope-OrgID", tenant);
        }
        if let Some(authorization) = login.header() {
            request = request.header("Authorization", authorization.expose());
        }
        // So that Prometheus stops when nothing waits for the answer any more.
        let form = [
            ("query", expression),
            ("time", &format!("{}.{:03}", at / 1000, at % 1000)),
            ("timeout", &format!("{}ms", timeout.as_millis())),
        ];
        let fail = |why: String| format!("{url}: {why}");
        let response = request.send_form(form).map_err(|err| fail(http_client::describe(&err)))?;
        let (head, body) = response.into_parts();
        if !head.status.is_success() {
            let words = answer::error_words(&http_client::words(body));
            let advice = match head.status.as_u16() {
                401 | 403 => ": check username, password_file or token_file",
                404 => ": check the url, which goes without /api/v1",
                422 if words.contains("too many samples") => {
                    ": lower window_max or raise Prometheus's --query.max-samples"
                }
                _ => "",
            };
            let status = head.status.as_u16();
            return Err(fail(format!("Prometheus answered {status} ({words}){advice}")));
        }
        let bytes_max = self.settings.answer_bytes_max;
        let rest = answer::read(&mut body.into_reader(), bytes_max, wanted, each).map_err(fail)?;
        match &rest.warning {
            Some(warning) if !self.settings.partial => Err(fail(format!(
                "the answer comes with a warning, a part may be missing: {}",
                crate::base::text::first_line(warning)
            ))),
            _ => Ok(rest),
        }
    }
}
