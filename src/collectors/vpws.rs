//! EVPN VPWS: interfaces, and the service identifiers at both ends.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge, info, labelled};
use crate::xml::items::Scope;
use crate::xml::shapes::{DOWN, UP, is};

#[derive(Default)]
pub struct Vpws;

static INTERFACE: Measurement<Interface> = Measurement::new(|| Definition {
    name: "vpws",
    help: "An interface of a VPWS instance.",
    tags: &["vpwsinstance", "rd", "interface"],
    fields: vec![
        info("esi", "Its Ethernet segment.", |i| i.evpn_vpws_interface_esi.as_deref()),
        info("mode", "Its mode.", |i| i.evpn_vpws_interface_mode.as_deref()),
        info("role", "Its role.", |i| i.evpn_vpws_interface_role.as_deref()),
        gauge("status", "", "1 if it is up.", |i| {
            is(i.evpn_vpws_interface_status.as_deref(), UP, DOWN)
        }),
    ],
});

/// An interface has one service identifier at either end, so that it may be a field: as a tag it
/// would have the name of the reading.
static SERVICE: Measurement<(Option<String>, Pe)> = Measurement::new(|| Definition {
    name: "vpws",
    help: "A service identifier of an interface, at a provider edge.",
    tags: &["vpwsinstance", "rd", "interface", "sidorigin", "ip"],
    fields: vec![
        labelled("sid", info("service_id", "The identifier.", |(sid, _)| sid.as_deref())),
        info("esi", "The Ethernet segment.", |(_, pe)| pe.evpn_vpws_sid_interface_esi.as_deref()),
        info("mode", "The provider edge's mode.", |(_, pe)| pe.evpn_vpws_sid_pe_mode.as_deref()),
        info("role", "The provider edge's role.", |(_, pe)| pe.evpn_vpws_sid_pe_role.as_deref()),
        gauge("sid", "", "1 if it is resolved.", |(_, pe)| {
            is(pe.evpn_vpws_sid_pe_status.as_deref(), &["Resolved"], &["Unresolved"])
        }),
    ],
});

impl Collector for Vpws {
    const NAME: &'static str = "vpws";
    const HELP: &'static str = "EVPN VPWS: interfaces, and the service identifiers at both ends.";
    const QUERIES: &'static [Query<Vpws>] = &[Query {
        rpc: Rpc::Once("<get-evpn-vpws-information/>"),
        command: "show evpn vpws-instance",
        roots: &["evpn-vpws-information"],
        items: &[item::<_, Interface>("evpn-vpws-interface")],
    }];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&INTERFACE, &SERVICE];
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Interface {
    evpn_vpws_interface_name: String,
    evpn_vpws_interface_esi: Option<String>,
    evpn_vpws_interface_mode: Option<String>,
    evpn_vpws_interface_role: Option<String>,
    evpn_vpws_interface_status: Option<String>,
    #[serde(default)]
    evpn_vpws_service_id_local_status_table: Services,
    #[serde(default)]
    evpn_vpws_service_id_remote_status_table: Services,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Services {
    #[serde(alias = "evpn-vpws-sid-local", alias = "evpn-vpws-sid-remote")]
    sids: Vec<Service>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Service {
    #[serde(alias = "evpn-vpws-sid-local-value", alias = "evpn-vpws-sid-remote-value")]
    value: Option<String>,
    evpn_vpws_sid_pe_status_table: Pes,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Pes {
    evpn_vpws_sid_pe_info: Vec<Pe>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Pe {
    #[serde(default)]
    evpn_vpws_sid_pe_ipaddr: String,
    evpn_vpws_sid_interface_esi: Option<String>,
    evpn_vpws_sid_pe_mode: Option<String>,
    evpn_vpws_sid_pe_role: Option<String>,
    evpn_vpws_sid_pe_status: Option<String>,
}

impl Item<Vpws> for Interface {
    fn points(self, _: &mut Vpws, scope: &Scope, points: &mut Points) {
        let names = ["evpn-vpws-instance-name", "route-distinguisher"];
        let [instance, rd] = names.map(|name| scope.get(name).unwrap_or_default());
        let interface = self.evpn_vpws_interface_name.clone();
        points.push(&INTERFACE, &[instance, rd, &interface], &self);
        let ends = [
            ("local", self.evpn_vpws_service_id_local_status_table),
            ("remote", self.evpn_vpws_service_id_remote_status_table),
        ];
        for (origin, services) in ends {
            for service in services.sids {
                for pe in service.evpn_vpws_sid_pe_status_table.evpn_vpws_sid_pe_info {
                    let service = (service.value.clone(), pe);
                    let ip = &service.1.evpn_vpws_sid_pe_ipaddr;
                    points.push(&SERVICE, &[instance, rd, &interface, origin, ip], &service);
                }
            }
        }
    }
}
