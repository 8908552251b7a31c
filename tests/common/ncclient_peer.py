"""Holds a NETCONF server against ncclient, a client by others.

usage: ncclient_peer.py PORT USERNAME PRIVATE_KEY DEVICE [RPC...]

Opens a session as ncclient does for DEVICE (default or junos), sends each RPC, an element's XML,
and closes the session in good order. Prints the session's base and a line per reply: its root
elements and its length.
"""

import sys

from lxml import etree
from ncclient import manager
from ncclient.operations import RPCError
from ncclient.xml_ import to_ele

port, username, key, device, *rpcs = sys.argv[1:]
with manager.connect(
    host="127.0.0.1",
    port=int(port),
    username=username,
    key_filename=key,
    hostkey_verify=False,
    look_for_keys=False,
    allow_agent=False,
    device_params={"name": device},
    timeout=50,
) as session:
    bases = sorted(c for c in session.server_capabilities if ":netconf:base:" in c)
    print("base", *(base.rsplit(":", 1)[1] for base in bases))
    for rpc in rpcs:
        try:
            reply = session.rpc(to_ele(rpc)) if device == "junos" else session.dispatch(to_ele(rpc))
        except RPCError as error:
            print("error", error.severity, error.message.strip())
            continue
        text = reply.xml if hasattr(reply, "xml") else str(reply)
        text = text if isinstance(text, str) else etree.tostring(text).decode()
        payload = etree.fromstring(text.encode())
        names = [etree.QName(child).localname for child in payload]
        print("reply", len(text), *names)
print("closed")
