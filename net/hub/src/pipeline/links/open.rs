//! What is opened before links can be looked after: what was kept of other hubs, and the thread that keeps it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use tidegate_disk::RealDisk;
use tidegate_session::ServerConfig;

use super::{Heard, Keeper, Links, load};
use crate::pipeline::ServeOptions;

/// How often links are looked after; without links the reactor does not tick.
pub(crate) const LINK_TICK_MILLIS: u64 = 1_000;

/// Links, and what goes with them to other threads.
pub(crate) struct OpenLinks {
    /// For the reactor's thread.
    pub(crate) links: Links,
    /// Where other threads tell of batches and see the links.
    pub(crate) heard: Arc<Heard>,
    /// The thread that keeps what is known; it ends with `links`.
    pub(crate) keeping: JoinHandle<()>,
}

/// Opens the links that the options ask for; `None` if they ask for none.
///
/// # Errors
/// If there is no thread to be had, or the system gives no random bytes.
pub(crate) fn open_links(
    options: &ServeOptions,
    listen: SocketAddr,
    session: Arc<ServerConfig>,
) -> io::Result<Option<OpenLinks>> {
    let Some(settings) = options.settings.links.clone() else {
        return Ok(None);
    };
    let kept = load(&options.data, random()?);
    let (keeper, keeping) = Keeper::start(Arc::new(RealDisk), &options.data)?;
    let heard = Arc::<Heard>::default();
    let links = Links::new(
        settings,
        listen.port(),
        session,
        random()?,
        Arc::clone(&heard),
        (kept, keeper),
    );
    Ok(Some(OpenLinks { links, heard, keeping }))
}

fn random() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}
