//! The command line.

use std::fmt::Write as _;
use std::path::PathBuf;

use lexopt::prelude::*;

use crate::faults::{self, Fault};

/// What the process is to do.
pub enum Action {
    Serve,
    Print(String),
    List,
    Help,
}

/// How many of each thing the router has; templates repeat by these names.
pub struct Sizes {
    pub interfaces: u64,
    pub units: u64,
    pub bgp_peers: u64,
    pub tables: u64,
    pub optics: u64,
    pub queues: u64,
    pub alarms: u64,
}

impl Sizes {
    /// Line cards: 48 ports each.
    pub fn fpcs(&self) -> u64 {
        self.interfaces.max(self.optics).div_ceil(48).max(1)
    }
}

/// What the client may choose between in the hello.
#[derive(Clone, Copy, PartialEq)]
pub enum Base {
    V1_0,
    V1_1,
    Both,
}

/// The router's time since it started, which all its counters follow.
#[derive(Clone, Copy)]
pub enum Clock {
    Real,
    /// Seconds at the first poll of each request, and how far each further poll moves on.
    Fixed {
        start: u64,
        step: u64,
    },
}

pub struct Options {
    pub action: Action,
    pub sizes: Sizes,
    pub base: Base,
    pub nc_prefix: bool,
    pub release: String,
    pub multi_re: Vec<String>,
    pub seed: u64,
    pub clock: Clock,
    /// Where replies may be that stand in for the program's own.
    pub replies: Option<PathBuf>,
    pub chunk_bytes: usize,
    pub drip_bytes: usize,
    pub drip_ms: u64,
    pub faults: Vec<Fault>,
    /// The file that says what is configured, see `configuration`.
    pub configuration: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            action: Action::Serve,
            sizes: Sizes {
                interfaces: 8,
                units: 1,
                bgp_peers: 4,
                tables: 4,
                optics: 4,
                queues: 4,
                alarms: 1,
            },
            base: Base::Both,
            nc_prefix: false,
            release: "23.4R1.9".to_owned(),
            multi_re: Vec::new(),
            seed: 1,
            clock: Clock::Real,
            replies: None,
            chunk_bytes: 1 << 16,
            drip_bytes: 1000,
            drip_ms: 10,
            faults: Vec::new(),
            configuration: None,
        }
    }
}

const HELP: &str = "\
A simulated Junos router: a NETCONF server on standard input and output.

usage: router [OPTION]...          speak NETCONF until <close-session/> or end of input
       router --print RPC          write one bare reply and exit
       router --list               list the requests that are answered, and exit

RPC is a request's element, its arguments after it where they matter, or the CLI command:
get-alarm-information, 'get-interface-information extensive', 'show interfaces extensive'.
The words `xml-mode netconf need-trailer` are ignored, so that it can stand in for the CLI.

size (of each reply; memory stays the same)
  --interfaces N      ports, besides ae0, lo0 and gr-0/0/0 (8)
  --units N           logical interfaces of each port (1)
  --bgp-peers N       BGP peers (4)
  --tables N          routing tables (4)
  --optics N          ports with optical diagnostics (4)
  --queues N          queues of each port (4)
  --alarms N          how often it has its alarms; 0 for none (1)

form
  --base 1.0|1.1|both NETCONF versions offered (both)
  --nc-prefix         <nc:rpc-reply xmlns:nc=...>, as Junos 24.4 writes
  --release R         Junos release in the namespaces (23.4R1.9)
  --multi-re A,B      wrap payloads in multi-routing-engine-results, one item for each name
  --chunk-bytes N     largest chunk of chunked framing (65536)

values
  --seed N            other values, the same structure (1)
  --clock real|SECONDS
                      counters follow the time (real), or stand at SECONDS after the start for the
                      first poll of each request, and move on by --step with each poll
  --step SECONDS      (30)
  --configuration FILE
                      the macros and the commits, read again for each request: lines
                      `commit SECONDS USER COMMENT` and `set system apply-macro …`
  --replies DIR       a file DIR/ELEMENT.xml, named by the request's element, is the template of its
                      reply; it is read at each request

