//! Places boxes in layers from left to right, who asks before who is asked. Pure.
//!
//! Sugiyama's method: break cycles, give each box a layer, order each layer by its neighbours. The
//! time that it takes grows with the number of edges and boxes.

use std::collections::BTreeSet;

/// A box's width and height, in pixels.
pub type Size = (f64, f64);

/// Where each box begins, and how much room all take.
#[derive(Debug, Default, PartialEq)]
pub struct Layout {
    pub places: Vec<(f64, f64)>,
    pub width: f64,
    pub height: f64,
}

const MARGIN: f64 = 16.0;
const GAP_Y: f64 = 16.0;
/// Between two layers, and between the columns of one.
const LAYER_GAP: f64 = 140.0;
const COLUMN_GAP: f64 = 24.0;
/// A layer that is higher gets more columns.
const COLUMN_HEIGHT_MIN: f64 = 640.0;
const SWEEPS: usize = 8;

/// `edges` are pairs of numbers of boxes.
pub fn layout(boxes: &[Size], edges: &BTreeSet<(usize, usize)>) -> Layout {
    let forward = without_cycles(boxes.len(), edges);
    let mut layers = ordered(layers(boxes.len(), &forward), &forward);
    layers.retain(|layer| !layer.is_empty());
    let area: f64 = boxes.iter().map(|(width, height)| (width + LAYER_GAP) * height).sum();
    let height_max = COLUMN_HEIGHT_MIN.max((area * 0.6).sqrt());
    let columns: Vec<(Vec<usize>, bool)> =
        layers.iter().flat_map(|layer| columns(layer, boxes, height_max)).collect();
    let height_of = |column: &[usize]| -> f64 {
        column.iter().map(|at| boxes[*at].1 + GAP_Y).sum::<f64>() - GAP_Y
    };
    let highest = columns.iter().map(|(column, _)| height_of(column)).fold(0.0, f64::max);
    let mut made = Layout { places: vec![(0.0, 0.0); boxes.len()], ..Layout::default() };
    let mut x = MARGIN;
    for (column, ends_layer) in &columns {
        let mut y = MARGIN + (highest - height_of(column)) / 2.0;
        for at in column {
            made.places[*at] = (x, y);
            y += boxes[*at].1 + GAP_Y;
        }
        x += column.iter().map(|at| boxes[*at].0).fold(0.0, f64::max);
        made.width = x + MARGIN;
        x += if *ends_layer { LAYER_GAP } else { COLUMN_GAP };
    }
    made.height = highest + 2.0 * MARGIN;
    made
}

/// Edges without loops, and with those turned round that end in a box from which they are reached.
fn without_cycles(number: usize, edges: &BTreeSet<(usize, usize)>) -> BTreeSet<(usize, usize)> {
    #[derive(Clone, Copy, PartialEq)]
    enum Visit {
        Not,
        On,
        Done,
    }
    let next = neighbours(number, edges.iter().copied());
    let mut asked = vec![0usize; number];
    edges.iter().for_each(|(_, to)| asked[*to] += 1);
    // Who is asked by the fewest begins.
    let mut order: Vec<usize> = (0..number).collect();
    order.sort_by_key(|at| (asked[*at], *at));
    let mut visits = vec![Visit::Not; number];
    let mut found = BTreeSet::new();
    for start in order {
        if visits[start] != Visit::Not {
            continue;
        }
        visits[start] = Visit::On;
        let mut path = vec![(start, 0)];
        while let Some((at, child)) = path.last_mut() {
            let at = *at;
            let Some(to) = next[at].get(*child).copied() else {
                visits[at] = Visit::Done;
                path.pop();
                continue;
            };
            *child += 1;
            match visits[to] {
                Visit::On if to == at => {}
                Visit::On => drop(found.insert((to, at))),
                Visit::Done => drop(found.insert((at, to))),
                Visit::Not => {
                    found.insert((at, to));
                    visits[to] = Visit::On;
                    path.push((to, 0));
                }
            }
        }
    }
    found
}

fn neighbours(number: usize, edges: impl Iterator<Item = (usize, usize)>) -> Vec<Vec<usize>> {
    let mut next = vec![Vec::new(); number];
    edges.for_each(|(from, to)| next[from].push(to));
    next
}

/// Each box one layer behind the last that asks it, and those that nobody asks right before the
/// first that they ask. Boxes without edges have a layer of their own at the end.
fn layers(number: usize, edges: &BTreeSet<(usize, usize)>) -> Vec<Vec<usize>> {
    let next = neighbours(number, edges.iter().copied());
    let mut waits = vec![0usize; number];
    edges.iter().for_each(|(_, to)| waits[*to] += 1);
    let is_asked: Vec<bool> = waits.iter().map(|count| *count > 0).collect();
    let mut free: Vec<usize> = (0..number).filter(|at| waits[*at] == 0).collect();
    let mut layer = vec![0usize; number];
    while let Some(at) = free.pop() {
        for to in &next[at] {
            layer[*to] = layer[*to].max(layer[at] + 1);
            waits[*to] -= 1;
            if waits[*to] == 0 {
                free.push(*to);
            }
        }
    }
    let last = layer.iter().max().map_or(0, |last| last + 1);
    for at in 0..number {
        match next[at].iter().map(|to| layer[*to]).min() {
            Some(first) if !is_asked[at] => layer[at] = first - 1,
            None if !is_asked[at] => layer[at] = last,
            _ => {}
        }
    }
    let mut layers = vec![Vec::new(); last + 1];
    (0..number).for_each(|at| layers[layer[at]].push(at));
    layers
}

