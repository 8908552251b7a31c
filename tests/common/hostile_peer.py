"""A NETCONF server on standard input and output that misbehaves: hostile_peer.py CASE

`hostile_peer.py --list` prints the cases. Those that begin with `hello-` are said in place of a <hello>,
those with `chunk-` where messages come in chunks (RFC 6242 section 4.2); all others answer each request.
"""

import itertools
import os
import re
import sys
import time

EOM = b"]]>]]>"
MB = 1 << 20
ROOT, END = b"<interface-information>", b"</interface-information>"
FORGED = b"x\r\nFORGED 2026-01-01 ERROR\x1b[31m\x1b]0;owned\x07"


def port(name, description=b"d", within=b""):
    return (
        b"<physical-interface><name>%s</name><admin-status>up</admin-status><oper-status>up</oper-status>"
        b"<description>%s</description><mtu>1514</mtu>%s</physical-interface>" % (name, description, within)
    )


def ports(count, first=0):
    return b"".join(port(b"ge-%d" % number) for number in range(first, first + count))


def again(text, count=None):
    """The text so many times, or without an end."""
    return itertools.repeat(text) if count is None else itertools.repeat(text, count)


def slowly(text, pause):
    for number in range(len(text)):
        time.sleep(pause)
        yield text[number : number + 1]


def silence():
    time.sleep(600)
    yield b""


def reply(message_id, *within):
    """A whole reply, of texts and of what gives texts."""
    yield b"<rpc-reply message-id='%s'>%s" % (message_id, ROOT)
    for part in within:
        yield from [part] if isinstance(part, bytes) else part
    yield END + b"</rpc-reply>" + EOM


def begun(message_id, *within):
    """The same without its end."""
    return reply(message_id, *within, silence())


def error(within):
    return b"<rpc-error><error-severity>error</error-severity>%s</rpc-error>" % within


def message(text):
    return error(b"<error-message>%s</error-message>" % text)


def dies(_):
    os._exit(3)


def forks(_):
    if os.fork() == 0:
        os.setsid()
        time.sleep(30)
    os._exit(0)


def laughs(message_id):
    entities = b"".join(b"<!ENTITY %c '%s'>" % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(12))
    yield b"<!DOCTYPE l [<!ENTITY a 'aaaaaaaaaa'>%s]>" % entities
    yield from reply(message_id, port(b"&l;&m;", b"&l;&xxe;&#0;&#x1F4A9;&#xD800;"))


NAMES = [b'a"} 1\nFORGED{x="y', b"a,host=FORGED\\", b"a\\,host\\=FORGED", b"a b=1i 1\nFORGED,host=x v=1i", b"a\\", b" ", b"="]
DESCRIPTIONS = [b"[target=x] [re_name=y] [host=z] [le=1]", b"[__name__=up] [a-b=1]", b'[x="} 9\nFORGED 1\n]', b"[x=a\\] [y=\\]",
                b"[job=j][instance=i]", b"[x=1][x=2][X=3]", b"[mtu=9][description=9][name=9]"]
polls = itertools.count()

