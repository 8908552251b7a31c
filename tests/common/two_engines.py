"""A NETCONF server on standard input and output: one of two Routing Engines, in slot 1.

usage: two_engines.py DIRECTORY

DIRECTORY/role says what it is, master or backup; what it is asked is appended to DIRECTORY/asked.
It ends its session after every third request without an answer, as a router that restarts its
management daemon does.
"""

import os
import re
import sys

directory = sys.argv[1]
out = sys.stdout.buffer
out.write(b"<hello><capabilities/><session-id>7</session-id></hello>]]>]]>")
out.flush()


def engine(slot, role):
    return f"<route-engine><slot>{slot}</slot><mastership-state>{role}</mastership-state></route-engine>"


def payload(request):
    role = open(os.path.join(directory, "role")).read().strip()
    if "get-route-engine-information" in request:
        other = "backup" if role == "master" else "master"
        engines = engine(1, role) if ">local<" in request else engine(0, other) + engine(1, role)
        return f"<route-engine-information>{engines}</route-engine-information>"
    if "alarm" in request:
        return "<alarm-information/>"
    return "<ok/>"


pending = b""
answered = 0
while chunk := sys.stdin.buffer.raw.read(65536):
    pending += chunk
    while b"]]>]]>" in pending:
        request, pending = pending.split(b"]]>]]>", 1)
        request = request.decode()
        message_id = re.search(r'message-id="([^"]*)"', request)
        if not message_id:
            continue
        with open(os.path.join(directory, "asked"), "a") as asked:
            asked.write(re.sub(r"\s+", " ", request) + "\n")
        if answered == 3:
            sys.exit(0)
        answered += 1
        reply = f'<rpc-reply message-id="{message_id[1]}">{payload(request)}</rpc-reply>]]>]]>'
        out.write(reply.encode())
        out.flush()
