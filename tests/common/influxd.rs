//! A real InfluxDB 1.x server.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value as Json;

use super::lines::{Line, Value};
use super::process::Process;
use super::temporary::Directory;
use super::{free_port, program, wait_for};

#[derive(Default)]
pub struct Options {
    /// Lines for the `[http]` section.
    pub http: String,
    /// Lines for the `[data]` section.
    pub data: String,
    /// `(user, password)` of an administrator; with it the server asks every request for a login.
    pub administrator: Option<(&'static str, &'static str)>,
    /// Speak HTTPS, with a certificate that `ca_file` names.
    pub tls: bool,
}

pub struct Influxd {
    pub port: u16,
    options: Options,
    directory: Directory,
    server: Option<Process>,
}

impl Influxd {
    /// A server with an empty database `perijove`.
    pub fn start() -> Influxd {
        Influxd::start_with(Options::default())
    }

    pub fn start_with(options: Options) -> Influxd {
        let (port, rpc_port) = (free_port(), free_port());
        let directory = Directory::new();
        let here = directory.path().display();
        let mut http = options.http.clone();
        if options.tls {
            directory.certificate("tls");
            http += &format!(
                "\nhttps-enabled = true\nhttps-certificate = \"{here}/tls.pem\"\n\
                 https-private-key = \"{here}/tls.key\"\n"
            );
        }
        let settings = format!(
            "reporting-disabled = true\nbind-address = \"127.0.0.1:{rpc_port}\"\n\
             [meta]\ndir = \"{here}/meta\"\n\
             [data]\ndir = \"{here}/data\"\nwal-dir = \"{here}/wal\"\n{}\n\
             [monitor]\nstore-enabled = false\n\
             [http]\nbind-address = \"127.0.0.1:{port}\"\nauth-enabled = {}\n{http}\n",
            options.data,
            options.administrator.is_some(),
        );
        directory.write("influxdb.conf", settings);
        let mut influxd = Influxd { port, options, directory, server: None };
        influxd.start_again();
        if let Some((user, password)) = influxd.options.administrator {
            influxd.query(&format!(
                "CREATE USER {user} WITH PASSWORD '{password}' WITH ALL PRIVILEGES"
            ));
        }
        influxd.query("CREATE DATABASE perijove");
        influxd
    }

    /// Starts the server that `stop` stopped, on the same port with the same data.
    pub fn start_again(&mut self) {
        let settings = self.directory.join("influxdb.conf");
        let mut server =
            Process::start(Command::new(program("influxd")).arg("-config").arg(settings));
        server.wait_for("influxd answers", |_| {
            self.post("/query", &[("q", "SHOW DATABASES")], "").is_ok().then_some(())
        });
        self.server = Some(server);
    }

    /// Ends the server at once; what it has acknowledged is on its disk.
    pub fn stop(&mut self) {
        self.server = None;
    }

    /// Asks the server to end, and waits until it has.
    pub fn end(&mut self) {
        let server = self.server.take().expect("influxd runs");
        server.signal("TERM");
        server.finish();
    }

    /// The server's process.
    pub fn id(&self) -> u32 {
        self.server.as_ref().expect("influxd runs").id()
    }

    /// Starts the server again so that it asks every request for a login, or none.
    pub fn ask_for_login(&mut self, ask: bool) {
        let path = self.directory.join("influxdb.conf");
        let settings = std::fs::read_to_string(&path).expect("read influxdb.conf");
        let now = if ask { "auth-enabled = true" } else { "auth-enabled = false" };
        let settings =
            settings.replace("auth-enabled = true", now).replace("auth-enabled = false", now);
        self.directory.write("influxdb.conf", settings);
        self.end();
        self.start_again();
    }

