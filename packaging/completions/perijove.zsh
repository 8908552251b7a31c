#compdef perijove
# Made by tests/manual, which holds it to the code: do not edit.
_perijove() {
  local -a commands=(
    'run:poll until told to stop (the default)'
    'once:poll every collector once, write or print the points, exit'
    'check:poll each router once, try each output, report what works'
    'collectors:print the reference: RPCs, measurements, fields'
    'parse:print the points of a recorded <rpc-reply>, from FILE or standard input'
    'describe:print a first description of a collector, from a reply'
    'record:save each collector'\''s replies, for a bug report or a fixture'
    'events:print what has changed on the routers, as the running perijove saw it'
    'federate:roll up a fleet'\''s dependencies from Prometheus, until told to stop'
    'map:draw the fleet'\''s map of dependencies as a page, from Prometheus'
    'bigquery:load the roll-up from InfluxDB into BigQuery, until told to stop'
    'import:make settings of another exporter'\''s, or a collector of a PyEZ table'
    'help:list the commands, or one command'\''s flags with an example'
  )
  local command=${words[(r)(run|once|check|collectors|parse|describe|record|events|federate|map|bigquery|import|help)]:-run}
  case $command in
    run)
      _arguments -s \
        '(-c --config)'{-c,--config}'[settings file]:FILE:_files' \
        '--name[the router'\''s name in every point]:NAME: ' \
        '(-t --target)'{-t,--target}'[router to reach over SSH]:HOST[,PORT]: ' \
        '(-p --port)'{-p,--port}'[its port (830)]:N: ' \
        '--transport[how it is reached (ssh)]:ssh|openssh|local:(ssh openssh local)' \
        '--command[the child process of the local transport]:CMD ARGS: ' \
        '(-u --username)'{-u,--username}'[user to log in as]:NAME: ' \
        '(-i --private-key)'{-i,--private-key}'[private key to log in with]:FILE:_files' \
        '--passphrase-file[its passphrase (or PERIJOVE_PASSPHRASE)]:FILE:_files' \
        '--password-file[password to log in with (or PERIJOVE_PASSWORD)]:FILE:_files' \
        '--known-hosts[host keys to trust (~/.ssh/known_hosts)]:FILE:_files' \
        '--collectors[collectors to run]:A,B,…:(accounting alarm arp bfd bgp classofservice cluster clusterinterfaces commits connections coredumps ddosprotection dhcp dot1x environment evpn evpnipprefix fabric firewall flowsessions fpc interfacediagnostics interfacequeue interfaces ipsec ipv6neighbors isis krt l2circuit l2vpn lacp lacpstatistics ldp lldp mac macsec memory mnha mplslsp nat nat2 ntp ospf ospfneighbor pfe pim poe power queues replication route routingengine rpki rpm rsvp security securityike securitypolicies storage stp subscriber system systemstatistics twamp ufd uptime users virtualchassis vpws vrrp)' \
        '--timeout[time limit of one RPC (30s)]:TIME: ' \
        '--interval[time between two polls of a collector (30s)]:TIME: ' \
        '--dependency[map what this machine talks to]' \
        '--influxdb[push to the InfluxDB at this URL]:URL: ' \
        '--database[the InfluxDB database (perijove)]:NAME: ' \
        '--kafka[push to Kafka at these brokers, host,port, …]:BROKERS: ' \
        '--listen[serve Prometheus at host,port]:ADDR: ' \
        '--supervise[start again after any end that is no stop]' \
        '(-v --verbose)'{-v,--verbose}'[log more; twice, even more]' \
        '(-q --quiet)'{-q,--quiet}'[log errors only]' \
        '--help[print its flags]' \
        '1:command:{_describe command commands}' ;;
    once)
      _arguments -s \
        '(-c --config)'{-c,--config}'[settings file]:FILE:_files' \
        '--name[the router'\''s name in every point]:NAME: ' \
        '(-t --target)'{-t,--target}'[router to reach over SSH]:HOST[,PORT]: ' \
        '(-p --port)'{-p,--port}'[its port (830)]:N: ' \
        '--transport[how it is reached (ssh)]:ssh|openssh|local:(ssh openssh local)' \
        '--command[the child process of the local transport]:CMD ARGS: ' \
        '(-u --username)'{-u,--username}'[user to log in as]:NAME: ' \
        '(-i --private-key)'{-i,--private-key}'[private key to log in with]:FILE:_files' \
        '--passphrase-file[its passphrase (or PERIJOVE_PASSPHRASE)]:FILE:_files' \
        '--password-file[password to log in with (or PERIJOVE_PASSWORD)]:FILE:_files' \
        '--known-hosts[host keys to trust (~/.ssh/known_hosts)]:FILE:_files' \
        '--collectors[collectors to run]:A,B,…:(accounting alarm arp bfd bgp classofservice cluster clusterinterfaces commits connections coredumps ddosprotection dhcp dot1x environment evpn evpnipprefix fabric firewall flowsessions fpc interfacediagnostics interfacequeue interfaces ipsec ipv6neighbors isis krt l2circuit l2vpn lacp lacpstatistics ldp lldp mac macsec memory mnha mplslsp nat nat2 ntp ospf ospfneighbor pfe pim poe power queues replication route routingengine rpki rpm rsvp security securityike securitypolicies storage stp subscriber system systemstatistics twamp ufd uptime users virtualchassis vpws vrrp)' \
        '--timeout[time limit of one RPC (30s)]:TIME: ' \
        '--dependency[map what this machine talks to]' \
        '--influxdb[push to the InfluxDB at this URL]:URL: ' \
        '--database[the InfluxDB database (perijove)]:NAME: ' \
        '--kafka[push to Kafka at these brokers, host,port, …]:BROKERS: ' \
        '(-f --format)'{-f,--format}'[print in this format]:line|json|prometheus:(line json prometheus)' \
        '(-v --verbose)'{-v,--verbose}'[log more; twice, even more]' \
        '(-q --quiet)'{-q,--quiet}'[log errors only]' \
        '--help[print its flags]' \
        '2:argument: ' ;;
    check)
      _arguments -s \
        '--connect[only open each session, without a poll]' \
        '--from-configuration[with the macros in the router'\''s configuration]' \
        '(-f --format)'{-f,--format}'[print in this format]:text|json:(text json)' \
        '(-c --config)'{-c,--config}'[settings file]:FILE:_files' \
        '--name[the router'\''s name in every point]:NAME: ' \
        '(-t --target)'{-t,--target}'[router to reach over SSH]:HOST[,PORT]: ' \
        '(-p --port)'{-p,--port}'[its port (830)]:N: ' \
        '--transport[how it is reached (ssh)]:ssh|openssh|local:(ssh openssh local)' \
        '--command[the child process of the local transport]:CMD ARGS: ' \
        '(-u --username)'{-u,--username}'[user to log in as]:NAME: ' \
        '(-i --private-key)'{-i,--private-key}'[private key to log in with]:FILE:_files' \
        '--passphrase-file[its passphrase (or PERIJOVE_PASSPHRASE)]:FILE:_files' \
        '--password-file[password to log in with (or PERIJOVE_PASSWORD)]:FILE:_files' \
        '--known-hosts[host keys to trust (~/.ssh/known_hosts)]:FILE:_files' \
        '--collectors[collectors to run]:A,B,…:(accounting alarm arp bfd bgp classofservice cluster clusterinterfaces commits connections coredumps ddosprotection dhcp dot1x environment evpn evpnipprefix fabric firewall flowsessions fpc interfacediagnostics interfacequeue interfaces ipsec ipv6neighbors isis krt l2circuit l2vpn lacp lacpstatistics ldp lldp mac macsec memory mnha mplslsp nat nat2 ntp ospf ospfneighbor pfe pim poe power queues replication route routingengine rpki rpm rsvp security securityike securitypolicies storage stp subscriber system systemstatistics twamp ufd uptime users virtualchassis vpws vrrp)' \
        '--timeout[time limit of one RPC (30s)]:TIME: ' \
        '--interval[time between two polls of a collector (30s)]:TIME: ' \
        '--dependency[map what this machine talks to]' \
        '--influxdb[push to the InfluxDB at this URL]:URL: ' \
        '--database[the InfluxDB database (perijove)]:NAME: ' \
        '--kafka[push to Kafka at these brokers, host,port, …]:BROKERS: ' \
        '--listen[serve Prometheus at host,port]:ADDR: ' \
        '(-v --verbose)'{-v,--verbose}'[log more; twice, even more]' \
        '(-q --quiet)'{-q,--quiet}'[log errors only]' \
        '--help[print its flags]' \
        '2:argument: ' ;;
    collectors)
      _arguments -s \
        '(-c --config)'{-c,--config}'[settings file]:FILE:_files' \
        '(-f --format)'{-f,--format}'[print in this format]:text|markdown|json|toml:(text markdown json toml)' \
        '--help[print its flags]' \
        '2:argument:(accounting alarm arp bfd bgp classofservice cluster clusterinterfaces commits connections coredumps ddosprotection dhcp dot1x environment evpn evpnipprefix fabric firewall flowsessions fpc interfacediagnostics interfacequeue interfaces ipsec ipv6neighbors isis krt l2circuit l2vpn lacp lacpstatistics ldp lldp mac macsec memory mnha mplslsp nat nat2 ntp ospf ospfneighbor pfe pim poe power queues replication route routingengine rpki rpm rsvp security securityike securitypolicies storage stp subscriber system systemstatistics twamp ufd uptime users virtualchassis vpws vrrp)' ;;
    parse)
      _arguments -s \
        '(-c --config)'{-c,--config}'[settings file]:FILE:_files' \
        '--name[the router'\''s name in every point]:NAME: ' \
        '--description[read as the collector that this describes]:FILE:_files' \
        '(-f --format)'{-f,--format}'[print in this format]:line|json|prometheus:(line json prometheus)' \
        '(-v --verbose)'{-v,--verbose}'[log more; twice, even more]' \
        '(-q --quiet)'{-q,--quiet}'[log errors only]' \
        '--help[print its flags]' \
        '2:argument:(accounting alarm arp bfd bgp classofservice cluster clusterinterfaces commits connections coredumps ddosprotection dhcp dot1x environment evpn evpnipprefix fabric firewall flowsessions fpc interfacediagnostics interfacequeue interfaces ipsec ipv6neighbors isis krt l2circuit l2vpn lacp lacpstatistics ldp lldp mac macsec memory mnha mplslsp nat nat2 ntp ospf ospfneighbor pfe pim poe power queues replication route routingengine rpki rpm rsvp security securityike securitypolicies storage stp subscriber system systemstatistics twamp ufd uptime users virtualchassis vpws vrrp)' ;;
    describe)
      _arguments -s \
        '(-c --config)'{-c,--config}'[settings file]:FILE:_files' \
        '(-t --target)'{-t,--target}'[router to reach over SSH]:HOST[,PORT]: ' \
        '(-p --port)'{-p,--port}'[its port (830)]:N: ' \
        '--transport[how it is reached (ssh)]:ssh|openssh|local:(ssh openssh local)' \
        '--command[the child process of the local transport]:CMD ARGS: ' \
        '(-u --username)'{-u,--username}'[user to log in as]:NAME: ' \
        '(-i --private-key)'{-i,--private-key}'[private key to log in with]:FILE:_files' \
        '--passphrase-file[its passphrase (or PERIJOVE_PASSPHRASE)]:FILE:_files' \
        '--password-file[password to log in with (or PERIJOVE_PASSWORD)]:FILE:_files' \
        '--known-hosts[host keys to trust (~/.ssh/known_hosts)]:FILE:_files' \
        '(-v --verbose)'{-v,--verbose}'[log more; twice, even more]' \
        '(-q --quiet)'{-q,--quiet}'[log errors only]' \
        '--help[print its flags]' \
        '2:argument: ' ;;
    record)
      _arguments -s \
        '--anonymous[hide addresses, names and serial numbers too]' \
        '(-c --config)'{-c,--config}'[settings file]:FILE:_files' \
        '--name[the router'\''s name in every point]:NAME: ' \
        '(-t --target)'{-t,--target}'[router to reach over SSH]:HOST[,PORT]: ' \
        '(-p --port)'{-p,--port}'[its port (830)]:N: ' \
        '--transport[how it is reached (ssh)]:ssh|openssh|local:(ssh openssh local)' \
        '--command[the child process of the local transport]:CMD ARGS: ' \
        '(-u --username)'{-u,--username}'[user to log in as]:NAME: ' \
        '(-i --private-key)'{-i,--private-key}'[private key to log in with]:FILE:_files' \
        '--passphrase-file[its passphrase (or PERIJOVE_PASSPHRASE)]:FILE:_files' \
        '--password-file[password to log in with (or PERIJOVE_PASSWORD)]:FILE:_files' \
        '--known-hosts[host keys to trust (~/.ssh/known_hosts)]:FILE:_files' \
        '--collectors[collectors to run]:A,B,…:(accounting alarm arp bfd bgp classofservice cluster clusterinterfaces commits connections coredumps ddosprotection dhcp dot1x environment evpn evpnipprefix fabric firewall flowsessions fpc interfacediagnostics interfacequeue interfaces ipsec ipv6neighbors isis krt l2circuit l2vpn lacp lacpstatistics ldp lldp mac macsec memory mnha mplslsp nat nat2 ntp ospf ospfneighbor pfe pim poe power queues replication route routingengine rpki rpm rsvp security securityike securitypolicies storage stp subscriber system systemstatistics twamp ufd uptime users virtualchassis vpws vrrp)' \
        '--timeout[time limit of one RPC (30s)]:TIME: ' \
        '(-v --verbose)'{-v,--verbose}'[log more; twice, even more]' \
        '(-q --quiet)'{-q,--quiet}'[log errors only]' \
        '--help[print its flags]' \
        '2:argument:_files -/' ;;
    events)
      _arguments -s \
        '(-c --config)'{-c,--config}'[settings file]:FILE:_files' \
        '--follow[go on with what comes]' \
        '--url[the listener (as the settings have it)]:URL: ' \
        '--as[user of the listener, with PERIJOVE_PASSWORD]:NAME: ' \
        '(-f --format)'{-f,--format}'[print in this format]:text|json:(text json)' \
        '--listen[serve Prometheus at host,port]:ADDR: ' \
        '--help[print its flags]' \
        '2:argument: ' ;;
    federate)
      _arguments -s \
        '(-c --config)'{-c,--config}'[settings file]:FILE:_files' \
        '--once[write what is due, and exit]' \
        '--influxdb[push to the InfluxDB at this URL]:URL: ' \
        '--database[the InfluxDB database (perijove)]:NAME: ' \
        '--kafka[push to Kafka at these brokers, host,port, …]:BROKERS: ' \
        '--listen[serve Prometheus at host,port]:ADDR: ' \
        '(-v --verbose)'{-v,--verbose}'[log more; twice, even more]' \
        '(-q --quiet)'{-q,--quiet}'[log errors only]' \
        '--help[print its flags]' \
        '2:argument: ' ;;
    map)
      _arguments -s \
        '(-c --config)'{-c,--config}'[settings file]:FILE:_files' \
        '(-f --format)'{-f,--format}'[print in this format]:html|json|dot|mermaid:(html json dot mermaid)' \
        '(-v --verbose)'{-v,--verbose}'[log more; twice, even more]' \
        '(-q --quiet)'{-q,--quiet}'[log errors only]' \
        '--help[print its flags]' \
        '2:argument: ' ;;
    bigquery)
      _arguments -s \
        '(-c --config)'{-c,--config}'[settings file]:FILE:_files' \
        '--once[write what is due, and exit]' \
        '--create[create the tables that are missing]' \
        '--dry-run[print the rows and write nothing]' \
        '--from[load from this day on (UTC)]:DAY: ' \
        '--to[up to this day, such as 2026-03-31]:DAY: ' \
        '(-v --verbose)'{-v,--verbose}'[log more; twice, even more]' \
        '(-q --quiet)'{-q,--quiet}'[log errors only]' \
        '--help[print its flags]' \
        '2:argument: ' ;;
    import)
      _arguments -s \
        '--help[print its flags]' \
        '2:argument: ' ;;
    help)
      _arguments -s \
        '--help[print its flags]' \
        '2:argument:(run once check collectors parse describe record events federate map bigquery import help)' ;;
  esac
}
_perijove "$@"
