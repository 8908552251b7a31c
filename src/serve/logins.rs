//! Who may scrape: names, and bcrypt hashes of their passwords.
//!
//! A check takes the same time for every name, known or not, whatever the cost of its hash. A login
//! that was found good is remembered; one that was not is checked again in full. The door lets one
//! check run at a time.

use std::collections::HashSet;
use std::sync::Mutex;

use zeroize::Zeroizing;

use crate::base::secret::Secret;
use crate::base::sync::lock;

/// How many good logins are remembered: bcrypt is slow on purpose.
const GOOD_MAX: usize = 64;

pub struct Logins {
    /// Without any, everyone is let in.
    users: Vec<(String, Secret)>,
    /// The cost of the most expensive hash: every check takes that long.
    cost: u32,
    /// Goes into each digest, so that a digest that leaks cannot be tried out elsewhere.
    key: [u8; 32],
    /// Digests of the logins that were found good.
    good: Mutex<HashSet<[u8; 32]>>,
}

/// What is known of a login before its password is checked.
#[derive(Debug, PartialEq, Eq)]
pub enum Known {
    /// It is let in.
    Good,
    /// There is none, or it is not a login.
    Bad,
    /// Only `Logins::check` can tell.
    Unchecked,
}

/// `name:password`, in the clear.
type Login = Zeroizing<String>;

impl Logins {
    pub fn new(users: Vec<(String, Secret)>) -> Result<Logins, String> {
        let cost = users.iter().map(|(_, hash)| cost(hash.expose())).max().unwrap_or_default();
        let mut key = [0; 32];
        openssl::rand::rand_bytes(&mut key).map_err(|err| format!("no random bytes: {err}"))?;
        Ok(Logins { users, cost, key, good: Mutex::default() })
    }

    /// What is known of the login in this `Authorization` header (RFC 7617); quick.
    pub fn know(&self, header: Option<&str>) -> Known {
        if self.users.is_empty() {
            return Known::Good;
        }
        match header.and_then(login) {
            None => Known::Bad,
            Some(login) if lock(&self.good).contains(&self.digest(&login)) => Known::Good,
            Some(_) => Known::Unchecked,
        }
    }

    /// Whether this `Authorization` header lets in; takes the time of the dearest hash.
    pub fn check(&self, header: Option<&str>) -> bool {
        self.check_by(header, |password, hash| bcrypt::verify(password, hash))
    }

    /// The same; `verify` is bcrypt, and takes 2^cost rounds.
    fn check_by(
        &self,
        header: Option<&str>,
        verify: impl Fn(&str, &str) -> bcrypt::BcryptResult<bool>,
    ) -> bool {
        match self.know(header) {
            Known::Good => return true,
            Known::Bad => return false,
            Known::Unchecked => {}
        }
        let Some(login) = header.and_then(login) else { return false };
        let Some((name, password)) = login.split_once(':') else { return false };
        // The hash of a name that nobody has is one that no password fits.
        let nobodys = nobodys_hash(self.cost);
        let known = self.users.iter().find(|(known, _)| known == name);
        let hash = known.map_or(&*nobodys, |(_, hash)| hash.expose());
        let is_right = std::hint::black_box(verify(password, hash)).unwrap_or(false);
        // Each cost takes twice the time of the one below: together as long as the dearest.
        for cost in cost(hash)..self.cost {
            _ = std::hint::black_box(verify(password, &nobodys_hash(cost)));
        }
        if is_right {
            let mut good = lock(&self.good);
            if good.len() >= GOOD_MAX {
                good.clear();
            }
            good.insert(self.digest(&login));
        }
        is_right
    }

    fn digest(&self, login: &Login) -> [u8; 32] {
        let mut hash = openssl::sha::Sha256::new();
        hash.update(&self.key);
        hash.update(login.as_bytes());
        hash.finish()
    }
}

/// `name:password` of a header with the scheme Basic.
fn login(header: &str) -> Option<Login> {
    let (scheme, encoded) = header.split_once(' ')?;
    let decoded = openssl::base64::decode_block(encoded.trim()).ok()?;
    let login = Zeroizing::new(String::from_utf8(decoded).ok()?);
    (scheme.eq_ignore_ascii_case("basic") && login.contains(':')).then_some(login)
}

/// The cost that a hash such as `$2b$12$…` names: bcrypt does 2^cost rounds.
fn cost(hash: &str) -> u32 {
    hash.get(4..6).and_then(|cost| cost.parse().ok()).unwrap_or_default()
}

/// A hash of this cost that is nobody's: checking it only takes the time.
fn nobodys_hash(cost: u32) -> String {
    format!("$2b${cost:02}${}", ".".repeat(53))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn header(login: &str) -> String {
        format!("Basic {}", openssl::base64::encode_block(login.as_bytes()))
    }

    /// "U*U", from the test vectors of crypt_blowfish.
    const HASH: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

    #[test]
    fn a_login_that_was_good_is_known() {
        let logins = Logins::new(vec![("me".into(), Secret::new(HASH))]).unwrap();
        let good = header("me:U*U");
        assert_eq!(logins.know(Some(&good)), Known::Unchecked);
        assert!(logins.check(Some(&good)) && logins.check(Some(&good)));
        assert_eq!(logins.know(Some(&good)), Known::Good);
        for wrong in ["me:U*V", "you:U*U", "me:", ":U*U"] {
            let wrong = header(wrong);
            assert!(!logins.check(Some(&wrong)), "{wrong}");
            assert_eq!(logins.know(Some(&wrong)), Known::Unchecked, "{wrong}");
        }
        for none in [None, Some("Basic"), Some("Basic !"), Some("Bearer bWU6VSpV")] {
            assert_eq!(logins.know(none), Known::Bad, "{none:?}");
            assert!(!logins.check(none), "{none:?}");
        }
        assert_eq!(Logins::new(Vec::new()).unwrap().know(None), Known::Good);
    }

    /// The rounds of bcrypt are counted, and not the time that they take on a busy machine.
    #[test]
    fn a_check_takes_as_much_work_for_every_name() {
        let hash = |cost: u32| Secret::new(bcrypt::hash("right", cost).unwrap());
        let users = vec![("cheap".into(), hash(4)), ("dear".into(), hash(7))];
        let work = |login: &str| {
            let logins = Logins::new(users.clone()).unwrap();
            let rounds = Cell::new(0);
            let is_right = logins.check_by(Some(&header(login)), |password, hash| {
                // It is no work to refuse a hash, or a password, that bcrypt cannot have.
                let verified = bcrypt::verify(password, hash);
                rounds.set(rounds.get() + verified.as_ref().map_or(0, |_| 1u64 << cost(hash)));
                verified
            });
            assert_eq!(is_right, login.ends_with(":right"), "{login}");
            rounds.get()
        };
        let long = format!("nobody:{}", "x".repeat(100));
        let logins =
            ["cheap:x", "cheap:right", "dear:x", "dear:right", "nobody:x", ":x", "nobody:", &long];
        assert_eq!(logins.map(work), [1 << 7; 8]);
    }
}
