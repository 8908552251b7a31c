# Made by tests/manual, which holds it to the code: do not edit.
_perijove() {
  local current=${COMP_WORDS[COMP_CWORD]} command=run word
  local previous=${COMP_WORDS[COMP_CWORD-1]}
  COMPREPLY=()
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in
      run | once | check | collectors | parse | describe | record | events | federate | map | bigquery | import | help) command=$word; break ;;
    esac
  done
  case $command:$previous in
    run:--config | run:-c) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    run:--name) :; return ;;
    run:--target | run:-t) :; return ;;
    run:--port | run:-p) :; return ;;
    run:--transport) mapfile -t COMPREPLY < <(compgen -W 'ssh openssh local' -- "$current"); return ;;
    run:--command) :; return ;;
    run:--username | run:-u) :; return ;;
    run:--private-key | run:-i) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    run:--passphrase-file) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    run:--password-file) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    run:--known-hosts) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    run:--collectors) mapfile -t COMPREPLY < <(compgen -W 'accounting alarm arp bfd bgp classofservice cluster clusterinterfaces commits connections coredumps ddosprotection dhcp dot1x environment evpn evpnipprefix fabric firewall flowsessions fpc interfacediagnostics interfacequeue interfaces ipsec ipv6neighbors isis krt l2circuit l2vpn lacp lacpstatistics ldp lldp mac macsec memory mnha mplslsp nat nat2 ntp ospf ospfneighbor pfe pim poe power queues replication route routingengine rpki rpm rsvp security securityike securitypolicies storage stp subscriber system systemstatistics twamp ufd uptime users virtualchassis vpws vrrp' -- "$current"); return ;;
    run:--timeout) :; return ;;
    run:--interval) :; return ;;
    run:--influxdb) :; return ;;
    run:--database) :; return ;;
    run:--kafka) :; return ;;
    run:--listen) :; return ;;
    once:--config | once:-c) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    once:--name) :; return ;;
    once:--target | once:-t) :; return ;;
    once:--port | once:-p) :; return ;;
    once:--transport) mapfile -t COMPREPLY < <(compgen -W 'ssh openssh local' -- "$current"); return ;;
    once:--command) :; return ;;
    once:--username | once:-u) :; return ;;
    once:--private-key | once:-i) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    once:--passphrase-file) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    once:--password-file) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    once:--known-hosts) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    once:--collectors) mapfile -t COMPREPLY < <(compgen -W 'accounting alarm arp bfd bgp classofservice cluster clusterinterfaces commits connections coredumps ddosprotection dhcp dot1x environment evpn evpnipprefix fabric firewall flowsessions fpc interfacediagnostics interfacequeue interfaces ipsec ipv6neighbors isis krt l2circuit l2vpn lacp lacpstatistics ldp lldp mac macsec memory mnha mplslsp nat nat2 ntp ospf ospfneighbor pfe pim poe power queues replication route routingengine rpki rpm rsvp security securityike securitypolicies storage stp subscriber system systemstatistics twamp ufd uptime users virtualchassis vpws vrrp' -- "$current"); return ;;
    once:--timeout) :; return ;;
    once:--influxdb) :; return ;;
    once:--database) :; return ;;
    once:--kafka) :; return ;;
    once:--format | once:-f) mapfile -t COMPREPLY < <(compgen -W 'line json prometheus' -- "$current"); return ;;
    check:--format | check:-f) mapfile -t COMPREPLY < <(compgen -W 'text json' -- "$current"); return ;;
    check:--config | check:-c) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    check:--name) :; return ;;
    check:--target | check:-t) :; return ;;
    check:--port | check:-p) :; return ;;
    check:--transport) mapfile -t COMPREPLY < <(compgen -W 'ssh openssh local' -- "$current"); return ;;
    check:--command) :; return ;;
    check:--username | check:-u) :; return ;;
    check:--private-key | check:-i) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    check:--passphrase-file) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    check:--password-file) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    check:--known-hosts) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    check:--collectors) mapfile -t COMPREPLY < <(compgen -W 'accounting alarm arp bfd bgp classofservice cluster clusterinterfaces commits connections coredumps ddosprotection dhcp dot1x environment evpn evpnipprefix fabric firewall flowsessions fpc interfacediagnostics interfacequeue interfaces ipsec ipv6neighbors isis krt l2circuit l2vpn lacp lacpstatistics ldp lldp mac macsec memory mnha mplslsp nat nat2 ntp ospf ospfneighbor pfe pim poe power queues replication route routingengine rpki rpm rsvp security securityike securitypolicies storage stp subscriber system systemstatistics twamp ufd uptime users virtualchassis vpws vrrp' -- "$current"); return ;;
    check:--timeout) :; return ;;
    check:--interval) :; return ;;
    check:--influxdb) :; return ;;
    check:--database) :; return ;;
    check:--kafka) :; return ;;
    check:--listen) :; return ;;
    collectors:--config | collectors:-c) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    collectors:--format | collectors:-f) mapfile -t COMPREPLY < <(compgen -W 'text markdown json toml' -- "$current"); return ;;
    parse:--config | parse:-c) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    parse:--name) :; return ;;
    parse:--description) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    parse:--format | parse:-f) mapfile -t COMPREPLY < <(compgen -W 'line json prometheus' -- "$current"); return ;;
    describe:--config | describe:-c) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    describe:--target | describe:-t) :; return ;;
    describe:--port | describe:-p) :; return ;;
    describe:--transport) mapfile -t COMPREPLY < <(compgen -W 'ssh openssh local' -- "$current"); return ;;
    describe:--command) :; return ;;
    describe:--username | describe:-u) :; return ;;
    describe:--private-key | describe:-i) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    describe:--passphrase-file) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    describe:--password-file) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    describe:--known-hosts) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    record:--config | record:-c) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    record:--name) :; return ;;
    record:--target | record:-t) :; return ;;
    record:--port | record:-p) :; return ;;
    record:--transport) mapfile -t COMPREPLY < <(compgen -W 'ssh openssh local' -- "$current"); return ;;
    record:--command) :; return ;;
    record:--username | record:-u) :; return ;;
    record:--private-key | record:-i) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    record:--passphrase-file) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    record:--password-file) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    record:--known-hosts) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    record:--collectors) mapfile -t COMPREPLY < <(compgen -W 'accounting alarm arp bfd bgp classofservice cluster clusterinterfaces commits connections coredumps ddosprotection dhcp dot1x environment evpn evpnipprefix fabric firewall flowsessions fpc interfacediagnostics interfacequeue interfaces ipsec ipv6neighbors isis krt l2circuit l2vpn lacp lacpstatistics ldp lldp mac macsec memory mnha mplslsp nat nat2 ntp ospf ospfneighbor pfe pim poe power queues replication route routingengine rpki rpm rsvp security securityike securitypolicies storage stp subscriber system systemstatistics twamp ufd uptime users virtualchassis vpws vrrp' -- "$current"); return ;;
    record:--timeout) :; return ;;
    events:--config | events:-c) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    events:--url) :; return ;;
    events:--as) :; return ;;
    events:--format | events:-f) mapfile -t COMPREPLY < <(compgen -W 'text json' -- "$current"); return ;;
    events:--listen) :; return ;;
    federate:--config | federate:-c) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    federate:--influxdb) :; return ;;
    federate:--database) :; return ;;
    federate:--kafka) :; return ;;
    federate:--listen) :; return ;;
    map:--config | map:-c) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    map:--format | map:-f) mapfile -t COMPREPLY < <(compgen -W 'html json dot mermaid' -- "$current"); return ;;
    bigquery:--config | bigquery:-c) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    bigquery:--from) :; return ;;
    bigquery:--to) :; return ;;
  esac
  case $command:$current in
    run:-*) mapfile -t COMPREPLY < <(compgen -W '--config --name --target --port --transport --command --username --private-key --passphrase-file --password-file --known-hosts --collectors --timeout --interval --dependency --influxdb --database --kafka --listen --supervise --verbose --quiet --help' -- "$current") ;;
    once:-*) mapfile -t COMPREPLY < <(compgen -W '--config --name --target --port --transport --command --username --private-key --passphrase-file --password-file --known-hosts --collectors --timeout --dependency --influxdb --database --kafka --format --verbose --quiet --help' -- "$current") ;;
    check:-*) mapfile -t COMPREPLY < <(compgen -W '--connect --from-configuration --format --config --name --target --port --transport --command --username --private-key --passphrase-file --password-file --known-hosts --collectors --timeout --interval --dependency --influxdb --database --kafka --listen --verbose --quiet --help' -- "$current") ;;
    collectors:-*) mapfile -t COMPREPLY < <(compgen -W '--config --format --help' -- "$current") ;;
    parse:-*) mapfile -t COMPREPLY < <(compgen -W '--config --name --description --format --verbose --quiet --help' -- "$current") ;;
    describe:-*) mapfile -t COMPREPLY < <(compgen -W '--config --target --port --transport --command --username --private-key --passphrase-file --password-file --known-hosts --verbose --quiet --help' -- "$current") ;;
    record:-*) mapfile -t COMPREPLY < <(compgen -W '--anonymous --config --name --target --port --transport --command --username --private-key --passphrase-file --password-file --known-hosts --collectors --timeout --verbose --quiet --help' -- "$current") ;;
    events:-*) mapfile -t COMPREPLY < <(compgen -W '--config --follow --url --as --format --listen --help' -- "$current") ;;
    federate:-*) mapfile -t COMPREPLY < <(compgen -W '--config --once --influxdb --database --kafka --listen --verbose --quiet --help' -- "$current") ;;
    map:-*) mapfile -t COMPREPLY < <(compgen -W '--config --format --verbose --quiet --help' -- "$current") ;;
    bigquery:-*) mapfile -t COMPREPLY < <(compgen -W '--config --once --create --dry-run --from --to --verbose --quiet --help' -- "$current") ;;
    import:-*) mapfile -t COMPREPLY < <(compgen -W '--help' -- "$current") ;;
    help:-*) mapfile -t COMPREPLY < <(compgen -W '--help' -- "$current") ;;
    run:*) mapfile -t COMPREPLY < <(compgen -W 'run once check collectors parse describe record events federate map bigquery import help' -- "$current") ;;
    collectors:*) mapfile -t COMPREPLY < <(compgen -W 'accounting alarm arp bfd bgp classofservice cluster clusterinterfaces commits connections coredumps ddosprotection dhcp dot1x environment evpn evpnipprefix fabric firewall flowsessions fpc interfacediagnostics interfacequeue interfaces ipsec ipv6neighbors isis krt l2circuit l2vpn lacp lacpstatistics ldp lldp mac macsec memory mnha mplslsp nat nat2 ntp ospf ospfneighbor pfe pim poe power queues replication route routingengine rpki rpm rsvp security securityike securitypolicies storage stp subscriber system systemstatistics twamp ufd uptime users virtualchassis vpws vrrp' -- "$current") ;;
    parse:*) mapfile -t COMPREPLY < <(compgen -W 'accounting alarm arp bfd bgp classofservice cluster clusterinterfaces commits connections coredumps ddosprotection dhcp dot1x environment evpn evpnipprefix fabric firewall flowsessions fpc interfacediagnostics interfacequeue interfaces ipsec ipv6neighbors isis krt l2circuit l2vpn lacp lacpstatistics ldp lldp mac macsec memory mnha mplslsp nat nat2 ntp ospf ospfneighbor pfe pim poe power queues replication route routingengine rpki rpm rsvp security securityike securitypolicies storage stp subscriber system systemstatistics twamp ufd uptime users virtualchassis vpws vrrp' -- "$current") ;;
    describe:*) : ;;
    record:*) mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
    import:*) : ;;
    help:*) mapfile -t COMPREPLY < <(compgen -W 'run once check collectors parse describe record events federate map bigquery import help' -- "$current") ;;
  esac
}
complete -o filenames -F _perijove perijove
