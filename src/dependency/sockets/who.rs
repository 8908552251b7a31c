//! Linux: who a process is: its systemd unit, its container, its pod, by its control group.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use serde::Deserialize;

use crate::dependency::Who;

/// What is read of a container engine's file, and how many names are remembered.
const FILE_BYTES_MAX: u64 = 4 << 20;
const NAMES_MAX: usize = 4_096;
const CGROUP_BYTES_MAX: u64 = 64 << 10;
/// The engines print so much of an identifier.
const ID_SHOWN: usize = 12;
const ID_BYTES: usize = 64;
const UID_BYTES: usize = 36;

/// Where engines keep the names of their containers.
const DOCKER: &str = "var/lib/docker/containers";
const PODMAN: [&str; 2] = [
    "var/lib/containers/storage/overlay-containers/containers.json",
    "var/lib/containers/storage/overlay-containers/volatile-containers.json",
];
/// PODNAME_NAMESPACE_CONTAINER-ID.log, made by the kubelet.
const KUBELET: &str = "var/log/containers";

/// Who the process is whose folder that is.
pub fn of(process: &Path, names: &mut Names) -> Who {
    let mut text = Vec::new();
    let file = File::open(process.join("cgroup"));
    let _ = file.and_then(|file| file.take(CGROUP_BYTES_MAX).read_to_end(&mut text));
    let (mut who, id) = read(&String::from_utf8_lossy(&text));
    if !id.is_empty() {
        who.container_name = names.get(Path::new("/"), &id).into();
    }
    who
}

/// The text of `/proc/PID/cgroup`: who it is, and the whole identifier of its container.
pub fn read(cgroup: &str) -> (Who, String) {
    let mut who = Who::default();
    let mut id = String::new();
    for part in path(cgroup).split('/') {
        let name = part.strip_suffix(".scope").unwrap_or(part);
        if let Some(uid) = pod(part) {
            who.pod_uid = uid.into();
        }
        if let Some(found) = identifier(name) {
            id = found.to_string();
            who.container_id = found[..ID_SHOWN].into();
            // The unit of its engine is not the container's.
            who.unit = "".into();
        } else if let Some(name) = part.strip_prefix("lxc.payload.") {
            who.container_name = name.into();
        } else if let Some(name) = name.strip_prefix("machine-").filter(|_| name != part) {
            who.container_name = unescaped(name).into();
        } else if [".service", ".scope"].iter().any(|end| part.ends_with(end)) {
            who.unit = unescaped(part).into();
        }
    }
    (who, id)
}

/// The path in the one hierarchy of version 2, or in systemd's of version 1.
fn path(cgroup: &str) -> &str {
    let of = |wanted: &str| {
        cgroup.lines().find_map(|line| {
            let mut words = line.splitn(3, ':').skip(1);
            let (controllers, path) = (words.next()?, words.next()?);
            (controllers == wanted && path.len() > 1).then_some(path)
        })
    };
    of("").or_else(|| of("name=systemd")).unwrap_or_default()
}

/// The identifier in `docker-ID`, `libpod-ID`, `…:cri-containerd:ID` or `ID`.
fn identifier(name: &str) -> Option<&str> {
    let last = name.rsplit(['-', ':']).next()?;
    let is_id = last.len() == ID_BYTES && last.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then_some(last)
}

/// The identifier in `pod1234-…` or `kubepods-burstable-pod1234_….slice`.
fn pod(part: &str) -> Option<String> {
    let part = part.split(':').next()?;
    let part = part.strip_suffix(".slice").unwrap_or(part);
    let at = part.rfind("pod").filter(|at| *at == 0 || part[..*at].ends_with('-'))?;
    let uid = part[at + 3..].replace('_', "-");
    let is_uid = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    (uid.len() == UID_BYTES && uid.bytes().all(is_uid)).then_some(uid)
}

/// systemd.unit(5): `\x2d` is a hyphen.
fn unescaped(name: &str) -> String {
    let mut parts = name.split("\\x");
    let mut out = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let code = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code.filter(|code| code.is_ascii_graphic()) {
            Some(code) => {
                out.push(char::from(code));
                out.push_str(&part[2..]);
            }
            None => {
                out.push_str("\\x");
                out.push_str(part);
            }
        }
    }
    out
}

/// The names of containers, each looked for once.
#[derive(Default)]
pub struct Names(HashMap<String, String>);

#[derive(Deserialize)]
struct DockerContainer {
    #[serde(rename = "Name")]
    name: String,
}

#[derive(Deserialize)]
struct PodmanContainer {
    id: String,
    #[serde(default)]
    names: Vec<String>,
}

