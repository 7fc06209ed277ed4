//! `loadgen prepare`: from genesis and profile to a signed file.

use std::fs::{self, File};
use std::io::{BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use rayon::prelude::*;
use tidegate_channel::ChannelTerms;
use tidegate_ledger::{Condition, Genesis};
use tidegate_types::{Age, ChannelId, Fixed, Height, KeyBytes, LedgerId};

use super::sign::{Chain, Context};
use super::{ChannelRow, Head, Layout, MAGIC, RECORD_LEN, SectionRow, WorkloadError, profile_crc};
use crate::keys::{ClientKeys, client_key, connection_key};
use crate::plan::{Payment, Purse, plan};
use crate::profile::Profile;
use crate::progress::Progress;

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// Payments in the file.
    pub payments: u32,
    /// Payments that were asked for.
    pub asked: u32,
    /// Bytes of the file.
    pub bytes: u64,
}

/// Sections are signed together until they hold so many payments: enough for all cores, little enough for memory.
const GROUP: usize = 65_536;

/// Signs up to `payments` payments for the channels of the genesis at `genesis`, and writes them to `out`.
///
/// # Errors
/// [`WorkloadError`].
///
/// # Panics
/// When the profile's figures do not fit each other, which its own check excludes.
pub fn prepare(
    profile: &Profile,
    seed: u64,
    genesis: &Path,
    out: &Path,
    payments: u32,
) -> Result<Prepared, WorkloadError> {
    let opened = read_genesis(profile, seed, genesis)?;
    let expiry = expiry(profile, &opened, genesis)?;
    let purses: Vec<Purse> = opened.channels.iter().map(|(_, terms)| Purse::of(terms)).collect();
    let plan = plan(profile, &purses, payments as usize, seed);
    if plan.is_empty() {
        return Err(WorkloadError::NothingToPay);
    }
    let head = Head {
        magic: MAGIC,
        ledger: opened.ledger,
        hub: opened.channels[0].1.hub,
        seed,
        profile: profile_crc(profile),
        channels: profile.population.channels,
        connections: profile.population.connections,
        payments: u32::try_from(plan.len()).expect("no more than were asked for"),
        distance: profile.settlement.distance,
        expiry,
        fee: profile.amounts.fee,
    };
    let bytes = write(profile, &head, &opened, &plan, out).map_err(|source| WorkloadError::io("write", out, source))?;
    Ok(Prepared {
        payments: head.payments,
        asked: payments,
        bytes,
    })
}

struct Opened {
    ledger: LedgerId,
    channels: Vec<(ChannelId, ChannelTerms)>,
}

fn read_genesis(profile: &Profile, seed: u64, path: &Path) -> Result<Opened, WorkloadError> {
    let bytes = fs::read(path).map_err(|source| WorkloadError::io("read", path, source))?;
    let wrap = |error| WorkloadError::Genesis {
        path: path.to_owned(),
        error,
    };
    let genesis = Genesis::parse(&bytes).map_err(wrap)?;
    let mut channels = Vec::new();
    for output in genesis.outputs() {
        let (outpoint, output) = output.map_err(|error| wrap(error.into()))?;
        if let Condition::Channel(terms) = output.condition {
            channels.push((terms.channel_id(&outpoint), terms));
        }
    }
    check_channels(profile, seed, &channels).map_err(|what| WorkloadError::OtherChannels {
        path: path.to_owned(),
        what,
    })?;
    Ok(Opened {
        ledger: genesis.ledger(),
        channels,
    })
}

fn check_channels(profile: &Profile, seed: u64, channels: &[(ChannelId, ChannelTerms)]) -> Result<(), &'static str> {
    let population = &profile.population;
    if channels.len() != population.channels as usize {
        return Err("their number is another");
    }
    let hub = channels[0].1.hub;
    for (index, (_, terms)) in (0..).zip(channels) {
        let figures = profile.channel(index);
        if terms.capacity != figures.capacity || terms.opening_share != figures.opening_share {
            return Err("their capacities are others");
        }
        if terms.hub != hub {
            return Err("they are not all one hub's");
        }
    }
    // A key costs as much as a signature, and all follow from one seed: the ends tell.
    for index in [0, population.channels - 1] {
        let terms = &channels[index as usize].1;
        if terms.client != client_key(seed, population.key_of(index)).public().bytes() {
            return Err("their client keys are of another seed");
        }
        if terms.delegate != connection_key(seed, population.connection_of(index)).public().bytes() {
            return Err("their delegates are others");
        }
    }
    Ok(())
}

/// One expiry for the whole run: the longest lock from the genesis on, which serves until so few blocks are left that
/// somebody could not act in time (rule 9).
fn expiry(profile: &Profile, opened: &Opened, path: &Path) -> Result<Height, WorkloadError> {
    let expiry = Height::ZERO
        .plus(profile.ledger.max_lock)
        .expect("the first height is zero");
    let ends = |terms: &ChannelTerms| {
        let after = Age::new(terms.dispute_window.get().saturating_add(terms.evidence_grace.get()));
        terms.expiry.minus(after).is_some_and(|end| expiry < end)
    };
    if opened.channels.iter().all(|(_, terms)| ends(terms)) {
        Ok(expiry)
    } else {
        Err(WorkloadError::ExpiryTooLate {
            path: path.to_owned(),
            expiry,
        })
    }
}

