//! `loadgen prepare`: from genesis and profile to a signed file.

use std::fs::{self, File};
use std::io::{BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use rayon::prelude::*;
use tidegate_channel::ChannelTerms;
use tidegate_ledger::{Condition, Genesis};
use tidegate_types::{Age, ChannelId, DecodeError, Fixed, Height, KeyBytes, OutPoint};

use super::sign::{Chain, Context, Party};
use super::{ChannelRow, Head, Layout, MAGIC, SectionRow, WorkloadError, profile_crc, record_len};
use crate::keys::{client_key, connection_key};
use crate::plan::{Payment, Purse, plan};
use crate::profile::{Profile, SettleWhen};
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
    let bytes = fs::read(genesis).map_err(|source| WorkloadError::io("read", genesis, source))?;
    let parsed = Genesis::parse(&bytes).map_err(|error| WorkloadError::Genesis {
        path: genesis.to_owned(),
        error,
    })?;
    let opened = read_channels(profile, seed, &parsed, genesis)?;
    let expiry = expiry(profile, opened.ends, genesis)?;
    let mut plan = plan(profile, &opened.purses, payments as usize, seed);
    drop(opened.purses);
    if plan.is_empty() {
        return Err(WorkloadError::NothingToPay);
    }
    let parties = take_parties(&parsed, profile.population.channels, &mut plan);
    let ledger = parsed.ledger();
    drop(bytes);
    let count = |count: usize| u32::try_from(count).expect("no more than were asked for");
    let per_state = profile.activity.payments_per_signature;
    let head = Head {
        magic: MAGIC,
        ledger,
        hub: opened.hub,
        seed,
        profile: profile_crc(profile),
        channels: count(parties.len()),
        connections: profile.population.connections,
        states: count(plan.len()) / per_state,
        per_state,
        distance: profile.distance_in_states(),
        expiry,
        fee: profile.amounts.fee,
    };
    let bytes =
        write(profile, &head, &parties, &plan, out).map_err(|source| WorkloadError::io("write", out, source))?;
    Ok(Prepared {
        payments: count(plan.len()),
        asked: payments,
        bytes,
    })
}

/// What planning needs of the channels of a genesis. There may be ten million, so it is little.
struct Opened {
    hub: KeyBytes,
    purses: Vec<Purse>,
    /// The first height at which some channel takes no lock any more.
    ends: Height,
}

/// The channels among the outputs of a genesis, in their order.
fn channels<'a>(
    genesis: &Genesis<'a>,
) -> impl Iterator<Item = Result<(OutPoint, ChannelTerms), DecodeError>> + use<'a> {
    genesis.outputs().filter_map(|output| match output {
        Ok((outpoint, output)) => match output.condition {
            Condition::Channel(terms) => Some(Ok((outpoint, terms))),
            _ => None,
        },
        Err(error) => Some(Err(error)),
    })
}

fn read_channels(profile: &Profile, seed: u64, genesis: &Genesis<'_>, path: &Path) -> Result<Opened, WorkloadError> {
    let other = |what| WorkloadError::OtherChannels {
        path: path.to_owned(),
        what,
    };
    let count = profile.population.channels;
    let mut progress = Progress::new("reading the genesis", "channels", count.into());
    let mut opened = Opened {
        hub: KeyBytes::ZERO,
        purses: Vec::with_capacity(count as usize),
        ends: Height::MAX,
    };
    for (index, channel) in (0..).zip(channels(genesis)) {
        let (_, terms) = channel.map_err(|error| WorkloadError::Genesis {
            path: path.to_owned(),
            error: error.into(),
        })?;
        if index == 0 {
            opened.hub = terms.hub;
        }
        if index == count {
            return Err(other("their number is another"));
        }
        check_channel(profile, seed, opened.hub, index, &terms).map_err(other)?;
        opened.purses.push(Purse::of(&terms));
        let after = Age::new(terms.dispute_window.get().saturating_add(terms.evidence_grace.get()));
        opened.ends = opened.ends.min(terms.expiry.minus(after).unwrap_or(Height::ZERO));
        if index % PROGRESS_CHANNELS == 0 {
            progress.reach(index.into());
        }
    }
    if opened.purses.len() != count as usize {
        return Err(other("their number is another"));
    }
    Ok(opened)
}

