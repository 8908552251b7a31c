//! Which of several processes polls a router: each takes its own part of one fleet, without a word
//! between them.
//!
//! Every process gives a router the same place by rendezvous hashing: the router belongs to the
//! shard whose number, hashed with the router's name, gives the largest value. So one more shard
//! takes its part from all others, and nothing moves between those.

use std::str::FromStr;

use openssl::sha::sha256;

pub const SHARDS_MAX: u32 = 1000;

/// One of `of` shards, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    pub number: u32,
    pub of: u32,
}

/// `2/5`, or a StatefulSet's pod and the number of its replicas: `perijove-1/5`, where pods are
/// counted from 0.
impl FromStr for Shard {
    type Err = String;
    fn from_str(text: &str) -> Result<Shard, String> {
        let wrong = || {
            format!(
                "`{}` is not a shard such as 2/5, or perijove-1/5 for the second pod of a \
                 StatefulSet; there are at most {SHARDS_MAX}",
                crate::base::text::first_line(text)
            )
        };
        let (number, of) = text.trim().split_once('/').ok_or_else(wrong)?;
        let (number, first) = match number.rsplit_once('-') {
            Some((_, ordinal)) => (ordinal, 0),
            None => (number, 1),
        };
        let digits = |text: &str| text.parse::<u32>().map_err(|_| wrong());
        let (number, of) = (digits(number)?, digits(of)?);
        let is_one = of <= SHARDS_MAX && (first..of + first).contains(&number);
        is_one.then_some(Shard { number: number + 1 - first, of }).ok_or_else(wrong)
    }
}

impl Shard {
    /// Whether the router of that name belongs to it.
    pub fn has(&self, router: &str) -> bool {
        shard(router, self.of) == self.number
    }
}

/// The shard of so many that a router belongs to. Other versions of perijove must find the same.
fn shard(router: &str, of: u32) -> u32 {
    let weight = |number: &u32| sha256(format!("{number} {router}").as_bytes());
    (1..=of).max_by_key(weight).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> impl Iterator<Item = String> {
        (0..3000).map(|number| format!("mx{number}.pop{}.example.net", number % 37))
    }

    #[test]
    fn every_router_is_in_exactly_one_shard_and_they_are_of_like_size() {
        for of in 1..=20 {
            let mut sizes = vec![0; of as usize];
            for name in names() {
                let ours = (1..=of).filter(|number| Shard { number: *number, of }.has(&name));
                let ours: Vec<u32> = ours.collect();
                assert_eq!(ours.len(), 1, "{name} of {of}: {ours:?}");
                sizes[ours[0] as usize - 1] += 1;
            }
            let fair = 3000 / of;
            let is_fair = |size: &u32| (fair * 7 / 10..=fair * 13 / 10 + 1).contains(size);
            assert!(sizes.iter().all(is_fair), "{of}: {sizes:?}");
        }
    }

    #[test]
    fn one_more_shard_takes_its_part_and_nothing_else_moves() {
        for of in 1..20 {
            let moved = names().filter(|name| shard(name, of) != shard(name, of + 1));
            let moved: Vec<String> = moved.collect();
            assert!(moved.iter().all(|name| shard(name, of + 1) == of + 1), "{of}");
            let part = 3000 / (of as usize + 1);
            let like = part * 8 / 10..=part * 12 / 10;
            assert!(like.contains(&moved.len()), "{of}: {} and not {part}", moved.len());
        }
    }

    /// Processes of several versions share a fleet.
    #[test]
    fn a_router_s_shard_stays_the_same_for_ever() {
        let shards: Vec<u32> = (0..12).map(|n| shard(&format!("mx{n}"), 5)).collect();
        // As sha256sum of `1 mx0` to `5 mx0` has it, and so on.
        assert_eq!(shards, [2, 2, 5, 4, 5, 1, 4, 3, 5, 4, 1, 3]);
    }

    #[test]
    fn shards_are_written_from_one_and_pods_count_from_zero() {
        for (text, number, of) in [
            ("1/1", 1, 1),
            ("2/5", 2, 5),
            (" 5/5\n", 5, 5),
            ("perijove-0/5", 1, 5),
            ("my-fleet-4/5", 5, 5),
            ("1000/1000", 1000, 1000),
        ] {
            assert_eq!(text.parse(), Ok(Shard { number, of }), "{text}");
        }
        for text in
            ["", "2", "0/5", "6/5", "perijove-5/5", "-1/5x", "a/5", "2/0", "2/1001", "/", "1/-5"]
        {
            let said = text.parse::<Shard>().unwrap_err();
            assert!(said.contains("is not a shard such as 2/5"), "{text}: {said}");
        }
    }
}
