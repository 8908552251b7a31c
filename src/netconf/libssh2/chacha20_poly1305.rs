//! The cipher chacha20-poly1305@openssh.com, by OpenSSL.
//!
//! libssh2 has C of its own for it, which took more than a third of a poll's processor time. These
//! functions have the names of libssh2's, so that the linker takes them and leaves libssh2's object
//! out. A libssh2 that is a shared library goes on with its own. The format is that of
//! PROTOCOL.chacha20poly1305 in OpenSSH's sources.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::ffi::{c_int, c_uint};
use std::ptr::{NonNull, null, null_mut};

use openssl::cipher::Cipher;
use openssl::cipher_ctx::CipherCtx;
use openssl_sys as raw;
use zeroize::Zeroizing;

const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 16;
const FAILED: c_int = -1;

/// What libssh2 keeps for one direction of a session, in memory for two tables of 64 bytes.
#[repr(C)]
struct Keys {
    /// For the packet, and for what its tag is made with.
    packet: [u8; KEY_BYTES],
    /// For the length of the packet, which stands before it.
    length: [u8; KEY_BYTES],
}

/// What makes tags. The crate `openssl` has only a longer way there, which looks several methods
/// up for each packet.
struct Poly1305(NonNull<raw::EVP_MAC_CTX>);

impl Poly1305 {
    fn new() -> Option<Poly1305> {
        // SAFETY: the name ends with a zero, and null stands for a default. The context keeps the
        // method that it is made of.
        unsafe {
            let method = raw::EVP_MAC_fetch(null_mut(), c"POLY1305".as_ptr(), null());
            let method = NonNull::new(method)?;
            let context = raw::EVP_MAC_CTX_new(method.as_ptr());
            raw::EVP_MAC_free(method.as_ptr());
            NonNull::new(context).map(Poly1305)
        }
    }

    fn tag(&mut self, key: &[u8; KEY_BYTES], sent: &[u8]) -> Option<[u8; TAG_BYTES]> {
        let (context, mut tag, mut bytes) = (self.0.as_ptr(), [0; TAG_BYTES], 0);
        // SAFETY: the context is ours, and the lengths are those of the slices.
        let made = unsafe {
            raw::EVP_MAC_init(context, key.as_ptr(), key.len(), null()) == 1
                && raw::EVP_MAC_update(context, sent.as_ptr(), sent.len()) == 1
                && raw::EVP_MAC_final(context, tag.as_mut_ptr(), &mut bytes, tag.len()) == 1
        };
        (made && bytes == tag.len()).then_some(tag)
    }
}

impl Drop for Poly1305 {
    fn drop(&mut self) {
        // SAFETY: nobody else has it.
        unsafe { raw::EVP_MAC_CTX_free(self.0.as_ptr()) };
    }
}

/// What OpenSSL works with. `None` from here on is a failure of OpenSSL, or a tag that is not
/// right.
struct Methods {
    cipher: CipherCtx,
    poly1305: Poly1305,
}

/// Each thread makes its own once.
fn methods<T>(work: impl FnOnce(&mut Methods) -> Option<T>) -> Option<T> {
    thread_local! {
        static MADE: RefCell<Option<Methods>> = const { RefCell::new(None) };
    }
    let with = |made: &RefCell<Option<Methods>>| {
        let mut made = made.borrow_mut();
        if made.is_none() {
            *made = Methods::new();
        }
        work(made.as_mut()?)
    };
    MADE.try_with(with).ok()?
}

impl Methods {
    fn new() -> Option<Methods> {
        let mut cipher = CipherCtx::new().ok()?;
        cipher.encrypt_init(Some(Cipher::chacha20()), None, None).ok()?;
        Some(Methods { cipher, poly1305: Poly1305::new()? })
    }

    /// Encrypts or decrypts in place, which is the same, from that block of the key stream on.
    fn chacha20(
        &mut self,
        key: &[u8; KEY_BYTES],
        block: u64,
        sequence: u64,
        bytes: &mut [u8],
    ) -> Option<()> {
        let mut start = [0; 16];
        start[..8].copy_from_slice(&block.to_le_bytes());
        start[8..].copy_from_slice(&sequence.to_be_bytes());
        self.cipher.encrypt_init(None, Some(key), Some(&start)).ok()?;
        self.cipher.cipher_update_inplace(bytes, bytes.len()).ok().map(drop)
    }

