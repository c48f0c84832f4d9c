//! The machine's network interfaces: which there are, which of them are meant, and word when that may have changed.
//!
//! What [`list`] reads is the truth. [`LinkWatch`] only says when to read again, so that an event that was lost costs time and
//! nothing else. An interface is its index; its name may change. Whether and how an interface is covered may not enter.

mod choice;
mod default_route;
mod link;
mod pattern;
mod watch;

pub use self::choice::Chosen;
pub use self::default_route::with_default_route;
pub use self::link::{Interface, list};
pub use self::pattern::{InvalidPattern, Pattern};
pub use self::watch::{LinkWatch, SPACING};
