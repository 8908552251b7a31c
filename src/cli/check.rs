//! `perijove check`: says what works.

use super::command::{Arguments, Exit};
use super::print::say;
use crate::base::inventory::Shared;
use crate::bigquery::load;
use crate::dependency::source;
use crate::federate::query::Client;
use crate::output::spool;
use crate::{daemon, poll};

pub fn run(arguments: &Arguments) -> Result<(), Exit> {
    let config = arguments.start()?;
    let mut failed = false;
    let mut report = |what: &str, result: Result<String, String>| match result {
        Ok(words) => say(&format!("ok      {what}: {words}\n")),
        Err(why) => {
            failed = true;
            say(&format!("FAILED  {what}: {why}\n"))
        }
    };
    for router in &config.routers {
        let session = poll::connect(router).map_err(|err| err.0).map(|session| {
            let capabilities = session.capabilities.len();
            let words = format!("session {}, {capabilities} capabilities", session.session_id);
            session.close();
            words
        });
        report(&format!("router {}", router.name), session)?;
    }
    if let Some(settings) = &config.dependency {
        match source::sources(settings, &Shared::default()) {
            Ok(sources) => {
                for mut source in sources {
                    let mut points = 0;
                    let found = source.run_once(&mut |batch| points += batch.points.len());
                    let words = |found: source::Found| {
                        let source::Found { items, rejected, .. } = found;
                        format!("{items} found, {rejected} left out, {points} points")
                    };
                    report(&format!("source {}", source.status.source), found.map(words))?;
                }
            }
            Err(why) => report("sources", Err(why))?,
        }
    }
    if let Some(federate) = &config.federate {
        let checked = Client::new(&federate.query).and_then(|client| client.check());
        report("federate", checked)?;
    }
    if let Some(bigquery) = &config.bigquery {
        report("bigquery", load::check(bigquery))?;
    }
    for output in &config.outputs {
        let checked = daemon::make_output(output).and_then(|mut parts| parts.check());
        report(&format!("output {}", output.name()), checked)?;
        if let Some(spool) = &output.spool {
            report(&format!("spool of {}", output.name()), spool::check(&spool.directory))?;
        }
    }
    if failed { Err(Exit::Failed(String::new())) } else { Ok(()) }
}
