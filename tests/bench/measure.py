"""What the benchmarks in Python share: servers, what a process costs, and the line for each figure."""
import contextlib, json, os, pathlib, re, resource, shutil, signal, socket, statistics, subprocess, sys, tempfile
import time, urllib.parse, urllib.request

TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", pathlib.Path(__file__).parents[2] / "target"))
TICK = os.sysconf("SC_CLK_TCK")
MB = 1 << 20

# A core router: two thousand ports, a thousand BGP peers.
LARGE = {"interfaces": 2000, "units": 1, "bgp-peers": 1000, "tables": 200, "optics": 500, "queues": 8}
# A switch at the edge.
SMALL = {"interfaces": 20, "bgp-peers": 5}


def options(size, factor=1):
    """The simulated router's arguments; `factor` multiplies what it has, not what each port has."""
    each = ("units", "queues")
    return " ".join(f"--{key} {value * (1 if key in each else factor)}" for key, value in size.items())


def report(name, figure, unit, target, at_least=False):
    met = figure >= target if at_least else figure <= target
    print(f"bench {name} {figure:.2f} {unit} target {target:.6g} {'met' if met else 'missed'}", flush=True)


def note(text):
    print(f"# {text}", flush=True)


def paired(pairs, ours, baseline):
    """Runs both in turn, so that what slows one down slows the other. Medians of ours, of the
    baseline, and of the ratio within a pair."""
    runs = [(ours(), baseline()) for _ in range(pairs)]
    return tuple(map(statistics.median, zip(*((a, b, a / b) for a, b in runs))))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(what, is_so, seconds=60):
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            sys.exit(f"{what}: not within {seconds} s")
        time.sleep(0.05)


