//! A reply's XML: `numbers` reads numbers as devices print them, `items` cuts a reply into items
//! while it arrives, `element` is serde's view of one item, `shapes` are the values that many
//! replies share, `misfits` counts those that do not fit.

pub mod numbers;
pub mod misfits;
pub mod items;
pub mod element;
pub mod shapes;
