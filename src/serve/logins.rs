//! Who may scrape: names, and bcrypt hashes of their passwords.

use std::collections::HashSet;
use std::sync::Mutex;

use crate::base::secret::Secret;
use crate::base::sync::lock;

/// Logins that were checked lately: bcrypt takes its time, on purpose.
const GOOD_MAX: usize = 64;

pub struct Logins {
    /// Without any, everyone is let in.
    users: Vec<(String, Secret)>,
    /// Digests of the headers that were found good.
    good: Mutex<HashSet<[u8; 32]>>,
    /// Held while a password is checked: whoever tries some takes no more than a core, and holds
    /// up nobody whose password is known to be good.
    checking: Mutex<()>,
}

impl Logins {
    pub fn new(users: Vec<(String, Secret)>) -> Logins {
        Logins { users, good: Mutex::default(), checking: Mutex::default() }
    }

    /// Whether this `Authorization` header lets in (RFC 7617).
    pub fn admit(&self, header: Option<&str>) -> bool {
        let Some((_, any_hash)) = self.users.first() else { return true };
        let Some((scheme, encoded)) = header.and_then(|header| header.split_once(' ')) else {
            return false;
        };
        let decoded = openssl::base64::decode_block(encoded.trim()).unwrap_or_default();
        let decoded = String::from_utf8(decoded).unwrap_or_default();
        let Some((name, password)) = decoded.split_once(':') else { return false };
        if !scheme.eq_ignore_ascii_case("basic") {
            return false;
        }
        let digest = openssl::sha::sha256(encoded.as_bytes());
        if lock(&self.good).contains(&digest) {
            return true;
        }
        let _checking = lock(&self.checking);
        // Whoever was checked meanwhile may have had the same.
        if lock(&self.good).contains(&digest) {
            return true;
        }
        let user = self.users.iter().find(|(known, _)| known == name);
        // An unknown name takes as long as a known one.
        let hash = user.map_or(any_hash, |(_, hash)| hash);
        let is_right = bcrypt::verify(password, hash.expose()).unwrap_or(false) && user.is_some();
        if is_right {
            let mut good = lock(&self.good);
            if good.len() >= GOOD_MAX {
                good.clear();
            }
            good.insert(digest);
        }
        is_right
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_good_login_does_not_wait_while_others_are_checked() {
        // "U*U", from the test vectors of crypt_blowfish.
        let hash = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
        let logins = Logins::new(vec![("me".into(), Secret::new(hash))]);
        let header =
            |login: &str| format!("Basic {}", openssl::base64::encode_block(login.as_bytes()));
        let admit = |login: &str| logins.admit(Some(&header(login)));
        assert!(admit("me:U*U") && !admit("me:U*V") && !admit("you:U*U"));
        let checking = lock(&logins.checking);
        std::thread::scope(|scope| {
            let (tell, told) = mpsc::channel();
            scope.spawn(move || tell.send(admit("me:U*U")));
            let admitted = told.recv_timeout(Duration::from_secs(60));
            drop(checking);
            assert_eq!(admitted, Ok(true));
        });
    }
}
