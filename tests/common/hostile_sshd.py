"""An SSH server (paramiko) that lets everybody in and then misbehaves: hostile_sshd.py HOW

HOW, once the subsystem has said its <hello>: `junk` sends packets of an unknown type without an
end, `ignore` SSH_MSG_IGNORE, `bytes` channel data of one byte each; `quiet` says nothing more.
Prints its port.
"""

import socket
import sys
import threading

import paramiko

HOW = sys.argv[1]
HELLO = (
    b"<hello><capabilities><capability>urn:ietf:params:netconf:base:1.0</capability>"
    b"</capabilities><session-id>1</session-id></hello>]]>]]>"
)


class Server(paramiko.ServerInterface):
    def __init__(self, transport):
        self.transport = transport

    def get_allowed_auths(self, username):
        return "password"

    def check_auth_password(self, username, password):
        return paramiko.AUTH_SUCCESSFUL

    def check_channel_request(self, kind, channel):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_subsystem_request(self, channel, name):
        threading.Timer(0.2, self.attack, (channel,)).start()
        return True

    def attack(self, channel):
        channel.sendall(HELLO)
        while self.transport.is_active() and HOW != "quiet":
            if HOW == "junk":
                message = paramiko.Message()
                message.add_byte(b"\xfa")
                message.add_bytes(b"j" * 30000)
                self.transport._send_user_message(message)
            elif HOW == "ignore":
                self.transport.send_ignore(30000)
            else:
                channel.send(b"x")


def serve(connection, key):
    transport = paramiko.Transport(connection)
    transport.add_server_key(key)
    channels = []
    try:
        transport.start_server(server=Server(transport))
        while transport.is_active():
            # paramiko closes a channel that nobody holds.
            channels.append(transport.accept(1))
    except (EOFError, OSError, paramiko.SSHException):
        pass


def main():
    key = paramiko.ECDSAKey.generate()
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection, key), daemon=True).start()


main()
