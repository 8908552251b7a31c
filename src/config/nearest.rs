//! Names in errors: the one that was probably meant, and which may be shown.

/// How a message about an unknown name goes on: with the known one that was probably meant.
pub fn or_nearest(name: &str, known: &[&str]) -> String {
    nearest(name, known).map_or(".".into(), |near| format!(", did you mean `{near}`?"))
}

/// The name that differs from `name` by the fewest letters, if they are few.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let best = known.iter().map(|known| (distance(name, known), *known)).min()?;
    (best.0 <= 1 + name.len() / 3).then_some(best.1)
}

/// One of the other names, if it differs by a letter at the most and no known one is as near.
pub fn nearer<'a>(name: &str, known: &[&str], others: &[&'a str]) -> Option<&'a str> {
    let best = others.iter().map(|other| (distance(name, other), *other)).min()?;
    let is_nearest = known.iter().all(|known| distance(name, known) > best.0);
    (best.0 <= 1 && is_nearest).then_some(best.1)
}

/// How many letters have to be replaced, added, left out or swapped with the next one.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    // The row before last, the last one, and the one that is made.
    let mut rows = [vec![usize::MAX; b.len() + 1], (0..=b.len()).collect(), vec![0; b.len() + 1]];
    for i in 1..=a.len() {
        rows[2][0] = i;
        for j in 1..=b.len() {
            let replaced = rows[1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            rows[2][j] = replaced.min(rows[1][j] + 1).min(rows[2][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                rows[2][j] = rows[2][j].min(rows[0][j - 2] + 1);
            }
        }
        rows.rotate_left(1);
    }
    rows[1][b.len()]
}

/// Whether a word could be a key. Another one is not shown: where the file is none of ours, or a
/// value stands in the place of its key, it may be a secret.
pub fn may_be_shown(key: &str) -> bool {
    const KEY_BYTES_MAX: usize = 48;
    let of_a_key = |c: char| !c.is_ascii_uppercase() && !c.is_control();
    key.len() <= KEY_BYTES_MAX && key.chars().all(of_a_key)
}
