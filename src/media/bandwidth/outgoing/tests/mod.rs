//! The estimator on links in virtual time: for each kind of link, how fast it finds the rate, and how much it loses on the way.

mod link;
mod rows;
mod tcp;
mod world;