fn write(profile: &Profile, head: &Head, opened: &Opened, plan: &[Payment], path: &Path) -> std::io::Result<u64> {
    let layout = Layout::new(head.channels, head.connections);
    let sections = Sections::of(profile, plan);
    let names: Vec<(ChannelId, KeyBytes)> = opened.channels.iter().map(|(id, terms)| (*id, terms.client)).collect();
    let keys = ClientKeys::new(profile, head.seed);
    let cx = Context {
        ledger: head.ledger,
        seed: head.seed,
        distance: head.distance,
        expiry: head.expiry,
        fee: head.fee,
        keys: &keys,
        channels: &names,
        key_count: profile.population.keys,
    };
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    file.seek(SeekFrom::Start(layout.records))?;
    let mut rows = Vec::with_capacity(sections.numbers.len());
    let mut progress = Progress::new("signing", "payments", plan.len() as u64);
    for group in sections.groups() {
        let records = sign_group(&cx, plan, &sections.numbers[group]);
        for section in &records {
            file.write_all(section)?;
            rows.push(SectionRow {
                payments: u32::try_from(section.len() / RECORD_LEN).expect("fewer than all payments"),
                crc: crc32c::crc32c(section),
            });
            progress.add((section.len() / RECORD_LEN) as u64);
        }
    }
    progress.finish();
    // The head comes last: a file whose making was interrupted begins with zeros and is no workload.
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&front(head, opened, &rows))?;
    file.flush()?;
    Ok(layout.file_len(head.payments))
}

/// Head, channels and sections with their checksums.
fn front(head: &Head, opened: &Opened, rows: &[SectionRow]) -> Vec<u8> {
    let summed = |mut bytes: Vec<u8>| {
        crc32c::crc32c(&bytes).append_to(&mut bytes);
        bytes
    };
    let mut channels = Vec::with_capacity(opened.channels.len() * ChannelRow::LEN + 4);
    for (id, terms) in &opened.channels {
        ChannelRow {
            id: *id,
            capacity: terms.capacity,
            opening_share: terms.opening_share,
        }
        .append_to(&mut channels);
    }
    let sections = rows.iter().flat_map(Fixed::to_vec).collect();
    [summed(head.to_vec()), summed(channels), summed(sections)].concat()
}

/// The payments of each connection: their numbers in the plan, rising.
struct Sections {
    numbers: Vec<Vec<u32>>,
}

impl Sections {
    fn of(profile: &Profile, plan: &[Payment]) -> Self {
        let mut numbers = vec![Vec::new(); profile.population.connections as usize];
        for (number, payment) in (0..).zip(plan) {
            numbers[profile.population.connection_of(payment.payer) as usize].push(number);
        }
        Self { numbers }
    }

    /// Ranges of sections that hold about [`GROUP`] payments.
    fn groups(&self) -> Vec<std::ops::Range<usize>> {
        let mut groups = Vec::new();
        let (mut start, mut held) = (0, 0);
        for (index, section) in self.numbers.iter().enumerate() {
            held += section.len();
            if held >= GROUP || index + 1 == self.numbers.len() {
                groups.push(start..index + 1);
                (start, held) = (index + 1, 0);
            }
        }
        groups
    }
}

/// The records of some sections, in order. Payers are signed in parallel, each payer's states one after the other.
fn sign_group(cx: &Context<'_>, plan: &[Payment], sections: &[Vec<u32>]) -> Vec<Vec<u8>> {
    // (payer, section, place in the section, number): sorted, the payments of each payer stand together in their order.
    let mut places: Vec<(u32, usize, usize, u32)> = Vec::new();
    for (section, numbers) in sections.iter().enumerate() {
        places.extend(
            numbers
                .iter()
                .enumerate()
                .map(|(at, &n)| (plan[n as usize].payer, section, at, n)),
        );
    }
    places.par_sort_unstable();
    let chains: Vec<_> = places.chunk_by(|a, b| a.0 == b.0).collect();
    let signed: Vec<Vec<[u8; RECORD_LEN]>> = chains
        .par_iter()
        .map(|chain| {
            let mut states = Chain::new(cx, chain[0].0);
            chain
                .iter()
                .map(|&(_, _, _, number)| states.push(number, &plan[number as usize]))
                .collect()
        })
        .collect();
    let mut out: Vec<Vec<u8>> = sections
        .iter()
        .map(|numbers| vec![0; numbers.len() * RECORD_LEN])
        .collect();
    for (chain, records) in chains.iter().zip(signed) {
        for (&(_, section, at, _), record) in chain.iter().zip(records) {
            out[section][at * RECORD_LEN..(at + 1) * RECORD_LEN].copy_from_slice(&record);
        }
    }
    out
}
