//! A reply's XML: `items` cuts it into items while it arrives, `element` is serde's view of one
//! item, `shapes` are the values that many replies share.

pub mod items;
pub mod element;
pub mod shapes;
