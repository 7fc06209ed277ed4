//! A link between two parties, cut open: counts the frames that pass, and lets something happen at one of them.
//!
//! Frames are encrypted; their lengths are not, so they can be told apart without any key.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Which way a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From whoever connects.
    Up = 0,
    /// From the hub.
    Down = 1,
}

/// What happens when a frame passes, before it does.
struct Trap {
    way: Way,
    frame: u64,
    /// The frame, and all behind it, is lost.
    is_lost: bool,
    spring: Box<dyn FnOnce() + Send>,
}

#[derive(Default)]
struct Shared {
    counts: [AtomicU64; 2],
    trap: Mutex<Option<Trap>>,
}

/// One link.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Leads to a hub's port.
    pub(crate) fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let shared = Arc::<Shared>::default();
        let own = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&own);
                let hub = SocketAddr::from(([127, 0, 0, 1], target));
                // Nobody there: the client's connection is closed, as the hub's own port would have done.
                let Ok(hub) = TcpStream::connect(hub) else { continue };
                join(&client, &hub, &shared);
            }
        });
        Self { port, shared }
    }

    /// Frames that have passed each way since the last call.
    pub(crate) fn take_counts(&self) -> [u64; 2] {
        [0, 1].map(|way| self.shared.counts[way].swap(0, Ordering::SeqCst))
    }

    /// Counts from zero.
    pub(crate) fn forget(&self) {
        let _counted = self.take_counts();
    }

    /// Counts from zero, and lets `spring` happen at one frame, which is delivered after that, or lost with its connection.
    pub(crate) fn arm(&self, (way, frame, is_lost): (Way, u64, bool), spring: impl FnOnce() + Send + 'static) {
        self.forget();
        *self.shared.trap.lock().expect("no panic") = Some(Trap {
            way,
            frame,
            is_lost,
            spring: Box::new(spring),
        });
    }

    /// True if no trap is set any more.
    pub(crate) fn is_sprung(&self) -> bool {
        self.shared.trap.lock().expect("no panic").is_none()
    }

    /// True if the trap was never sprung.
    pub(crate) fn disarm(&self) -> bool {
        self.shared.trap.lock().expect("no panic").take().is_some()
    }
}

fn join(client: &TcpStream, hub: &TcpStream, shared: &Arc<Shared>) {
    for (from, to, way) in [(client, hub, Way::Up), (hub, client, Way::Down)] {
        let (from, to) = (from.try_clone().expect("a socket"), to.try_clone().expect("a socket"));
        let shared = Arc::clone(shared);
        let _nodelay = to.set_nodelay(true);
        std::thread::spawn(move || {
            pass(&from, &to, way, &shared);
            // Either end's close is the other's.
            let _gone = (from.shutdown(Shutdown::Read), to.shutdown(Shutdown::Write));
        });
    }
}

fn pass(mut from: &TcpStream, mut to: &TcpStream, way: Way, shared: &Shared) {
    let mut frame = Vec::new();
    loop {
        let mut length = [0; 2];
        if from.read_exact(&mut length).is_err() {
            return;
        }
        frame.clear();
        frame.extend_from_slice(&length);
        frame.resize(2 + usize::from(u16::from_le_bytes(length)), 0);
        if from.read_exact(&mut frame[2..]).is_err() {
            return;
        }
        let number = shared.counts[way as usize].fetch_add(1, Ordering::SeqCst);
        let sprung = {
            let mut trap = shared.trap.lock().expect("no panic");
            match &*trap {
                Some(set) if set.way == way && set.frame == number => trap.take(),
                _ => None,
            }
        };
        if let Some(trap) = sprung {
            (trap.spring)();
            if trap.is_lost {
                let _gone = (to.shutdown(Shutdown::Both), from.shutdown(Shutdown::Both));
                return;
            }
        }
        if to.write_all(&frame).is_err() {
            return;
        }
    }
}
