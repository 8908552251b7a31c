"""An SSH server (paramiko) that lets everybody in and then misbehaves: hostile_sshd.py

The user's name says how: `quiet` not at all; `NAME` sends the messages of that name without an end,
once the subsystem has said its <hello>; `early-NAME` before that, `login-NAME` before the login is
answered. `login-silence` never answers it. Prints its port.
"""

import socket
import struct
import sys
import threading
import time

import paramiko

HELLO = (
    b"<hello><capabilities><capability>urn:ietf:params:netconf:base:1.0</capability>"
    b"</capabilities><session-id>1</session-id></hello>]]>]]>"
)


def string(text):
    return struct.pack(">I", len(text)) + text


LARGE = b"j" * 30000
# Channel numbers: libssh2 counts from 0.
CHANNEL = struct.pack(">I", 0)
LISTS = [b"curve25519-sha256", b"ssh-ed25519"] + [b"aes128-ctr", b"hmac-sha2-256"] * 2
MESSAGES = {
    "junk": b"\xfa" + LARGE,
    "disconnect": b"\x01" + struct.pack(">I", 2) + string(LARGE) + string(b""),
    "ignore": b"\x02" + string(LARGE),
    "debug": b"\x04\x01" + string(LARGE) + string(b""),
    "information": b"\x07" + struct.pack(">I", 1) + string(b"server-sig-algs") + string(LARGE),
    "keys": b"\x14" + b"C" * 16 + b"".join(map(string, LISTS + [b"none"] * 2 + [b""] * 2)) + b"\0" * 5,
    "banner": b"\x35" + string(LARGE) + string(b""),
    "requests": b"\x50" + string(b"keepalive@openssh.com") + b"\x01",
    "channels": b"\x5a" + string(b"forwarded-tcpip") + struct.pack(">III", 7, 1 << 20, 1 << 15)
    + string(b"127.0.0.1") + struct.pack(">I", 1) + string(b"127.0.0.1") + struct.pack(">I", 1),
    "window": b"\x5d" + CHANNEL + b"\xff\xff\xff\xff",
    "data": b"\x5e" + CHANNEL + string(LARGE),
    "bytes": b"\x5e" + CHANNEL + string(b"x"),
    "extended": b"\x5f" + CHANNEL + struct.pack(">I", 1) + string(LARGE),
    "ends": b"\x60" + CHANNEL,
    "answers": b"\x63" + CHANNEL,
}
# Less of the same: tried in one phase each.
MORE = {
    "login-prompts": b"\x3c" + string(b"") * 3 + struct.pack(">I", 0),
    "login-failures": b"\x33" + string(b"password," * 3000) + b"\1",
    "early-signals": b"\x62" + CHANNEL + string(b"exit-signal") + b"\0" + string(LARGE) + b"\0" + string(b"") * 2,
    "status": b"\x62" + CHANNEL + string(b"exit-status") + b"\1" + struct.pack(">I", 1),
    "strangers": b"\x5e" + struct.pack(">I", 77) + string(LARGE),
    "lies": b"\x5e" + CHANNEL + struct.pack(">I", 1 << 30) + LARGE,
    "nothing": b"\x5e" + CHANNEL + string(b""),
    "questions": b"\x50" + string(LARGE) + b"\1",
}
# Of the exchange of keys (RFC 4253 sections 7 to 9), begun and never ended, or out of its order; each
# list is sent again and again.
KEYS, NEW_KEYS = MESSAGES["keys"], b"\x15"
REPLY = b"\x1f" + string(LARGE) + string(b"k" * 32) + string(b"s" * 32)
OFFER = b"\x14" + b"C" * 16 + string(b"curve25519-sha256" + b",x" * 15000) + string(b"") * 9 + b"\0" * 5
MORE.update({
    "newkeys": [NEW_KEYS],
    "replies": [REPLY],
    "halves": [KEYS, NEW_KEYS],
    "begun": [KEYS, MESSAGES["junk"]],
    "between": [KEYS, MESSAGES["data"], MESSAGES["ignore"]],
    "guesses": [KEYS, REPLY, REPLY, NEW_KEYS],
    "offers": [OFFER],
    "login-halves": [KEYS, NEW_KEYS],
    "early-begun": [KEYS, MESSAGES["junk"]],
    # As the protocol has it: each exchange ends, and the next begins.
    "rekeys": [],
    "early-rekeys": [],
})
MESSAGES.update((name.rpartition("-")[2], message) for name, message in MORE.items())


class Server(paramiko.ServerInterface):
    def __init__(self, transport):
        self.transport = transport
        self.phase, self.name = "", "quiet"

    def get_allowed_auths(self, username):
        return "keyboard-interactive" if username == "login-prompts" else "password"

    def check_auth_interactive(self, username, submethods):
        return self.check_auth_password(username, "")

    def check_auth_password(self, username, password):
        phase, _, self.name = username.rpartition("-")
        self.phase = phase
        self.flood("login")
        return paramiko.AUTH_SUCCESSFUL

    def check_channel_request(self, kind, channel):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_subsystem_request(self, channel, name):
        threading.Timer(0.2, self.attack, (channel,)).start()
        return True

    def attack(self, channel):
        try:
            self.flood("early")
            channel.sendall(HELLO)
            self.flood("")
        except (EOFError, OSError, paramiko.SSHException):
            pass

    def flood(self, phase):
        if phase != self.phase or self.name == "quiet":
            return
        if self.name == "silence":
            time.sleep(60)
            return
        messages = MESSAGES[self.name]
        messages = [messages] if isinstance(messages, bytes) else messages
        while self.transport.is_active():
            if not messages:
                self.transport.renegotiate_keys()
            for message in messages:
                # As it is, whatever the state of the session.
                self.transport.packetizer.send_message(paramiko.Message(message))


def serve(connection, key):
    transport = paramiko.Transport(connection)
    transport.add_server_key(key)
    # By itself paramiko exchanges keys again after half a gigabyte, and floods on meanwhile: `keys`.
    transport.packetizer.REKEY_BYTES = transport.packetizer.REKEY_PACKETS = 1 << 60
    channels = []
    try:
        transport.start_server(server=Server(transport))
        while transport.is_active():
            # paramiko closes a channel that nobody holds.
            channels.append(transport.accept(1))
    except (EOFError, OSError, paramiko.SSHException):
        pass


def main():
    if sys.argv[1:] == ["--list"]:
        names = MESSAGES.keys() - {name.rpartition("-")[2] for name in MORE}
        print(*(phase + name for phase in ("login-", "early-", "") for name in sorted(names)), *MORE)
        return
    key = paramiko.ECDSAKey.generate()
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection, key), daemon=True).start()


main()
