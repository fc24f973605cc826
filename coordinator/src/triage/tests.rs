//! The page holds its limits whatever it is given.
