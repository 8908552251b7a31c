//! Queries that are asked for several things: the replies do not say which one they are about.

use perijove::base::inventory::Shared;
use perijove::collector::Poll;
use perijove::collector::reader::{Reader, Tally, read_reply};
use perijove::point::{Point, Points};
use perijove::poll::registry;
use perijove::xml::items::Limits;

/// A poll of a collector with these settings.
fn start(name: &str, settings: &str) -> Box<dyn Poll> {
    let table = toml::de::DeTable::parse(settings).unwrap();
    let configured = registry::find(name).unwrap().configure(table).unwrap();
    configured.start(&Shared::default())
}

/// What a collector asks in its query of that command, and the tags of the points that the same
/// reply to each gives.
fn ask(name: &str, settings: &str, command: &str, reply: &str) -> Vec<(String, String)> {
    let mut poll = start(name, settings);
    let query = (0..poll.queries()).find(|query| poll.command(*query) == command).unwrap();
    let mut asked = Vec::new();
    for (index, rpc) in poll.rpcs(query).iter().enumerate() {
        let (mut points, mut tally) = (Points::default(), Tally::default());
        points.rpc = index;
        let (poll, points) = (&mut *poll, &mut points);
        let mut readers = [Reader { poll, query, points, tally: &mut tally }];
        read_reply(reply.as_bytes(), &mut readers, &Limits::default(), &mut |_, _| {}).unwrap();
        let point = points.get(0);
        let tags: Vec<_> = point.tags().map(|(name, value)| format!("{name}={value}")).collect();
        asked.push((rpc.to_string(), tags.join(",")));
    }
    asked
}

#[test]
fn ospf_of_logical_systems() {
    let settings = "logical_systems = ['edge', 'a&b']";
    let reply = "<rpc-reply><ospf3-overview-information/></rpc-reply>";
    let asked = ask("ospf", settings, "show ospf3 overview", reply);
    let rpc = |name| {
        let name = format!("<logical-system>{name}</logical-system>");
        format!("<get-ospf3-overview-information>{name}</get-ospf3-overview-information>")
    };
    let expected = [
        ("<get-ospf3-overview-information/>".to_string(), String::new()),
        (rpc("edge"), "logical_system=edge".to_string()),
        (rpc("a&amp;b"), "logical_system=a&b".to_string()),
    ];
    assert_eq!(asked, expected);
}

#[test]
fn bgp_of_logical_systems() {
    let mut poll = start("bgp", "logical_systems = ['edge']");
    let group = |name| {
        format!(
            "<rpc-reply><bgp-group-information><bgp-group><name>{name}</name>\
             <group-index>0</group-index></bgp-group></bgp-group-information></rpc-reply>"
        )
    };
    let peer = "<rpc-reply><bgp-information><bgp-peer><peer-address>192.0.2.1</peer-address>\
                <peer-state>Idle</peer-state><group-index>0</group-index></bgp-peer>\
                </bgp-information></rpc-reply>";
    let replies = [[group("CORE"), group("EDGE")], [peer, peer].map(String::from)];
    let mut points = Points::default();
    // Between them is the summary.
    assert_eq!(poll.rpcs(1).len(), 0);
    for (query, replies) in [0, 2].into_iter().zip(&replies) {
        let rpcs = poll.rpcs(query);
        assert!(rpcs[1].contains("<logical-system>edge</logical-system>"), "{}", rpcs[1]);
        assert_eq!(rpcs.len(), replies.len());
        for (index, reply) in replies.iter().enumerate() {
            points.rpc = index;
            let mut tally = Tally::default();
            let (poll, points) = (&mut *poll, &mut points);
            let mut readers = [Reader { poll, query, points, tally: &mut tally }];
            read_reply(reply.as_bytes(), &mut readers, &Limits::default(), &mut |_, _| {}).unwrap();
        }
    }
    let tags = |point: Point| point.tags().map(|(_, value)| value.to_string()).collect();
    let found: Vec<Vec<String>> = points.iter().map(tags).collect();
    let (own, edge) = (vec!["192.0.2.1", "CORE"], vec!["192.0.2.1", "EDGE", "edge"]);
    assert_eq!(found, [own.clone(), own, edge.clone(), edge]);
}

/// Each peer is asked for of the router and of each logical system.
#[test]
fn bgp_peers_of_logical_systems() {
    let settings = r"only = '^192\.0\.2\.(1|2)$'
logical_systems = ['edge']";
    let reply = "<rpc-reply><bgp-information><bgp-peer><peer-address>192.0.2.1</peer-address>\
                 <peer-state>Idle</peer-state></bgp-peer></bgp-information></rpc-reply>";
    let asked = ask("bgp", settings, "show bgp neighbor", reply);
    let rpc = |address: &str, system: &str| {
        let address = format!("<neighbor-address>{address}</neighbor-address>");
        format!("<get-bgp-neighbor-information>{address}{system}</get-bgp-neighbor-information>")
    };
    let edge = "<logical-system>edge</logical-system>";
    let (own, of_edge) = ("ip=192.0.2.1", "ip=192.0.2.1,logical_system=edge");
    let expected = [
        (rpc("192.0.2.1", ""), own),
        (rpc("192.0.2.1", edge), of_edge),
        (rpc("192.0.2.2", ""), own),
        (rpc("192.0.2.2", edge), of_edge),
    ];
    assert_eq!(asked, expected.map(|(rpc, tags)| (rpc, tags.to_string())));
}

#[test]
fn services_redundancy_groups() {
    let command = "show chassis high-availability services-redundancy-group N";
    let reply = "<rpc-reply><chassis-high-availability-default-srg-info><current-state>OFFLINE\
                 </current-state><peer-id>2</peer-id></chassis-high-availability-default-srg-info>\
                 </rpc-reply>";
    let asked = ask("mnha", "groups = [0, 1, 4]", command, reply);
    assert!(asked[0].0.contains("<services-redundancy-group-id>1</services-redundancy-group-id>"));
    let tags: Vec<&str> = asked.iter().map(|(_, tags)| tags.as_str()).collect();
    assert_eq!(tags, ["srg_id=1,peer_id=2", "srg_id=4,peer_id=2"]);
    assert!(ask("mnha", "", command, reply).is_empty());
}

/// The class of an item holds for the items after it in the same reply, and in no other.
#[test]
fn classes_of_the_environment_end_with_their_reply() {
    let mut poll = start("environment", "satellite = true");
    let reply = |items: &str| {
        format!("<rpc-reply><environment-information>{items}</environment-information></rpc-reply>")
    };
    let replies = [
        "<environment-item><name>FTC 0</name><class>Fans</class><status>OK</status>\
         </environment-item>\
         <environment-item><name>FTC 1</name><status>Failed</status></environment-item>",
        "<environment-item><name>FTC 2</name><status>OK</status></environment-item>\
         <environment-item><name>Fan 3</name><status>OK</status></environment-item>",
    ];
    let mut points = Points::default();
    for (query, items) in replies.into_iter().enumerate() {
        let (mut tally, points) = (Tally::default(), &mut points);
        let mut readers = [Reader { poll: &mut *poll, query, points, tally: &mut tally }];
        let reply = reply(items);
        read_reply(reply.as_bytes(), &mut readers, &Limits::default(), &mut |_, _| {}).unwrap();
    }
    let item = |point: Point| {
        assert!(point.fields().any(|(_, info, _)| info.name == "fan_up"));
        point.tags().find(|(name, _)| *name == "item").unwrap().1.to_string()
    };
    assert_eq!(points.iter().map(item).collect::<Vec<_>>(), ["FTC 0", "FTC 1", "Fan 3"]);
}
