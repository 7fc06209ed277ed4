//! The workers that bring payments to other hubs.

use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam::channel::{Receiver, Sender, bounded};
use tidegate_disk::Disk;
use tidegate_types::LedgerId;

use super::ServeError;
use super::threads::spawn;
use crate::forward::{Disputed, Hands, Journals, Kept, Worker};
use crate::pipeline::ledger::LedgerWork;
use crate::pipeline::ledger::outgoing::Outgoing;
use crate::pipeline::options::ServeOptions;
use crate::pipeline::queue;
use crate::pipeline::stats::Stats;
use crate::pipeline::work::Group;

/// What the journals of all routes say, and the bells of their workers.
pub(super) struct Routes {
    journals: Journals,
    kept: Arc<Kept>,
    disputed: Arc<Disputed>,
    bells: Vec<(Sender<()>, Receiver<()>)>,
}

impl Routes {
    /// Reads the journals, before anything is told of what waits.
    pub(super) fn open(disk: &Arc<dyn Disk>, options: &ServeOptions, ledger: LedgerId) -> Result<Self, ServeError> {
        let routes = &options.settings.routes;
        let kept = Kept::read(disk, &options.data, (ledger, &options.keys), routes)?;
        let journals = Journals {
            data: options.data.clone(),
            ledger,
            seed: options.keys.identity_seed(),
            own: options.keys.public(),
        };
        Ok(Self {
            journals,
            kept: Arc::new(kept),
            disputed: Arc::default(),
            bells: routes.iter().map(|_| bounded(1)).collect(),
        })
    }

    /// For whoever watches the ledger: the evidence of channels with next hubs, and where to say that nothing more is sent there.
    pub(super) fn outgoing(&self) -> Outgoing {
        Outgoing::new(self.journals.clone(), Arc::clone(&self.disputed))
    }

    pub(super) fn wakes(&self) -> Vec<Sender<()>> {
        self.bells.iter().map(|(bell, _)| bell.clone()).collect()
    }

    /// Starts a worker for each route. They end with the sequencer.
    pub(super) fn start(
        self,
        options: &ServeOptions,
        (groups, to_ledger): (&queue::Sender<Group>, &Sender<LedgerWork>),
        stats: &Arc<Stats>,
    ) -> Result<Vec<JoinHandle<()>>, ServeError> {
        let routes = Arc::new(options.settings.routes.clone());
        let bells = self.bells.into_iter().map(|(_, heard)| heard);
        let workers = bells.enumerate().map(|(index, heard)| {
            let hands = Hands {
                journals: self.journals.clone(),
                margin: options.settings.policy.margin,
                groups: groups.clone(),
                to_ledger: to_ledger.clone(),
                disputed: Arc::clone(&self.disputed),
                stats: Arc::clone(stats),
            };
            let worker = Worker::new(hands, Arc::clone(&routes), Arc::clone(&self.kept), index, heard);
            spawn("route", move || worker.run())
        });
        workers.collect()
    }
}
