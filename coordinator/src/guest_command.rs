//! Commands in guests, as the coordinator sees them.
//!
//! The node of a guest decides what runs there and writes it down; here is who asks:
//! which guest is meant (`target`), what this coordinator does not ask for
//! (`narrow`), what there is to ask (`catalogue`), how a command is run (`call`), what
//! came of it (`outcome`) and what its output says (`interpret`, `facts`), and whether
//! the node's record of it all is still the one that was seen before (`heads`).

pub mod facts;
pub mod heads;
pub mod interpret;
pub mod narrow;
pub mod refusal;
pub mod target;
