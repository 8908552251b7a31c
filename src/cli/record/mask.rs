//! Passes a reply on without secrets, and if asked without what tells whose network it is. It knows
//! no more of XML than tags and the text between them, so that it keeps the form of what is broken.

use std::io::{self, Write};
use std::sync::Arc;

use super::hide::{self, Hide, Kind};
use super::secrets::{self, Pem};
use crate::poll::recorder::Filter;

/// A tag or a text that is longer is looked at in parts.
const TOKEN_BYTES_MAX: usize = 1 << 20;
/// Elements that are nested deeper have no names.
const DEPTH_MAX: usize = 128;

/// The state of one reply.
pub struct Mask {
    hide: Option<Arc<Hide>>,
    /// What came and is not yet a whole token.
    pending: Vec<u8>,
    /// Up to where no end of it was found.
    searched: usize,
    /// The names of the elements that are open.
    open: Vec<String>,
    pem: Pem,
}

impl Mask {
    /// With `hide` addresses, names and serial numbers go too.
    pub fn new(hide: Option<Arc<Hide>>) -> Mask {
        let (pending, open) = Default::default();
        Mask { hide, pending, searched: 0, open, pem: Pem::default() }
    }

    /// Takes the next token, which is whole.
    fn token(&mut self, bytes: usize, file: &mut dyn Write) -> io::Result<()> {
        let token: Vec<u8> = self.pending.drain(..bytes).collect();
        self.searched = 0;
        let text = String::from_utf8_lossy(&token);
        if !text.starts_with('<') {
            return file.write_all(self.text(&text).as_bytes());
        }
        if let Some(inner) = text.strip_prefix("<![CDATA[") {
            let inner = inner.strip_suffix("]]>").unwrap_or(inner);
            return write!(file, "<![CDATA[{}]]>", self.text(inner));
        }
        let is_element = !text.starts_with("<!") && !text.starts_with("<?");
        if is_element {
            self.follow(&text);
        }
        match &self.hide {
            // Attributes, and comments.
            Some(hide) if text.contains([' ', '\n']) => {
                file.write_all(hide.addresses(&secrets::masked(&text)).as_bytes())
            }
            _ => file.write_all(secrets::masked(&text).as_bytes()),
        }
    }

    fn follow(&mut self, tag: &str) {
        if tag.starts_with("</") {
            self.open.pop();
        } else if !tag.ends_with("/>") {
            let name = tag[1..].split(|c: char| c.is_whitespace() || c == '>').next();
            let name = name.and_then(|name| name.rsplit(':').next()).unwrap_or_default();
            let name = if self.open.len() < DEPTH_MAX { name } else { "" };
            self.open.push(name.to_string());
        }
    }

    fn text(&mut self, text: &str) -> String {
        if text.trim().is_empty() {
            return text.into();
        }
        let mut open = self.open.iter().rev().map(String::as_str);
        let (name, parent) = (open.next().unwrap_or(""), open.next().unwrap_or(""));
        let without_pem = self.pem.masked(text);
        let text = without_pem.as_deref().unwrap_or(text);
        if secrets::is_element(name) || name == "name" && secrets::is_element(parent) {
            return secrets::masked_whole(text);
        }
        let text = secrets::masked(text);
        let Some(hide) = &self.hide else { return text };
        match hide::kind(name, parent) {
            Kind::Other => hide.addresses(&text),
            kind => hide.hidden(&text, kind),
        }
    }

    /// Where the first token of what came ends, if all of it has come.
    fn end(&mut self) -> Option<usize> {
        let pending = &self.pending;
        let from = self.searched;
        let find = |what: &[u8]| {
            let start = from.saturating_sub(what.len());
            memchr::memmem::find(&pending[start..], what).map(|at| start + at)
        };
        let end = if pending.first() != Some(&b'<') {
            find(b"<")
        } else if b"<![CDATA[".starts_with(&pending[..pending.len().min(9)]) {
            find(b"]]>").map(|at| at + 3).filter(|_| pending.len() > 9)
        } else if b"<!--".starts_with(&pending[..pending.len().min(4)]) {
            find(b"-->").map(|at| at + 3).filter(|_| pending.len() > 4)
        } else {
            find(b">").map(|at| at + 1)
        };
        self.searched = pending.len();
        end
    }
}

impl Filter for Mask {
    fn pass(&mut self, bytes: &[u8], file: &mut dyn Write) -> io::Result<()> {
        self.pending.extend_from_slice(bytes);
        while !self.pending.is_empty() {
            match self.end() {
                Some(end) => self.token(end, file)?,
                None if self.pending.len() > TOKEN_BYTES_MAX => {
                    self.token(self.pending.len(), file)?;
                }
                None => break,
            }
        }
        Ok(())
    }

    fn finish(&mut self, file: &mut dyn Write) -> io::Result<()> {
        self.token(self.pending.len(), file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(reply: &[u8], hide: bool, at_once: usize) -> String {
        let mut mask = Mask::new(hide.then(Arc::default));
        let mut out = Vec::new();
        for bytes in reply.chunks(at_once) {
            mask.pass(bytes, &mut out).unwrap();
        }
        mask.finish(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn secrets_go_and_the_rest_stays_however_it_comes() {
        let reply = "<rpc-reply xmlns:junos=\"j\">\
             <snmp><community><name>public</name></community></snmp>\
             <a:secret>x y</a:secret><o><![CDATA[password \"z\"]]></o><!-- secret q -->\
             <communities>1:2</communities><empty/>\
             <cert>-----BEGIN X-----\nA\n-----END X-----</cert>\
             <host-name>core-1</host-name><ip>192.0.2.1</ip></rpc-reply>\n";
        let expected = reply
            .replace("public", "masked")
            .replace("x y", "masked")
            .replace("\"z\"", "masked")
            .replace("secret q", "secret masked")
            .replace("-----BEGIN X-----\nA\n-----END X-----", "masked");
        for at_once in [1, 2, 7, 64, 4096] {
            assert_eq!(passed(reply.as_bytes(), false, at_once), expected, "{at_once}");
        }
        let hidden = passed(reply.as_bytes(), true, 5);
        assert!(!hidden.contains("core-1") && !hidden.contains("192.0.2.1"), "{hidden}");
    }

    #[test]
    fn what_is_no_xml_is_passed_on_in_bounded_parts() {
        let mut endless = b"<a".to_vec();
        endless.extend(vec![b'x'; 3 * TOKEN_BYTES_MAX]);
        let mut mask = Mask::new(None);
        let mut out = Vec::new();
        for bytes in endless.chunks(1 << 16) {
            mask.pass(bytes, &mut out).unwrap();
            assert!(mask.pending.len() <= TOKEN_BYTES_MAX + (1 << 16));
        }
        mask.finish(&mut out).unwrap();
        assert_eq!(out, endless);
        for broken in ["", "</a></b>", "<", "<!", "<![CDATA[", "a < b", "\u{fffd}<a>"] {
            assert_eq!(passed(broken.as_bytes(), false, 1).replace("]]>", ""), broken);
        }
    }
}
