"""A NETCONF server on standard input and output that says what it is told, right or wrong.

usage: canned.py HELLO REPLY [PAYLOADS]

HELLO, REPLY and PAYLOADS are files. Every request is answered with REPLY, framed by ]]>]]> as
base:1.0 has it; ID in it stands for the request's message-id, and PAYLOAD for what PAYLOADS, a JSON
object, has for the request's operation, or else for its "". HELLO is sent as it is, with its own
end.
"""

import json
import re
import sys

hello, reply = (open(name, "rb").read() for name in sys.argv[1:3])
payloads = json.load(open(sys.argv[3])) if sys.argv[3:] else {"": "PAYLOAD"}
out = sys.stdout.buffer
out.write(hello)
out.flush()

pending = b""
while chunk := sys.stdin.buffer.raw.read(65536):
    pending += chunk
    while b"]]>]]>" in pending:
        request, pending = pending.split(b"]]>]]>", 1)
        message_id = re.search(rb"message-id=[\"']([^\"']*)", request)
        if message_id:
            asked = (what for what in payloads if what and what.encode() in request)
            payload = payloads[next(asked, "")].encode()
            answer = reply.replace(b"ID", message_id.group(1)).replace(b"PAYLOAD", payload)
            out.write(answer + b"]]>]]>")
            out.flush()
