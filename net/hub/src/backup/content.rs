//! From the units of a sealed file to what they mean.

use std::path::Path;

use serde::de::DeserializeOwned;
use tidegate_disk::{Disk, Lsn};
use tidegate_table::{PAGE_BYTES, SealedItem, SealedReader};

use super::{
    About, BackupError, End, FORMAT, FORMAT_OF_ROUTES, PART_ABOUT, PART_CONFIG, PART_END, PART_GENESIS, PART_LEDGER,
    PART_LOG, PART_ROUTES, region_part, routes,
};
use crate::check::{OnStep, Step};

/// Takes what a backup holds, in its order.
pub(super) trait Taker {
    /// Of what it is.
    fn about(&mut self, about: &About) -> Result<(), BackupError>;
    /// The genesis, whole.
    fn genesis(&mut self, bytes: &[u8]) -> Result<(), BackupError>;
    /// The configuration; empty if there was none.
    fn config(&mut self, bytes: &[u8]) -> Result<(), BackupError>;
    /// Whole pages of a table.
    fn pages(&mut self, region: usize, first: usize, bytes: &[u8]) -> Result<(), BackupError>;
    /// All tables are there.
    fn tables_end(&mut self, about: &About) -> Result<(), BackupError>;
    /// A record of the log.
    fn record(&mut self, lsn: Lsn, payload: &[u8]) -> Result<(), BackupError>;
    /// All records were there.
    fn log_end(&mut self) -> Result<(), BackupError>;
    /// A block of the ledger.
    fn block(&mut self, encoded: &[u8]) -> Result<(), BackupError>;
    /// A piece of a journal, behind those before it.
    fn piece(&mut self, place: &routes::Place, bytes: &[u8]) -> Result<(), BackupError>;
}

/// What a whole backup says of itself.
#[derive(Clone, Debug)]
pub(super) struct Whole {
    pub(super) about: About,
    pub(super) bytes: u64,
    pub(super) hash: [u8; 32],
}

/// Where in the file the next unit belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    About,
    Genesis,
    Config,
    Region(usize),
    Log,
    Ledger,
    Routes,
    End,
}

/// Reads a backup from its start to its end, every sum checked, and hands on what it holds.
pub(super) fn walk(
    disk: &dyn Disk,
    path: &Path,
    taker: &mut dyn Taker,
    what: &'static str,
    on_step: OnStep<'_>,
) -> Result<Whole, BackupError> {
    let mut reader = SealedReader::open(disk, path)?;
    let mut walk = Walk {
        path,
        part: None,
        about: None,
        page: 0,
        lsn: Lsn::ZERO,
        blocks: 0,
        journal: None,
        end: None,
    };
    loop {
        let (done, total) = reader.progress();
        on_step(Step {
            what,
            done,
            total: Some(total),
            unit: "bytes",
        });
        match reader.next_item()? {
            SealedItem::Part(name) => walk.enter(name, taker)?,
            SealedItem::Unit(unit) => walk.unit(unit, taker)?,
            SealedItem::End => break,
        }
    }
    let (bytes, hash) = (reader.progress().1, reader.hash().expect("the end was reached"));
    walk.whole(bytes, hash)
}

struct Walk<'a> {
    path: &'a Path,
    part: Option<Part>,
    about: Option<About>,
    page: usize,
    lsn: Lsn,
    blocks: u64,
    /// The last piece of a journal, and where the next one goes.
    journal: Option<(routes::Place, u64)>,
    end: Option<End>,
}