/// Channels between two looks at the clock.
const PROGRESS_CHANNELS: u32 = 100_000;

fn check_channel(
    profile: &Profile,
    seed: u64,
    hub: KeyBytes,
    index: u32,
    terms: &ChannelTerms,
) -> Result<(), &'static str> {
    let population = &profile.population;
    let figures = profile.channel(index);
    if terms.capacity != figures.capacity || terms.opening_share != figures.opening_share {
        return Err("their capacities are others");
    }
    if terms.hub != hub {
        return Err("they are not all one hub's");
    }
    // A key costs as much as a signature, and all follow from one seed: the ends tell.
    if index == 0 || index + 1 == population.channels {
        if terms.client != client_key(seed, population.key_of(index)).public().bytes() {
            return Err("their client keys are of another seed");
        }
        if terms.delegate != connection_key(seed, population.connection_of(index)).public().bytes() {
            return Err("their delegates are others");
        }
    }
    Ok(())
}

/// The channels that take part. Numbers of the plan become places among these.
fn take_parties(genesis: &Genesis<'_>, count: u32, plan: &mut [Payment]) -> Vec<Party> {
    const NONE: u32 = u32::MAX;
    let mut places = vec![NONE; count as usize];
    for payment in &*plan {
        places[payment.payer as usize] = 0;
        places[payment.payee as usize] = 0;
    }
    let mut parties: Vec<(Party, OutPoint, ChannelTerms)> = Vec::new();
    let mut named = Vec::new();
    for (number, channel) in (0..).zip(channels(genesis)) {
        let place = &mut places[number as usize];
        if *place == NONE {
            continue;
        }
        *place = u32::try_from(named.len() + parties.len()).expect("a profile counts channels in u32");
        let (outpoint, terms) = channel.expect("it was read before");
        let party = Party {
            number,
            id: ChannelId::ZERO,
            client: terms.client,
        };
        parties.push((party, outpoint, terms));
        if parties.len() == NAMED_AT_ONCE {
            name(&mut parties, &mut named);
        }
    }
    name(&mut parties, &mut named);
    for payment in plan {
        payment.payer = places[payment.payer as usize];
        payment.payee = places[payment.payee as usize];
    }
    named
}

/// Channels whose terms are kept at one time, for all cores to hash.
const NAMED_AT_ONCE: usize = 65_536;

fn name(parties: &mut Vec<(Party, OutPoint, ChannelTerms)>, named: &mut Vec<Party>) {
    named.par_extend(parties.par_drain(..).map(|(party, outpoint, terms)| Party {
        id: terms.channel_id(&outpoint),
        ..party
    }));
}

/// One expiry for the whole run: the longest lock from the genesis on, which serves until so few blocks are left that
/// somebody could not act in time (rule 9).
fn expiry(profile: &Profile, ends: Height, path: &Path) -> Result<Height, WorkloadError> {
    let expiry = Height::ZERO
        .plus(profile.ledger.max_lock)
        .expect("the first height is zero");
    if expiry < ends {
        Ok(expiry)
    } else {
        Err(WorkloadError::ExpiryTooLate {
            path: path.to_owned(),
            expiry,
        })
    }
}

fn write(profile: &Profile, head: &Head, parties: &[Party], plan: &[Payment], path: &Path) -> std::io::Result<u64> {
    let layout = Layout::new(head.channels, head.connections);
    let sections = Sections::of(profile, parties, plan);
    let cx = Context {
        ledger: head.ledger,
        seed: head.seed,
        distance: head.distance,
        expiry: head.expiry,
        fee: head.fee,
        hash_locks: profile.settlement.on == SettleWhen::Preimage,
        parties,
        key_count: profile.population.keys,
    };
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    file.seek(SeekFrom::Start(layout.records))?;
    let mut rows = Vec::with_capacity(sections.numbers.len());
    let mut progress = Progress::new("signing", "payments", plan.len() as u64);
    let width = record_len(head.per_state);
    for group in sections.groups(head.per_state as usize) {
        let records = sign_group(&cx, plan, &sections.numbers[group], head.per_state as usize);
        for section in &records {
            file.write_all(section)?;
            let states = section.len() / width;
            rows.push(SectionRow {
                states: u32::try_from(states).expect("fewer than all payments"),
                crc: crc32c::crc32c(section),
            });
            progress.add(states as u64 * u64::from(head.per_state));
        }
    }
    progress.finish();
    // The head comes last: a file whose making was interrupted begins with zeros and is no workload.
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&front(head, parties, &rows))?;
    file.flush()?;
    Ok(layout.file_len(head))
}