    /// The tag of a packet, from its bytes as they are sent.
    fn tag(&mut self, keys: &Keys, sequence: u64, sent: &[u8]) -> Option<[u8; TAG_BYTES]> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        self.chacha20(&keys.packet, 0, sequence, &mut *key)?;
        self.poly1305.tag(&key, sent)
    }

    /// A packet: so many bytes of its length, the rest, and its tag.
    fn crypt(
        &mut self,
        keys: &Keys,
        sequence: u64,
        packet: &mut [u8],
        length_bytes: usize,
        encrypts: bool,
    ) -> Option<()> {
        let (sent, tag) = packet.split_last_chunk_mut::<TAG_BYTES>()?;
        if !encrypts && !openssl::memcmp::eq(tag, &self.tag(keys, sequence, sent)?) {
            return None;
        }
        let (length, rest) = sent.split_at_mut_checked(length_bytes)?;
        self.chacha20(&keys.length, 0, sequence, length)?;
        self.chacha20(&keys.packet, 1, sequence, rest)?;
        if encrypts {
            *tag = self.tag(keys, sequence, sent)?;
        }
        Some(())
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn chachapoly_init(keys: *mut Keys, key: *const u8, key_bytes: usize) -> c_int {
    if key_bytes != size_of::<Keys>() {
        return FAILED;
    }
    // SAFETY: both are valid for so many bytes, and do not overlap.
    unsafe { std::ptr::copy_nonoverlapping(key, keys.cast(), key_bytes) };
    0
}

/// libssh2 calls it with one buffer only, for what was and for what will be.
#[unsafe(no_mangle)]
unsafe extern "C" fn chachapoly_crypt(
    keys: *const Keys,
    sequence: u64,
    to: *mut u8,
    from: *const u8,
    bytes: usize,
    length_bytes: usize,
    encrypts: c_int,
) -> c_int {
    if !std::ptr::eq(from, to) {
        return FAILED;
    }
    // SAFETY: the keys were made above; the buffer has room for the tag, and nobody else uses it.
    let (keys, packet) =
        unsafe { (&*keys, std::slice::from_raw_parts_mut(to, length_bytes + bytes + TAG_BYTES)) };
    let crypt =
        |methods: &mut Methods| methods.crypt(keys, sequence, packet, length_bytes, encrypts != 0);
    methods(crypt).map_or(FAILED, |()| 0)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn chachapoly_get_length(
    keys: *const Keys,
    length: *mut c_uint,
    sequence: u64,
    bytes: *const u8,
    bytes_count: usize,
) -> c_int {
    if bytes_count < size_of::<u32>() {
        return FAILED;
    }
    // SAFETY: the keys were made above, and so many bytes are there.
    let (keys, mut bytes) = unsafe { (&*keys, *bytes.cast::<[u8; size_of::<u32>()]>()) };
    if methods(|made| made.chacha20(&keys.length, 0, sequence, &mut bytes)).is_none() {
        return FAILED;
    }
    // SAFETY: the caller's, for one number.
    unsafe { *length = u32::from_be_bytes(bytes) };
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a server makes of it is seen by all tests over SSH.
    #[test]
    fn a_packet_comes_back_and_a_forged_one_does_not() {
        let keys = Keys { packet: [1; KEY_BYTES], length: [2; KEY_BYTES] };
        let plain: Vec<u8> = (0..100).collect();
        let crypt = |sequence, packet: &mut [u8], length_bytes, encrypts| {
            methods(|made| made.crypt(&keys, sequence, packet, length_bytes, encrypts))
        };
        let mut packet = [&plain[..], &[0; TAG_BYTES]].concat();
        assert_eq!(crypt(7, &mut packet, 4, true), Some(()));
        let mut length = 0;
        // SAFETY: all of it is ours.
        let result =
            unsafe { chachapoly_get_length(&keys, &mut length, 7, packet.as_ptr(), packet.len()) };
        assert_eq!((result, length), (0, 0x0001_0203));
        for at in 0..packet.len() {
            let mut forged = packet.clone();
            forged[at] ^= 1;
            let before = forged.clone();
            assert_eq!(crypt(7, &mut forged, 4, false), None, "byte {at}");
            assert_eq!(forged, before, "nothing is decrypted");
        }
        assert_eq!(crypt(8, &mut packet.clone(), 4, false), None);
        assert_eq!(crypt(7, &mut packet, 4, false), Some(()));
        assert_eq!(packet[..plain.len()], plain);
        assert_eq!(crypt(7, &mut packet[..TAG_BYTES - 1], 0, false), None);
    }
}