impl Walk<'_> {
    fn bad(&self, what: impl Into<String>) -> BackupError {
        BackupError::Content {
            path: self.path.to_owned(),
            what: what.into(),
        }
    }

    fn json<T: DeserializeOwned>(&self, unit: &[u8]) -> Result<T, BackupError> {
        serde_json::from_slice(unit).map_err(|error| self.bad(error.to_string()))
    }

    /// The part that must follow the present one, and its name.
    fn next_part(&self) -> Option<(Part, String)> {
        let regions = self.about.as_ref().map_or(&[][..], |about| &about.regions);
        let region = |at: usize| match regions.get(at) {
            Some(region) => (Part::Region(at), region_part(&region.name)),
            None => (Part::Log, PART_LOG.to_owned()),
        };
        Some(match self.part {
            None => (Part::About, PART_ABOUT.to_owned()),
            Some(Part::About) => (Part::Genesis, PART_GENESIS.to_owned()),
            Some(Part::Genesis) => (Part::Config, PART_CONFIG.to_owned()),
            Some(Part::Config) => region(0),
            Some(Part::Region(at)) => region(at + 1),
            Some(Part::Log) => (Part::Ledger, PART_LEDGER.to_owned()),
            Some(Part::Ledger) if self.has_routes() => (Part::Routes, PART_ROUTES.to_owned()),
            Some(Part::Ledger | Part::Routes) => (Part::End, PART_END.to_owned()),
            Some(Part::End) => return None,
        })
    }

    fn has_routes(&self) -> bool {
        self.about
            .as_ref()
            .is_some_and(|about| about.format >= FORMAT_OF_ROUTES)
    }

    /// Pieces of a journal follow each other, and journals do too.
    fn piece(&mut self, unit: &[u8], taker: &mut dyn Taker) -> Result<(), BackupError> {
        let (place, bytes) = routes::split(unit).ok_or_else(|| self.bad("a piece of a journal has no place"))?;
        let expected = match &self.journal {
            Some((last, next)) if last.journal() == place.journal() => *next,
            _ => 0,
        };
        if place.offset != expected || bytes.is_empty() {
            return Err(self.bad("a piece of a journal is missing"));
        }
        self.journal = Some((place, expected + bytes.len() as u64));
        taker.piece(&place, bytes)
    }

    fn enter(&mut self, name: &str, taker: &mut dyn Taker) -> Result<(), BackupError> {
        let next = self.next_part();
        let Some((part, _)) = next.filter(|(_, wanted)| wanted == name) else {
            return Err(self.bad(format!("part `{name}` is not expected there")));
        };
        self.page = 0;
        self.part = Some(part);
        match (part, &self.about) {
            (Part::About, _) => Ok(()),
            (_, None) => Err(self.bad("it does not say of what it is")),
            (Part::Log, Some(about)) => taker.tables_end(about),
            (Part::Ledger, _) => taker.log_end(),
            _ => Ok(()),
        }
    }

    fn unit(&mut self, unit: &[u8], taker: &mut dyn Taker) -> Result<(), BackupError> {
        match self.part {
            Some(Part::About) => {
                let about: About = self.json(unit)?;
                if !(1..=FORMAT).contains(&about.format) {
                    let format = about.format;
                    return Err(self.bad(format!("its format is {format}, this program reads 1 to {FORMAT}")));
                }
                self.lsn = Lsn::new(about.lsn);
                taker.about(&about)?;
                self.about = Some(about);
            }
            Some(Part::Genesis) => taker.genesis(unit)?,
            Some(Part::Config) => taker.config(unit)?,
            Some(Part::Region(at)) => {
                if !unit.len().is_multiple_of(PAGE_BYTES) {
                    return Err(self.bad("a run of pages is not whole pages"));
                }
                taker.pages(at, self.page, unit)?;
                self.page += unit.len() / PAGE_BYTES;
            }
            Some(Part::Log) => {
                let (lsn, payload) = split_record(unit).ok_or_else(|| self.bad("a record has no number"))?;
                if lsn != self.lsn.next() {
                    return Err(self.bad(format!("record {lsn} follows record {}", self.lsn)));
                }
                taker.record(lsn, payload)?;
                self.lsn = lsn;
            }
            Some(Part::Ledger) => {
                taker.block(unit)?;
                self.blocks += 1;
            }
            Some(Part::Routes) => self.piece(unit, taker)?,
            Some(Part::End) => self.end = Some(self.json(unit)?),
            None => return Err(self.bad("it does not begin with a part")),
        }
        Ok(())
    }

    fn whole(self, bytes: u64, hash: [u8; 32]) -> Result<Whole, BackupError> {
        let end = self.end.ok_or_else(|| self.bad("it does not say where it ends"))?;
        if (end.lsn, end.ledger_height) != (self.lsn.get(), self.blocks) {
            let (lsn, blocks) = (self.lsn, self.blocks);
            return Err(self.bad(format!(
                "it should end with record {} and block {}, and ends with {lsn} and {blocks}",
                end.lsn, end.ledger_height
            )));
        }
        let about = self
            .about
            .clone()
            .ok_or_else(|| self.bad("it does not say of what it is"))?;
        Ok(Whole { about, bytes, hash })
    }
}

/// A record as its unit holds it: its number, then what was appended.
pub(super) fn join_record(lsn: Lsn, payload: &[u8], into: &mut Vec<u8>) {
    into.clear();
    into.extend_from_slice(&lsn.get().to_le_bytes());
    into.extend_from_slice(payload);
}

/// The number and the payload of a record's unit.
pub(super) fn split_record(unit: &[u8]) -> Option<(Lsn, &[u8])> {
    let (lsn, payload) = unit.split_first_chunk::<8>()?;
    Some((Lsn::new(u64::from_le_bytes(*lsn)), payload))
}
