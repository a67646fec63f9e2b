//! What every endpoint of ours is given and what it answers, whoever owns it.

mod call;
mod counts;
mod device;
mod guesses;
mod parameters;
mod return_to;

pub use call::{Answer, Call, Failed, Unreadable, Written};
pub use counts::{CountError, Counts, Rate};
pub use device::said;
pub use guesses::{Guess, GuessLimits, Guesses};
pub use parameters::{Parameters, Repeated};
pub use return_to::{Places, ReturnTo};