    pub fn url(&self) -> String {
        let scheme = if self.options.tls { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// The certificate authority's file, PEM, for a server that was started with `tls`.
    pub fn ca_file(&self) -> String {
        self.directory.join("tls.pem").to_str().expect("a UTF-8 path").to_string()
    }

    /// `[output.influxdb]` for this server's database `perijove`, for the caller to append to.
    pub fn output(&self) -> String {
        format!("[output.influxdb]\nurl = \"{}\"\ndatabase = \"perijove\"\n", self.url())
    }

    /// Writes lines of the test's own.
    pub fn write(&self, lines: &str) {
        let (status, body) = self.post("/write", &[], lines).expect("influxd takes a write");
        assert_eq!(status, 204, "{body}");
    }

    /// The `series` of an InfluxQL statement's answer.
    pub fn query(&self, statement: &str) -> Vec<Json> {
        let arguments = [("epoch", "ns"), ("q", statement)];
        let (status, body) = self.post("/query", &arguments, "").expect("influxd takes a query");
        let answer: Json = serde_json::from_str(&body).unwrap_or_else(|e| panic!("{e}: {body}"));
        assert!(status == 200 && !body.contains("\"error\":"), "{statement}: {status} {body}");
        answer["results"][0]["series"].as_array().cloned().unwrap_or_default()
    }

    /// Every point of the database, as the lines that wrote it.
    pub fn points(&self) -> Vec<Line> {
        // One by one: where a field's name has another type in another measurement, a query of
        // both gives the values of one.
        let names = self.query("SHOW MEASUREMENTS");
        let rows = names.iter().flat_map(|series| series["values"].as_array().cloned());
        let names = rows.flatten().filter_map(|row| row[0].as_str().map(String::from));
        names.flat_map(|name| self.points_of(&format!("\"{name}\""))).collect()
    }

    /// Every point of the measurements that this regular expression matches.
    pub fn points_of(&self, measurements: &str) -> Vec<Line> {
        let series = self.query(&format!("SELECT * FROM {measurements} GROUP BY *"));
        series.iter().flat_map(read_series).collect()
    }

    /// The number of points, which each have the field that most points of their series have.
    pub fn count(&self) -> usize {
        let counts = self.query("SELECT COUNT(*) FROM /.*/ GROUP BY *");
        let most = |series: &Json| {
            let row = series["values"][0].as_array().expect("a row");
            row[1..].iter().filter_map(Json::as_u64).max().unwrap_or(0) as usize
        };
        counts.iter().map(most).sum()
    }

    /// Waits until the points satisfy `probe`.
    pub fn wait_points<T>(&self, what: &str, probe: impl Fn(&[Line]) -> Option<T>) -> T {
        wait_for(what, || probe(&self.points()))
    }

    /// Any request, as the administrator if there is one: the status and the body.
    fn post(
        &self,
        path: &str,
        arguments: &[(&str, &str)],
        body: &str,
    ) -> Result<(u16, String), ureq::Error> {
        let mut request = super::http_agent().post(format!("{}{path}", self.url()));
        request = request.query("db", "perijove").query_pairs(arguments.iter().copied());
        if let Some((user, password)) = self.options.administrator {
            request = request.query("u", user).query("p", password);
        }
        super::answer(request.send(body)?)
    }
}

/// The points of one series of a query's answer. InfluxDB fills every column that the measurement
/// has anywhere; a null is a field that this point does not have.
fn read_series(series: &Json) -> Vec<Line> {
    let text = |json: &Json| json.as_str().expect("a name").to_string();
    let columns: Vec<String> =
        series["columns"].as_array().expect("columns").iter().map(text).collect();
    let tags: BTreeMap<String, String> = series["tags"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), text(value)))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let row = |row: &Json| {
        let values = row.as_array().expect("a row");
        let fields = columns.iter().zip(values).skip(1);
        Line {
            measurement: text(&series["name"]),
            tags: tags.clone(),
            fields: fields
                .filter_map(|(name, value)| Some((name.clone(), read_value(value)?)))
                .collect(),
            timestamp: values[0].as_i64().expect("a time"),
        }
    };
    series["values"].as_array().expect("values").iter().map(row).collect()
}

fn read_value(json: &Json) -> Option<Value> {
    match json {
        Json::Null => None,
        Json::Bool(value) => Some(Value::Boolean(*value)),
        Json::String(text) => Some(Value::Text(text.clone())),
        Json::Number(number) => Some(match number.as_i64() {
            Some(whole) => Value::Integer(whole),
            None => Value::Float(number.as_f64().expect("a finite number")),
        }),
        Json::Array(_) | Json::Object(_) => panic!("not a field's value: {json}"),
    }
}
