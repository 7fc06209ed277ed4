//! How a program that serves is told to end.

use std::io::Write as _;
use std::thread;

use signal_hook::iterator::Signals;

use crate::error::Error;

/// The first signal ends it in order, after it has said so in these words; a second does not wait.
pub(super) fn end_on_signal(
    mut signals: Signals,
    stop: impl Fn() + Send + 'static,
    says: Option<&'static str>,
) -> Result<(), Error> {
    let watch = move || {
        let mut received = signals.forever();
        if received.next().is_some() {
            says.into_iter().for_each(say);
            stop();
        }
        if received.next().is_some() {
            say("stopped at once; the next start replays the log");
            std::process::exit(1);
        }
    };
    spawn("signals", watch)
}

/// A line on standard error, if anybody reads it: whoever does not must not end what serves, or keep it from ending.
pub(super) fn say(text: &str) {
    let _unread = writeln!(std::io::stderr(), "{text}");
}

/// Ends it with the program that started it.
pub(super) fn end_with_stdin(stop: impl Fn() + Send + 'static) -> Result<(), Error> {
    spawn("stdin", move || {
        // Nothing is ever sent; reading ends when the other side does, in whatever way.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        stop();
    })
}

fn spawn(name: &'static str, body: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    let started = thread::Builder::new().name(name.into()).spawn(body);
    started.map(drop).map_err(|source| Error::Io {
        action: "start",
        path: format!("the thread that waits for {name}").into(),
        source,
    })
}
