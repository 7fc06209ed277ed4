//! The channels' entries in versions: what other threads may read of the state while batches go on.
//!
//! The engine lists the entries that a batch changes; whoever makes batches durable writes them as versions of that batch and
//! publishes it ([`crate::versions`]). A channel has a place from the batch that first names it on (`engine/channels`); one that
//! sleeps has none, and nothing to say that does not follow from its terms.

use tidegate_channel::ChannelEntry;

use crate::executed::Changes;
use crate::versions::{Reader, ReadersFull, Snapshot, Writer};

/// The words of an entry that are not always zero.
pub(crate) const WORDS: usize = 28;

/// Shows batches to the readers, once they are durable. Made by [`crate::Engine::publish_entries`].
#[derive(Debug)]
pub struct EntryPublisher(Writer<WORDS>);

/// Reads entries as of published batches, from any thread.
#[derive(Clone, Debug)]
pub struct EntryReader(Reader<WORDS>);

/// All entries as one batch left them.
#[derive(Debug)]
pub struct EntrySnapshot(Snapshot<WORDS>);

const _: () = assert!(
    WORDS * 8 == ChannelEntry::LEN - 32,
    "the last 32 bytes of an entry are reserved"
);

pub(crate) fn words(entry: &ChannelEntry) -> [u64; WORDS] {
    let all: &[u64; ChannelEntry::LEN / 8] = bytemuck::cast_ref(entry);
    *all.first_chunk().expect("an entry has more words")
}

pub(crate) fn entry(words: &[u64; WORDS]) -> ChannelEntry {
    let mut all = [0_u64; ChannelEntry::LEN / 8];
    all[..WORDS].copy_from_slice(words);
    bytemuck::cast(all)
}

impl EntryPublisher {
    /// The entries of all channels that are awake, each with its place, as `batch` left them.
    pub(crate) fn of(batch: u64, entries: impl Iterator<Item = (u32, ChannelEntry)>) -> Self {
        let mut writer = Writer::default();
        if batch > 0 {
            writer.begin(batch);
            entries.for_each(|(place, entry)| writer.write(place, &words(&entry)));
            writer.publish(batch);
        }
        Self(writer)
    }

    /// A way to read, for any number of threads.
    #[must_use]
    pub fn reader(&self) -> EntryReader {
        EntryReader(self.0.reader())
    }

    /// A batch is durable: from now on readers get the state after it. `changes` are what the engine listed in it. Batches come
    /// in their order.
    ///
    /// # Panics
    /// If they do not.
    pub fn publish(&mut self, batch: u64, changes: &Changes) {
        self.0.begin(batch);
        for (place, entry) in changes.placed() {
            self.0.write(place, &words(entry));
        }
        self.0.publish(batch);
    }
}

impl EntryReader {
    /// The entries after the newest published batch. Waits for nobody, and nobody waits for it.
    ///
    /// # Errors
    /// [`ReadersFull`].
    pub fn snapshot(&self) -> Result<EntrySnapshot, ReadersFull> {
        self.0.snapshot().map(EntrySnapshot)
    }
}

impl EntrySnapshot {
    /// The batch; zero before the first.
    #[must_use]
    pub const fn batch(&self) -> u64 {
        self.0.batch()
    }

    /// The entry of the channel in this place; `None` beyond the last channel that a batch has named.
    #[must_use]
    pub fn entry(&self, place: u32) -> Option<ChannelEntry> {
        self.0.read(place).as_ref().map(entry)
    }

    /// All entries, in the order in which their channels were first named.
    pub fn entries(&self) -> impl Iterator<Item = ChannelEntry> {
        (0..).map_while(|place| self.entry(place))
    }
}
