//! The channels' entries in versions: what other threads may read of the state while batches go on.
//!
//! The engine writes the entries that a batch changes as versions of that batch ([`crate::versions`]); whoever makes batches
//! durable publishes them. A channel has a place from the batch that first names it on (`engine/channels`); one that sleeps
//! has none, and nothing to say that does not follow from its terms.

use tidegate_channel::ChannelEntry;

use crate::versions::{Publisher, Reader, ReadersFull, Snapshot, Writer};

/// The words of an entry that are not always zero.
const WORDS: usize = 28;

pub(crate) type EntryWriter = Writer<WORDS>;

/// Shows batches to the readers, once they are durable.
pub type EntryPublisher = Publisher<WORDS>;

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

fn entry(words: &[u64; WORDS]) -> ChannelEntry {
    let mut all = [0_u64; ChannelEntry::LEN / 8];
    all[..WORDS].copy_from_slice(words);
    bytemuck::cast(all)
}

impl EntryReader {
    pub(crate) fn of(writer: &EntryWriter) -> Self {
        Self(writer.reader())
    }

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
