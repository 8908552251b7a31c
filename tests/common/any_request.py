"""A NETCONF server on standard input and output that answers whatever it is asked with a row.

usage: any_request.py DIRECTORY SECONDS

Each answer takes so many seconds. DIRECTORY/role says what the Routing Engine is, master or backup. What
is asked, but for that, is appended to DIRECTORY/asked: the seconds since 1970, and the request's element.
"""

import os
import re
import sys
import time

directory, seconds = sys.argv[1], float(sys.argv[2])
out = sys.stdout.buffer
out.write(b"<hello><capabilities/><session-id>7</session-id></hello>]]>]]>")
out.flush()


def payload(request):
    element = re.search(r"<(get-[a-z0-9-]+)", request)
    if not element:
        return "<ok/>"
    if element[1] == "get-route-engine-information":
        role = open(os.path.join(directory, "role")).read().strip()
        engine = f"<route-engine><slot>0</slot><mastership-state>{role}</mastership-state></route-engine>"
        return f"<route-engine-information>{engine}</route-engine-information>"
    with open(os.path.join(directory, "asked"), "a") as asked:
        asked.write(f"{time.time():.3f} {element[1]}\n")
    time.sleep(seconds)
    return "<rows><row><value>1</value></row></rows>"


pending = b""
while chunk := sys.stdin.buffer.raw.read(65536):
    pending += chunk
    while b"]]>]]>" in pending:
        request, pending = pending.split(b"]]>]]>", 1)
        request = request.decode()
        message_id = re.search(r'message-id="([^"]*)"', request)
        if not message_id:
            continue
        reply = f'<rpc-reply message-id="{message_id[1]}">{payload(request)}</rpc-reply>]]>]]>'
        out.write(reply.encode())
        out.flush()
