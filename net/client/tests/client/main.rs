//! The client library against a hub that is played by the test.

mod conversation;
mod evidence;
mod example;
mod journals;
mod played;
mod splices;
mod wallet;