/// Moves boxes of each layer towards the middle of their neighbours, back and forth.
fn ordered(mut layers: Vec<Vec<usize>>, edges: &BTreeSet<(usize, usize)>) -> Vec<Vec<usize>> {
    let number = layers.iter().map(Vec::len).sum();
    let both = edges.iter().flat_map(|(from, to)| [(*from, *to), (*to, *from)]);
    let next = neighbours(number, both);
    let mut place = vec![0.0; number];
    let set = |layer: &[usize], place: &mut Vec<f64>| {
        for (index, at) in layer.iter().enumerate() {
            place[*at] = (index as f64 + 0.5) / layer.len() as f64;
        }
    };
    layers.iter().for_each(|layer| set(layer, &mut place));
    for sweep in 0..SWEEPS {
        let count = layers.len();
        for index in 0..count {
            let layer = &mut layers[if sweep % 2 == 0 { index } else { count - 1 - index }];
            let middle = |at: usize| match next[at].len() {
                0 => place[at],
                count => next[at].iter().map(|to| place[*to]).sum::<f64>() / count as f64,
            };
            let middles: Vec<f64> = layer.iter().map(|at| middle(*at)).collect();
            let mut order: Vec<usize> = (0..layer.len()).collect();
            order.sort_by(|a, b| middles[*a].total_cmp(&middles[*b]));
            *layer = order.iter().map(|at| layer[*at]).collect();
            set(layer, &mut place);
        }
    }
    layers
}

/// A layer in columns that are not too high, and whether each is its last.
fn columns(layer: &[usize], boxes: &[Size], height_max: f64) -> Vec<(Vec<usize>, bool)> {
    let mut columns: Vec<Vec<usize>> = Vec::new();
    let mut height = f64::MAX;
    for at in layer {
        if height + boxes[*at].1 > height_max {
            columns.push(Vec::new());
            height = 0.0;
        }
        height += boxes[*at].1 + GAP_Y;
        if let Some(column) = columns.last_mut() {
            column.push(*at);
        }
    }
    let last = columns.len().saturating_sub(1);
    columns.into_iter().enumerate().map(|(index, column)| (column, index == last)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn x(layout: &Layout) -> Vec<f64> {
        layout.places.iter().map(|(x, _)| *x).collect()
    }

    fn overlaps(boxes: &[Size], layout: &Layout) -> Option<(usize, usize)> {
        let inside = |a: usize, b: usize| {
            let ((ax, ay), (bx, by)) = (layout.places[a], layout.places[b]);
            ax < bx + boxes[b].0
                && bx < ax + boxes[a].0
                && ay < by + boxes[b].1
                && by < ay + boxes[a].1
        };
        let pairs = (0..boxes.len()).flat_map(|a| (0..a).map(move |b| (a, b)));
        pairs.into_iter().find(|(a, b)| inside(*a, *b))
    }

    #[test]
    fn who_asks_stands_before_who_is_asked() {
        let boxes = [(100.0, 40.0); 5];
        // A chain, one that joins it late, and one alone.
        let made = layout(&boxes, &[(0, 1), (1, 2), (3, 2)].into());
        let x = x(&made);
        assert!(x[0] < x[1] && x[1] < x[2] && x[3] == x[1] && x[4] > x[2], "{x:?}");
        assert_eq!(overlaps(&boxes, &made), None);
        assert_eq!(layout(&[], &BTreeSet::new()).places, []);
    }

    #[test]
    fn cycles_and_loops_have_places_too() {
        let boxes = [(100.0, 40.0); 4];
        let made = layout(&boxes, &[(0, 1), (1, 2), (2, 0), (3, 3), (1, 0)].into());
        let x = x(&made);
        // Two ask the first box, and it stands behind them.
        assert!(x[1] < x[2] && x[2] < x[0], "{x:?}");
        assert_eq!(overlaps(&boxes, &made), None);
    }

    /// Two pairs that cross if the second layer keeps the order of numbers.
    #[test]
    fn layers_are_ordered_by_their_neighbours() {
        let boxes = [(100.0, 40.0); 4];
        let made = layout(&boxes, &[(0, 3), (1, 2)].into());
        let y: Vec<f64> = made.places.iter().map(|(_, y)| *y).collect();
        assert_eq!(y[0] < y[1], y[3] < y[2], "{y:?}");
    }

    #[test]
    fn five_hundred_boxes_lie_side_by_side_and_none_overlaps() {
        let boxes: Vec<Size> = (0..500)
            .map(|n| (120.0 + f64::from(n % 7) * 20.0, 30.0 + f64::from(n % 11) * 10.0))
            .collect();
        let edges = (0..500usize).flat_map(|n| [(n, (n * 7 + 3) % 500), (n, (n * n + 1) % 500)]);
        let made = layout(&boxes, &edges.collect());
        assert_eq!(overlaps(&boxes, &made), None);
        assert!(made.width / made.height < 30.0 && made.height < 20_000.0, "{made:?}");
        // All on one, and a chain: neither is endless in one direction.
        let star = layout(&boxes, &(1..500).map(|n| (n, 0)).collect());
        assert!(star.height < 3.0 * star.width, "{} {}", star.width, star.height);
        let chain = layout(&boxes, &(1..500).map(|n| (n - 1, n)).collect());
        assert_eq!(overlaps(&boxes, &chain), None);
    }
}
