//! Our server: the reactor with a handler that sends back what came.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;

use tidegate_reactor::{CloseReason, Config, ConnId, Handler, Outbox, Reactor};
use tidegate_session::PublicKey;
use tidegate_wire::frame::Header;

use super::load::{self, Load, LoadError, Outcome};

struct Echo;

impl Handler for Echo {
    fn on_ready(&mut self, _: ConnId, _: &PublicKey, _: &mut Outbox<'_>) {}

    fn on_message(&mut self, conn: ConnId, header: Header, body: &[u8], out: &mut Outbox<'_>) {
        // Whoever is gone gets nothing.
        let _gone = out.message(conn, header.kind, header.request, |to| to.extend_from_slice(body));
    }

    fn on_closed(&mut self, _: ConnId, _: &CloseReason, _: &mut Outbox<'_>) {}
}

pub(super) fn run(load: &Load) -> Result<Outcome, LoadError> {
    let mut reactor = Reactor::new(Config::default())?;
    let (config, _) = load::configs();
    let address = reactor.listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), config)?;
    let stop = reactor.sender();
    let (named, name) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let _gone = named.send(load::this_thread());
        reactor.run(&mut Echo)
    });
    let server = name.recv().map_err(|_| LoadError::Panicked)?;
    let outcome = load::run(load, address, || load::thread_cpu_s(&server));
    // One that has ended by itself is told of below.
    let _ended = stop.stop(0);
    thread.join().map_err(|_| LoadError::Panicked)??;
    outcome
}
