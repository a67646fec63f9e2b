//! What the gateway's own endpoints share: the call, the answer, the visitor's origin, `return_to`, the device of a
//! login, and the counts that limits need.

mod call;
mod counts;
mod device;
mod fields;
mod guesses;
mod origins;
mod parameters;
mod repeated;
mod return_to;
mod spelling;

pub use crate::received::is_invisible;
pub use crate::respond::with_return_to;
pub use call::{BodyFormat, Call, EndpointAnswer, Failed, Unreadable};
pub use counts::{CountError, Counts, Rate};
pub use device::app_device_id;
pub use fields::Fields;
pub use guesses::{Guess, GuessLimits, Guesses};
pub use origins::{LoginPlace, OriginSettings, Origins, VisitorOrigin};
pub use parameters::{Parameters, Repeated};
pub use return_to::{LONGEST_IN_COOKIE, LONGEST_RETURN_TO, ReturnTo, ReturnToSettings, without_query};
