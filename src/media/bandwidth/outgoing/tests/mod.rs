//! The estimator on links in virtual time: for each kind of link, how fast it finds the rate, and what it costs to find it.

mod hostile;
mod inputs;
mod layered;
mod link;
mod measure;
mod others;
mod rows;
mod table;
mod tcp;
mod world;
