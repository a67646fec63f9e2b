//! What every endpoint of ours is given and what it answers, whoever owns it.

mod call;
mod device;
mod guesses;
mod parameters;
mod return_to;

pub use call::{Answer, Call, Content, Failed, Unreadable, Written};
pub use device::said;
pub use guesses::{Guess, GuessError, GuessLimits, Guesses, Rate};
pub use parameters::{Parameters, Repeated};
pub use return_to::{Places, ReturnTo};