faults
  --fault KIND[@N[-M]][:RPC]
                      repeatable; from the Nth (to the Mth) of the requests whose element,
                      arguments or CLI command contain RPC; of all requests without :RPC
  --drip-bytes N      bytes written at a time by slow and keepalive (1000)
  --drip-ms N         milliseconds between them (10)

kinds of fault
";

pub fn help() -> String {
    let mut text = HELP.to_owned();
    for (_, name, effect) in faults::KINDS {
        writeln!(text, "  {name:<12} {effect}").expect("writing to a string");
    }
    text
}

impl Options {
    /// Reads the process's arguments; an error names the option.
    pub fn from_arguments() -> Result<Options, String> {
        let mut option = String::new();
        Options::parse(lexopt::Parser::from_env(), &mut option)
            .map_err(|error| format!("{option}{error}"))
    }

    fn parse(mut parser: lexopt::Parser, option: &mut String) -> Result<Options, lexopt::Error> {
        let mut options = Options::default();
        let (mut start, mut step) = (None, 30);
        while let Some(argument) = parser.next()? {
            *option = match argument {
                Long(name) => format!("--{name}: "),
                _ => String::new(),
            };
            let sizes = &mut options.sizes;
            match argument {
                Long("help") | Short('h') => options.action = Action::Help,
                Long("list") => options.action = Action::List,
                Long("print") => options.action = Action::Print(parser.value()?.string()?),
                Long("interfaces") => sizes.interfaces = parser.value()?.parse()?,
                Long("units") => sizes.units = parser.value()?.parse()?,
                Long("bgp-peers") => sizes.bgp_peers = parser.value()?.parse()?,
                Long("tables") => sizes.tables = parser.value()?.parse()?,
                Long("optics") => sizes.optics = parser.value()?.parse()?,
                Long("queues") => sizes.queues = parser.value()?.parse()?,
                Long("alarms") => sizes.alarms = parser.value()?.parse()?,
                Long("base") => options.base = parser.value()?.parse_with(base)?,
                Long("nc-prefix") => options.nc_prefix = true,
                Long("release") => options.release = parser.value()?.string()?,
                Long("multi-re") => {
                    options.multi_re =
                        parser.value()?.string()?.split(',').map(str::to_owned).collect();
                }
                Long("chunk-bytes") => {
                    options.chunk_bytes = parser.value()?.parse_with(positive)?
                }
                Long("seed") => options.seed = parser.value()?.parse()?,
                Long("clock") => start = parser.value()?.parse_with(clock_start)?,
                Long("replies") => options.replies = Some(parser.value()?.into()),
                Long("step") => step = parser.value()?.parse()?,
                Long("fault") => {
                    options.faults.push(parser.value()?.parse_with(str::parse::<Fault>)?);
                }
                Long("drip-bytes") => options.drip_bytes = parser.value()?.parse_with(positive)?,
                Long("configuration") => options.configuration = Some(parser.value()?.into()),
                Long("drip-ms") => options.drip_ms = parser.value()?.parse()?,
                Value(word)
                    if ["xml-mode", "netconf", "need-trailer"].iter().any(|w| word == *w) => {}
                other => return Err(other.unexpected()),
            }
        }
        if let Some(start) = start {
            options.clock = Clock::Fixed { start, step };
        }
        Ok(options)
    }
}

fn base(text: &str) -> Result<Base, &'static str> {
    match text {
        "1.0" => Ok(Base::V1_0),
        "1.1" => Ok(Base::V1_1),
        "both" => Ok(Base::Both),
        _ => Err("1.0, 1.1 or both is expected"),
    }
}

fn clock_start(text: &str) -> Result<Option<u64>, &'static str> {
    match text {
        "real" => Ok(None),
        seconds => seconds.parse().map(Some).map_err(|_| "`real` or seconds are expected"),
    }
}

fn positive(text: &str) -> Result<usize, &'static str> {
    match text.parse() {
        Ok(0) | Err(_) => Err("a number above zero is expected"),
        Ok(number) => Ok(number),
    }
}