def answers(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def get(url, timeout=300):
    return urllib.request.urlopen(url, timeout=timeout).read().decode()


@contextlib.contextmanager
def directory():
    with tempfile.TemporaryDirectory(prefix="perijove-bench-") as path:
        yield pathlib.Path(path)


def status(pid, name):
    """A number of /proc/PID/status; sizes in bytes."""
    found = re.search(rf"^{name}:\s+(\d+)( kB)?", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)
    return int(found[1]) * (1024 if found[2] else 1)


def cpu(pid):
    """CPU seconds of a process and its threads, without its children."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


class Cost:
    """What a command took from start to end: CPU and wall seconds, the most resident bytes."""

    def __init__(self, command, stdin=subprocess.DEVNULL):
        begun, self.memory = time.monotonic(), 0
        process = subprocess.Popen([str(word) for word in command], stdin=stdin, stdout=subprocess.DEVNULL)
        while True:
            # What wait4 says of memory begins with this program's own, which the child is forked from.
            with contextlib.suppress(TypeError, OSError):
                self.memory = max(self.memory, status(process.pid, "VmHWM"))
            ended, code, usage = os.wait4(process.pid, os.WNOHANG)
            if ended:
                break
            time.sleep(0.005)
        process.returncode = os.waitstatus_to_exitcode(code)
        if code:
            sys.exit(f"{command[0]} failed: {process.returncode}")
        self.wall, self.cpu = time.monotonic() - begun, usage.ru_utime + usage.ru_stime


@contextlib.contextmanager
def process(command, quiet=True, **more):
    """A server: ended and waited for at the end."""
    sink = subprocess.DEVNULL if quiet else None
    child = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=more.pop("stderr", sink), **more)
    try:
        yield child
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait()


def open_files():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextlib.contextmanager
def daemon(perijove, settings, where):
    """`perijove run` with its state and settings in that directory."""
    file = where / "perijove.toml"
    file.write_text(f"state_directory = '{where}/state'\n{settings}")
    with process([perijove, "run", "--quiet", "--config", file], quiet=False) as child:
        yield child
        if child.poll() is not None:
            sys.exit(f"perijove ended by itself: {child.returncode}")


class Sshd:
    """An OpenSSH server whose subsystem netconf is that command; a context."""

    def __init__(self, where, subsystem):
        self.where, self.port = where, free_port()
        self.user = subprocess.check_output(["id", "-un"], text=True).strip()
        for name in ("host", "client"):
            if not (where / name).exists():
                subprocess.check_call(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", where / name])
        host = (where / "host.pub").read_text().split()[:2]
        (where / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {' '.join(host)}\n")
        (where / "authorized_keys").write_text((where / "client.pub").read_text())
        (where / "sshd_config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {where}/host\nUsePAM no\nStrictModes no\n"
            f"PidFile none\nAuthorizedKeysFile {where}/authorized_keys\nPermitRootLogin yes\n"
            f"LogLevel DEBUG1\nSubsystem netconf {subsystem}\n")

    def __enter__(self):
        pathlib.Path("/run/sshd").mkdir(parents=True, exist_ok=True)
        self.log = open(self.where / "sshd.log", "w")
        sshd = shutil.which("sshd") or "/usr/sbin/sshd"
        self.running = process([sshd, "-D", "-e", "-f", self.where / "sshd_config"], stderr=self.log)
        self.running.__enter__()
        wait_until("sshd", lambda: answers(self.port))
        return self

    def __exit__(self, *how):
        self.running.__exit__(*how)
        self.log.close()

    def router(self):
        """The settings of a router that is reached through it."""
        return (f"[[router]]\ntarget = '127.0.0.1'\nport = {self.port}\nusername = '{self.user}'\n"
                f"private_key = '{self.where}/client'\nknown_hosts = '{self.where}/known_hosts'\n")

    def cipher(self):
        """The cipher of what the server sent in the last session."""
        log = (self.where / "sshd.log").read_text()
        return re.findall(r"kex: server->client cipher: (\S+)", log)[-1]

    def client(self, cipher):
        """OpenSSH's own client of the subsystem, with that cipher and no compression."""
        return [shutil.which("ssh"), "-p", self.port, "-i", self.where / "client", "-c", cipher,
                "-o", "BatchMode=yes", "-o", "Compression=no",
                "-o", f"UserKnownHostsFile={self.where}/known_hosts", "-s", f"{self.user}@127.0.0.1", "netconf"]


class Server:
    """A server that perijove writes to: the settings of the output, and perijove's own counts of it."""

    def __init__(self, settings, count):
        self.settings, self.count = settings, count

    def lost(self, delivered_min):
        """Points that perijove dropped; at least so many must have been delivered."""
        if (sent := self.count("sent_points_total")) < delivered_min:
            sys.exit(f"only {sent:.0f} points were delivered")
        return self.count("dropped_points_total")


@contextlib.contextmanager
def influxdb(where):
    """A real InfluxDB 1."""
    port, rpc_port = free_port(), free_port()
    (where / "influxdb.conf").write_text(
        f'reporting-disabled = true\nbind-address = "127.0.0.1:{rpc_port}"\n[meta]\ndir = "{where}/meta"\n'
        f'[data]\ndir = "{where}/data"\nwal-dir = "{where}/wal"\n[monitor]\nstore-enabled = false\n'
        f'[http]\nbind-address = "127.0.0.1:{port}"\nlog-enabled = false\n')

    def query(statement):
        form = urllib.parse.urlencode({"db": "perijove", "q": statement}).encode()
        answer = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/query", form, timeout=60))
        return [row for series in answer["results"][0].get("series", []) for row in series["values"]]

    def count(field, measurement="perijove_output"):
        return sum(row[1] for row in query(f'SELECT max("{field}") FROM "{measurement}"'))

    with process([shutil.which("influxd"), "-config", where / "influxdb.conf"]):
        wait_until("influxd", lambda: answers(port))
        query("CREATE DATABASE perijove")
        yield Server(f"[output.influxdb]\nurl = 'http://127.0.0.1:{port}'\ndatabase = 'perijove'\n", count)


@contextlib.contextmanager
def victoriametrics(where):
    port = free_port()
    url = f"http://127.0.0.1:{port}"

    def count(field):
        # Fresh samples are kept aside for a while, where queries do not see them.
        get(f"{url}/internal/force_flush")
        series = get(f"{url}/api/v1/export?match[]=perijove_output_{field}").splitlines()
        return sum(max(json.loads(line)["values"]) for line in series)

    with process([shutil.which("victoria-metrics"), f"-storageDataPath={where}/vm",
                  f"-httpListenAddr=127.0.0.1:{port}", "-memory.allowedPercent=10"]):
        wait_until("victoria-metrics", lambda: answers(port))
        yield Server(f"[output.influxdb]\nurl = '{url}'\ndatabase = 'perijove'\n", count)


@contextlib.contextmanager
def kafka(where):
    """noida-db's broker, which tests/install unpacks. perijove's counts come through its /metrics."""
    broker = next(TARGET.glob("test-venv/lib/*/site-packages/noida_db/noida-db"), None)
    if broker is None:
        sys.exit(f"there is no broker in {TARGET}/test-venv: run tests/install")
    port, listen = free_port(), free_port()

    def count(field):
        series = re.findall(rf'^perijove_output_{field}{{.*output="kafka".*}} (\S+)$',
                            get(f"http://127.0.0.1:{listen}/metrics"), re.M)
        return sum(map(float, series))

    with process([broker, "start", "--only", "kafka", "--host", "127.0.0.1", "--kafka-port", port,
                  "--data-dir", where / "kafka"]):
        wait_until("the broker", lambda: answers(port))
        yield Server(f"[output.kafka]\nbrokers = '127.0.0.1:{port}'\n"
                     f"[output.prometheus]\nlisten = '127.0.0.1:{listen}'\n"
                     f"response_timeout = '300s'\n", count)


@contextlib.contextmanager
def file(where):
    path = where / "points"

    def count(field):
        with open(path, "rb") as points:
            lines = re.findall(rf"^perijove_output,.*\b{field}=(\d+)i".encode(), points.read(), re.M)
        return max(map(int, lines), default=0)

    yield Server(f"[output.file]\npath = '{path}'\n", count)
