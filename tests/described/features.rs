//! What the language of descriptions can say: each of its features once, on one reply.

use crate::common::perijove::perijove;
use crate::common::process::run;
use crate::common::temporary::Directory;

const REPLY: &str = r#"<rpc-reply xmlns:junos="http://xml.juniper.net/junos/23.4R1/junos">
<multi-routing-engine-results><multi-routing-engine-item><re-name>re1</re-name>
<site-information>
  <site-name>north</site-name>
  <shelf>
    <name>A</name>
    <state>In Service</state>
    <door>ajar</door>
    <uptime junos:seconds="93784">1 day, 2:03</uptime>
    <age>1w2d 03:04:05</age>
    <power>12.5 W</power>
    <link>10Gbps</link>
    <model>:S-1:</model>
    <remark>top shelf [owner=acme] [spare] [kind=taken]</remark>
    <lamp/><lamp/><lamp/>
    <slot>
      <number>0</number>
      <card><id>1</id><mode>Active</mode><kilobytes>3</kilobytes></card>
      <card><id>2</id><mode>standby (warm)</mode><kilobytes>N/A</kilobytes></card>
    </slot>
    <slot>
      <number>1</number>
    </slot>
    <neighbor>x</neighbor><hops>1</hops>
    <neighbor>y</neighbor>
    <neighbor>z</neighbor><hops>3</hops>
  </shelf>
  <shelf>
    <shelf-id>7</shelf-id>
    <state>Out of service</state>
    <door>locked</door>
    <neighbor>lost</neighbor>
  </shelf>
</site-information>
</multi-routing-engine-item></multi-routing-engine-results>
</rpc-reply>"#;

const DESCRIPTION: &str = r#"
name = "site"
help = "Shelves of a site."

[[query]]
rpc = "<get-site-information/>"
command = "show site"
roots = ["site-information"]

# Alternatives, the scope, a constant; kind, unit, label, help; is, map and other, shape and scale,
# an attribute, a count, trimming, labels of a description.
[[query.point]]
item = "shelf"
measurement = "site_shelf"
help = "A shelf."
tags = [
  { name = "shelf", path = "name | shelf-id" },
  { name = "site", path = "$site-name" },
  { name = "engine", path = "$re-name" },
  { name = "kind", path = "=shelf" },
]
labels = "remark"
fields = [
  { name = "up", gauge = "state", is = "in-service", not = "out of service", help = "Up." },
  { name = "door", gauge = "door", map = { open = 2, ajar = 1 }, other = 0, help = "Door." },
  { name = "uptime", gauge = "uptime@seconds", unit = "s", help = "Time since it started." },
  { name = "age", gauge = "age", shape = "duration", unit = "s", help = "Age." },
  { name = "power", gauge = "power", shape = "quantity", unit = "W", help = "Power." },
  { name = "link", gauge = "link", shape = "bit_rate", scale = 0.125, unit = "B/s", help = "L." },
  { name = "lamps", gauge = "count(lamp)", help = "Lamps." },
  { name = "model", info = "model", trim = ":", label = "shelf_model", help = "Model." },
]

# Nested each, paths up, where, the tags' map.
[[query.point]]
item = "shelf"
each = "slot/card"
where = { mode = ["active", "standby"] }
measurement = "site_card"
help = "A card."
tags = [
  { name = "shelf", path = "../../name" },
  { name = "slot", path = "../number" },
  { name = "card", path = "id", map = { 1 = "one" } },
]
fields = [
  { name = "memory", gauge = "kilobytes", scale = 1024, unit = "bytes", help = "Memory." },
  { name = "mode", text = "mode", help = "Mode." },
]

# Records without elements of their own.
[[query.point]]
item = "shelf"
records = "neighbor"
measurement = "site_neighbor"
help = "A neighbor."
tags = [{ name = "shelf", path = "../name" }, { name = "neighbor" }]
fields = [
  { name = "there", gauge = "=1", help = "It is there." },
  { name = "hops_total", counter = "hops", help = "Hops." },
]
"#;

const LINES: &[&str] = &[
    "site_shelf,shelf=A,site=north,engine=re1,kind=shelf,owner=acme,spare=1 up=1i,door=1i,\
     uptime=93784i,age=788645i,power=12.5,link=1250000000.0,lamps=3i,model=\"S-1\"",
    "site_card,shelf=A,slot=0,card=one,re_name=re1 memory=3072i,mode=\"Active\"",
    "site_card,shelf=A,slot=0,card=2,re_name=re1 mode=\"standby (warm)\"",
    "site_neighbor,shelf=A,neighbor=x,re_name=re1 there=1i,hops_total=1i",
    "site_neighbor,shelf=A,neighbor=y,re_name=re1 there=1i",
    "site_neighbor,shelf=A,neighbor=z,re_name=re1 there=1i,hops_total=3i",
    // It has no `name`, which costs it only the points that need one.
    "site_shelf,shelf=7,site=north,engine=re1,kind=shelf up=0i,door=0i,lamps=0i",
];

#[test]
fn all_that_a_description_can_say() {
    let directory = Directory::new();
    let description = directory.write("site.toml", DESCRIPTION);
    let reply = directory.write("reply.xml", REPLY);
    let printed = |format: &str| {
        let arguments = ["parse", "--format", format, "--description"];
        let finished = run(perijove(&arguments).args([&description, &reply]));
        assert_eq!(finished.code, 0, "{finished:?}");
        finished.stdout
    };
    let lines = printed("line");
    let lines: Vec<&str> = lines.lines().map(|line| line.rsplit_once(' ').unwrap().0).collect();
    assert_eq!(lines, LINES);
    let exposition = printed("prometheus");
    for expected in [
        "# HELP junos_site_shelf_power Power.\n",
        "# HELP junos_site_neighbor_hops_total Hops.\n",
        "# TYPE junos_site_neighbor_hops_total counter\n",
        "shelf_model=\"S-1\"",
    ] {
        assert!(exposition.contains(expected), "{expected} in\n{exposition}");
    }
}