HELLOS = {
    "hello-nothing": lambda: silence(),
    "hello-empty-messages": lambda: again(EOM * 10000),
    "hello-noise": lambda: again(b"noise " * 10000),
    "hello-tags-that-begin": lambda: itertools.chain([b"<" * (MB - 10) + EOM], silence()),
    "hello-capabilities": lambda: [b"<hello><capabilities>" + b"<capability>x</capability>" * 37000
                                   + b"</capabilities><session-id>1</session-id></hello>" + EOM],
    "hello-deep": lambda: itertools.chain([b"<hello>" + b"<a>" * 300000 + EOM], silence()),
    "hello-slow": lambda: itertools.chain(slowly(b"banner\n<hello", 0.1), slowly(b" " * 600, 1)),
    "hello-forged": lambda: [b"<hello><capabilities/><session-id>%s</session-id></hello>" % FORGED + EOM],
}
REPLIES = {
    "deep": lambda i: begun(i, b"<a>" * 5000000),
    "deep-item": lambda i: reply(i, port(b"x", b"d", b"<a>" * MB + b"</a>" * MB)),
    "deep-names": lambda i: begun(i, (b"<%03d%s>" % (n, b"a" * (8 * MB - 4096)) for n in range(20))),
    "names-apart": lambda i: begun(i, b"<%s></%s>" % (b"a" * (4 * MB), b"b" * (4 * MB))),
    "leaves-with-long-names": lambda i: reply(i, (b"<%03d%s>v</%03d%s>" % (n, b"n" * (4 * MB - 99), n, b"n" * (4 * MB - 99)) for n in range(20))),
    "a-long-leaf": lambda i: reply(i, b"<x>", again(b"t" * 65536), b"</x>"),
    "cdata": lambda i: reply(i, b"<x>", again(b"<![CDATA[" + b"&" * 65000 + b"]]>"), b"</x>"),
    "comment": lambda i: begun(i, b"<!--", again(b"c" * 65536)),
    "spaces": lambda i: begun(i, again(b" \n" * 32768)),
    "laughs": laughs,
    "endless-items": lambda i: begun(i, (ports(500, 500 * n) for n in itertools.count())),
    "the-same-items": lambda i: begun(i, again(ports(500))),
    "new-names": lambda i: reply(i, (ports(500, 10**7 * number + 500 * n) for number in [next(polls)] for n in range(100))),
    "siblings": lambda i: reply(i, port(b"a", b"d", b"".join(
        b"<logical-interface><name>%d</name><address-family/><x/></logical-interface>" % n for n in range(60000)))),
    "quotes-in-a-tag": lambda i: [b"<rpc-reply message-id='%s'><interface-information %s>" % (i, b"''" * MB) + END + b"</rpc-reply>" + EOM],
    "quotes-in-an-item": lambda i: reply(i, b"<physical-interface %s><name>x</name></physical-interface>" % (b"''" * (3 * MB))),
    "close-tags-that-begin": lambda i: begun(i, b"<physical-interface>" + b"</physical-interface" * (7 * MB // 20) + b">"),
    "many-errors": lambda i: reply(i, (error(b"<error-message>no%d %s</error-message><error-info><bad-element>%s</bad-element></error-info>"
                                             % (n, FORGED, FORGED)) for n in range(50000))),
    "large-errors": lambda i: reply(i, again(message(b"m" * (7 * MB)), 4)),
    "forged-element": lambda i: reply(i, error(b"<error-message>denied</error-message><error-info><bad-element>%s</bad-element></error-info>" % FORGED)),
    "forged-root": lambda i: [b"<rpc-reply message-id='%s'><%s>1</%s></rpc-reply>" % (i, FORGED, FORGED) + EOM],
    "forged-tags": lambda i: reply(i, b"<aa%s></bb%s>" % (FORGED, FORGED)),
    "bytes": lambda i: reply(i, port(b"ge-\x00\x01\x02\xff\xfe\xed\xa0\x80", b"\x00\x1b[31m\xc0\x80\n\r\t\\")),
    "forged-names": lambda i: reply(i, b"".join(map(port, NAMES, DESCRIPTIONS))),
    "wrong-id": lambda i: reply(b"999"),
    "no-id": lambda i: [b"<rpc-reply>" + ROOT + ports(1) + END + b"</rpc-reply>" + EOM],
    "fifty-replies": lambda i: itertools.chain(*(reply(i, port(b"late")) for _ in range(50))),
    "late": lambda i: itertools.chain(slowly(b"\n" * 4, 1), reply(i, port(b"late"))),
    "slow": lambda i: begun(i, slowly(b" " * 600, 1)),
    "bytes-one-by-one": lambda i: begun(i, b"<physical-interface>", slowly(b"x" * 10**7, 0.0002)),
    "dies": dies,
    "forks": forks,
    "words-on-the-error": lambda i: itertools.chain(words(), reply(i, ports(1))),
    "chunk-huge": lambda i: itertools.chain([b"\n#4294967295\n<rpc-reply message-id='%s'>" % i], again(b"x" * 65536)),
    "chunk-of-nothing": lambda i: [b"\n#0\n\n##\n"],
    "chunk-too-large": lambda i: [b"\n#4294967296\n"],
    "chunk-below-nothing": lambda i: [b"\n#-1\nx"],
    "chunk-with-zeros": lambda i: [b"\n#007\n<x></x>\n##\n"],
    "chunk-with-a-sign": lambda i: [b"\n#+5\n<x/>a\n##\n"],
    "chunk-ends-alone": lambda i: [b"\n##\n" * 100000],
    "chunk-newlines": lambda i: again(b"\n" * 65536),
    "chunk-long-number": lambda i: [b"\n#" + b"1" * (10 * MB)],
    "chunk-of-one-byte": lambda i: itertools.chain(
        (b"\n#1\n%c" % byte for byte in b"<rpc-reply message-id='%s'>%s<physical-interface><x>" % (i, ROOT)), again(b"\n#1\ny" * 10000)),
    "chunk-close-tag": lambda i: itertools.chain(
        (b"\n#1\n%c" % byte for byte in b"<rpc-reply message-id='%s'>%s<physical-interface></physical-interface" % (i, ROOT)),
        again(b"\n#1\n " * 10000)),
}


def words():
    """A flood on the standard error, of whole lines and of one without an end."""
    for _ in range(200):
        sys.stderr.buffer.write((FORGED + b"\n") * 200)
    sys.stderr.buffer.write(b"x" * (8 * MB))
    sys.stderr.flush()
    yield b""


def say(texts):
    out = sys.stdout.buffer
    try:
        for text in texts:
            out.write(text)
            out.flush()
    except (BrokenPipeError, ConnectionResetError):
        os._exit(0)


def requests():
    """Each request's message-id and operation."""
    pending = b""
    while chunk := os.read(0, 65536):
        pending += chunk
        while found := re.search(rb'<rpc message-id="(\d+)"[^>]*>(.*?)</rpc>', pending, re.S):
            pending = pending[found.end():]
            yield found.groups()


def main():
    case = sys.argv[1]
    if case == "--list":
        print(*HELLOS, *REPLIES)
        return
    if case in HELLOS:
        say(HELLOS[case]())
    else:
        version = b"1.1" if case.startswith("chunk-") else b"1.0"
        say([b"<hello><capabilities><capability>urn:ietf:params:netconf:base:%s</capability></capabilities>"
             b"<session-id>1</session-id></hello>" % version + EOM])
    for message_id, operation in requests():
        if b"close-session" in operation:
            return
        say(REPLIES[case](message_id) if case in REPLIES else reply(message_id, ports(1)))


main()