impl Names {
    /// A container's name; empty if no engine says it. `root` is where the file system begins.
    pub fn get(&mut self, root: &Path, id: &str) -> &str {
        if self.0.len() >= NAMES_MAX && !self.0.contains_key(id) {
            self.0.clear();
        }
        let look = || docker(root, id).or_else(|| podman(root, id)).or_else(|| kubelet(root, id));
        self.0.entry(id.to_string()).or_insert_with(|| look().unwrap_or_default())
    }
}

fn read_json<T: for<'a> Deserialize<'a>>(path: &Path) -> Option<T> {
    let mut text = Vec::new();
    File::open(path).ok()?.take(FILE_BYTES_MAX).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

fn docker(root: &Path, id: &str) -> Option<String> {
    let container: DockerContainer = read_json(&root.join(DOCKER).join(id).join("config.v2.json"))?;
    Some(container.name.trim_start_matches('/').to_string())
}

fn podman(root: &Path, id: &str) -> Option<String> {
    PODMAN.iter().find_map(|path| {
        let all: Vec<PodmanContainer> = read_json(&root.join(path))?;
        all.into_iter().find(|container| container.id == id)?.names.into_iter().next()
    })
}

fn kubelet(root: &Path, id: &str) -> Option<String> {
    let end = format!("-{id}.log");
    let entries = fs::read_dir(root.join(KUBELET)).ok()?;
    entries.flatten().find_map(|entry| {
        let name = entry.file_name();
        let name = name.to_str()?.strip_suffix(&end)?;
        Some(name.rsplit('_').next()?.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const UID: &str = "1b4e28ba-2fa1-11d2-883f-0016d3cca427";

    /// Unit, identifier, name and pod. In the text, ID and UID stand for identifiers, and U_D for
    /// one as systemd writes it.
    fn who(cgroup: &str) -> [String; 4] {
        let cgroup = cgroup.replace("U_D", &UID.replace('-', "_")).replace("UID", UID);
        let (who, _) = read(&cgroup.replace("ID", ID));
        who.labels().map(String::from)
    }

    #[test]
    fn control_groups_of_all_kinds() {
        let short = &ID[..12];
        let user = "0::/user.slice/user-1000.slice";
        let pods = "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podU_D.slice";
        let of_v1 = "/kubepods/besteffort/podUID/ID";
        for (cgroup, expected) in [
            ("0::/system.slice/nginx.service\n", ["nginx.service", "", "", ""]),
            ("0::/system.slice/a.slice/getty@tty1.service\n", ["getty@tty1.service", "", "", ""]),
            (&format!("{user}/user@1000.service/a\\x2db.service"), ["a-b.service", "", "", ""]),
            (&format!("{user}/session-3.scope\n"), ["session-3.scope", "", "", ""]),
            ("0::/system.slice/docker-ID.scope\n", ["", short, "", ""]),
            ("0::/system.slice/containerd.service/docker/ID\n", ["", short, "", ""]),
            ("0::/machine.slice/libpod-ID.scope/container\n", ["", short, "", ""]),
            (&format!("{pods}/cri-containerd-ID.scope\n"), ["", short, "", UID]),
            (&format!("12:pids:/a\n1:name=systemd:{of_v1}\n0::/\n"), ["", short, "", UID]),
            ("1:name=systemd:/a.service/kubepods-podU_D.slice:b:ID\n", ["", short, "", UID]),
            ("0::/lxc.payload.web1/a/nginx.service\n", ["nginx.service", "", "web1", ""]),
            ("0::/machine.slice/machine-a\\x2db.scope/payload\n", ["", "", "a-b", ""]),
            ("0::/\n", ["", "", "", ""]),
            ("", ["", "", "", ""]),
            ("x\n0:\n:::\n0::/pod/pod\u{e9}/\\x/\\xzz.service", ["\\xzz.service", "", "", ""]),
        ] {
            assert_eq!(who(cgroup), expected, "{cgroup}");
        }
    }

    #[test]
    fn names_of_containers() {
        let root = std::env::temp_dir().join(format!("perijove-who-{}", std::process::id()));
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let id = |digit: &str| digit.repeat(64);
        write(&format!("{DOCKER}/{}/config.v2.json", id("a")), r#"{"Name":"/web","More":{}}"#);
        write(&format!("{DOCKER}/{}/config.v2.json", id("e")), "{cut");
        write(PODMAN[1], &format!(r#"[{{"id":"{}","names":["db"],"more":1}}]"#, id("b")));
        write(&format!("{KUBELET}/pod-1_default_app-{}.log", id("c")), "");
        let mut names = Names::default();
        for (of, expected) in [("a", "web"), ("b", "db"), ("c", "app"), ("d", ""), ("e", "")] {
            assert_eq!(names.get(&root, &id(of)), expected, "{of}");
        }
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(names.get(&root, &id("a")), "web");
        for number in 0..2 * NAMES_MAX {
            names.get(&root, &number.to_string());
        }
        assert!(names.0.len() <= NAMES_MAX);
    }
}