/// Head, channels and sections with their checksums.
fn front(head: &Head, parties: &[Party], rows: &[SectionRow]) -> Vec<u8> {
    let summed = |mut bytes: Vec<u8>| {
        crc32c::crc32c(&bytes).append_to(&mut bytes);
        bytes
    };
    let mut channels = Vec::with_capacity(parties.len() * ChannelRow::LEN + 4);
    for party in parties {
        ChannelRow {
            number: party.number,
            id: party.id,
        }
        .append_to(&mut channels);
    }
    let sections = rows.iter().flat_map(Fixed::to_vec).collect();
    [summed(head.to_vec()), summed(channels), summed(sections)].concat()
}

/// The states of each connection: the places of their first payments in the plan, rising.
struct Sections {
    numbers: Vec<Vec<u32>>,
}

impl Sections {
    fn of(profile: &Profile, parties: &[Party], plan: &[Payment]) -> Self {
        let mut numbers = vec![Vec::new(); profile.population.connections as usize];
        let per_state = profile.activity.payments_per_signature;
        for (number, payments) in (0..).zip(plan.chunks_exact(per_state as usize)) {
            let payer = parties[payments[0].payer as usize].number;
            let connection = profile.population.connection_of(payer);
            numbers[connection as usize].push(number * per_state);
        }
        Self { numbers }
    }

    /// Ranges of sections that hold about [`GROUP`] payments.
    fn groups(&self, per_state: usize) -> Vec<std::ops::Range<usize>> {
        let mut groups = Vec::new();
        let (mut start, mut held) = (0, 0);
        for (index, section) in self.numbers.iter().enumerate() {
            held += section.len() * per_state;
            if held >= GROUP || index + 1 == self.numbers.len() {
                groups.push(start..index + 1);
                (start, held) = (index + 1, 0);
            }
        }
        groups
    }
}

/// A state's payer, its section, its place there, and the place of its first payment in the plan.
type Place = (u32, usize, usize, u32);

/// The records of some sections, in order. Payers are signed in parallel, each payer's states one after the other.
fn sign_group(cx: &Context<'_>, plan: &[Payment], sections: &[Vec<u32>], per_state: usize) -> Vec<Vec<u8>> {
    // Sorted, the states of each payer stand together in their order.
    let mut places: Vec<Place> = Vec::new();
    for (section, numbers) in sections.iter().enumerate() {
        let of_section = numbers.iter().enumerate();
        places.extend(of_section.map(|(at, &number)| (plan[number as usize].payer, section, at, number)));
    }
    places.par_sort_unstable();
    let width = record_len(u32::try_from(per_state).expect("at most 16"));
    let chains: Vec<_> = places.chunk_by(|a, b| a.0 == b.0).collect();
    let sign = |chain: &&[Place]| {
        let mut states = Chain::new(cx, chain[0].0);
        let mut records = vec![0; chain.len() * width];
        for (&(.., number), record) in chain.iter().zip(records.chunks_exact_mut(width)) {
            states.push(number, &plan[number as usize..][..per_state], record);
        }
        states.sign(&mut records, width);
        records
    };
    let signed: Vec<Vec<u8>> = chains.par_iter().map(sign).collect();
    let mut out: Vec<Vec<u8>> = sections.iter().map(|numbers| vec![0; numbers.len() * width]).collect();
    for (chain, records) in chains.iter().zip(signed) {
        for (&(_, section, at, _), record) in chain.iter().zip(records.chunks_exact(width)) {
            out[section][at * width..][..width].copy_from_slice(record);
        }
    }
    out
}
