//! NETCONF framing (RFC 6242), whatever the pieces that the bytes come in.

use std::io::{self, Read, Write};

use perijove::netconf::framing::Framer;
use proptest::collection::vec;
use proptest::prelude::*;

/// A peer that gives its bytes in pieces of these sizes, over and over, and keeps what it gets.
struct Peer {
    gives: Vec<u8>,
    at: usize,
    pieces: Vec<usize>,
    piece: usize,
    got: Vec<u8>,
}

impl Peer {
    fn new(gives: Vec<u8>, pieces: &[usize]) -> Peer {
        Peer { gives, at: 0, pieces: pieces.to_vec(), piece: 0, got: Vec::new() }
    }
}

impl Read for Peer {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let piece = self.pieces[self.piece % self.pieces.len()];
        self.piece += 1;
        let bytes = piece.min(into.len()).min(self.gives.len() - self.at);
        into[..bytes].copy_from_slice(&self.gives[self.at..self.at + bytes]);
        self.at += bytes;
        Ok(bytes)
    }
}

impl Write for Peer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.got.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const END: &[u8] = b"]]>]]>";

fn marked(messages: &[Vec<u8>]) -> Vec<u8> {
    messages.iter().flat_map(|message| [message, END].concat()).collect()
}

/// Each message in chunks of these sizes, over and over.
fn chunked(messages: &[Vec<u8>], sizes: &[usize]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut sizes = sizes.iter().cycle();
    for message in messages {
        let mut rest = &message[..];
        while !rest.is_empty() {
            let (chunk, more) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
            write!(out, "\n#{}\n", chunk.len()).unwrap();
            out.extend_from_slice(chunk);
            rest = more;
        }
        out.extend_from_slice(b"\n##\n");
    }
    out
}

/// Bytes that are often a part of a marker.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        Just(b']'),
        Just(b'>'),
        Just(b'\n'),
        Just(b'#'),
        Just(b'1'),
        Just(b'<'),
        any::<u8>()
    ];
    vec(byte, 1..300)
}

/// A message that has no marker in it, nor the start of one at its end.
fn unmarked() -> impl Strategy<Value = Vec<u8>> {
    message().prop_map(|mut message| {
        message.push(b'.');
        while let Some(at) = memchr::memmem::find(&message, END) {
            message.remove(at);
        }
        message
    })
}

fn pieces() -> impl Strategy<Value = Vec<usize>> {
    vec(prop_oneof![1..8usize, 1..5000usize], 1..6)
}

/// Reads the messages one after the other, of each at most so many bytes before it is dropped.
fn read(framer: &mut Framer<Peer>, limits: &[Option<usize>], buffer: usize) -> Vec<Vec<u8>> {
    let read_one = |limit: &Option<usize>| {
        let mut message = framer.message();
        let mut read = Vec::new();
        let mut buffer = vec![0; buffer];
        while limit.is_none_or(|limit| read.len() < limit) {
            match message.read(&mut buffer).unwrap() {
                0 => break,
                bytes => read.extend_from_slice(&buffer[..bytes]),
            }
        }
        read
    };
    limits.iter().map(read_one).collect()
}

fn check(framer: &mut Framer<Peer>, messages: &[Vec<u8>], limits: &[Option<usize>], buffer: usize) {
    let limits: Vec<_> = limits.iter().copied().cycle().take(messages.len()).collect();
    let found = read(framer, &limits, buffer);
    for ((found, message), limit) in found.iter().zip(messages).zip(limits) {
        match limit {
            None => assert_eq!(found, message),
            Some(_) => assert!(message.starts_with(found)),
        }
    }
    assert!(!framer.is_lost());
    let Peer { at, gives, .. } = framer.stream();
    assert_eq!(*at, gives.len());
}

proptest! {
    #![proptest_config(crate::cases(500))]

    #[test]
    fn messages_with_an_end_marker_come_whole(
        messages in vec(unmarked(), 1..6),
        limits in vec(proptest::option::weighted(0.3, 0..200usize), 1..4),
        pieces in pieces(),
        buffer in 1..400usize,
    ) {
        let mut framer = Framer::new(Peer::new(marked(&messages), &pieces), 1 << 20);
        check(&mut framer, &messages, &limits, buffer);
    }

    #[test]
    fn chunked_messages_come_whole(
        messages in vec(message(), 1..6),
        limits in vec(proptest::option::weighted(0.3, 0..200usize), 1..4),
        sizes in pieces(),
        pieces in pieces(),
        buffer in 1..400usize,
    ) {
        let mut framer = Framer::new(Peer::new(chunked(&messages, &sizes), &pieces), 1 << 20);
        framer.use_chunks();
        check(&mut framer, &messages, &limits, buffer);
    }

    #[test]
    fn what_one_side_sends_the_other_reads(
        messages in vec(unmarked(), 1..6),
        chunks in any::<bool>(),
        pieces in pieces(),
    ) {
        let mut sender = Framer::new(Peer::new(Vec::new(), &[1]), 1 << 20);
        let receiver = |bytes: Vec<u8>| {
            let mut framer = Framer::new(Peer::new(bytes, &pieces), 1 << 20);
            if chunks {
                framer.use_chunks();
            }
            read(&mut framer, &vec![None; messages.len()], 100)
        };
        if chunks {
            sender.use_chunks();
        }
        for message in &messages {
            sender.send(message).unwrap();
        }
        let sent = std::mem::take(&mut sender.stream().got);
        prop_assert_eq!(receiver(sent), messages);
    }

    /// Bytes that are not framed end in an error or in messages, and never in a wait.
    #[test]
    fn anything_else_ends(
        bytes in message(),
        chunks in any::<bool>(),
        pieces in pieces(),
        limit in 1..100usize,
    ) {
        let all = bytes.len();
        let mut framer = Framer::new(Peer::new(bytes, &pieces), limit);
        if chunks {
            framer.use_chunks();
        }
        let mut read = 0;
        while !framer.is_lost() {
            let mut message = Vec::new();
            if framer.message().read_to_end(&mut message).is_ok() {
                read += message.len() + 4;
            }
            prop_assert!(read <= all);
        }
    }
}
