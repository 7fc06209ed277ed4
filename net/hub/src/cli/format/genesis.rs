//! The genesis of a new ledger: planned channels first, in the order of their file, then outputs to keys.

use std::io::Read;

use tidegate_channel::ChannelTerms;
use tidegate_client::channels_file::{ChannelsReader, PlannedChannel, PlannedTerms};
use tidegate_ledger::{
    Chain, Genesis, GenesisError, GenesisHeader, GenesisWriter, NetworkName, Output, Supply, Tip, Trust, Utxo,
    UtxoStore,
};
use tidegate_types::{Age, Amount, Height, KeyBytes, OutPoint, UnixMillis};

use super::super::amounts::{parse_amount, parse_key};
use super::HUB_FUNDS;
use crate::config::Config;
use crate::error::Error;

/// One `--fund KEY=AMOUNT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fund {
    /// `None`: the hub's own key, which does not exist yet.
    key: Option<KeyBytes>,
    amount: Amount,
}

impl Fund {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let (key, amount) = text.rsplit_once('=').ok_or_else(|| Error::Amount {
            text: text.to_owned(),
            why: "it has not the form KEY=AMOUNT",
        })?;
        Ok(Self {
            amount: parse_amount(amount)?,
            key: (key != "hub").then(|| parse_key(key)).transpose()?,
        })
    }
}

/// Takes over the terms under which channels were planned.
pub(super) fn plan(config: &mut Config, terms: &PlannedTerms) {
    config.ledger.block_interval_ms = terms.block_interval_ms;
    config.payments.margin_blocks = terms.margin.get();
    config.payments.ack_interval_ms = terms.ack_interval_ms;
    config.payments.max_lock_blocks = terms.max_lock.get();
    config.channels.dispute_window_blocks = terms.dispute_window.get();
    config.channels.client_reserve_sat = terms.reserve.to_sat();
    config.channels.hub_reserve_sat = terms.reserve.to_sat();
    config.fees.base_sat = terms.fee.to_sat();
    config.fees.ppm = 0;
}

/// The bytes of the genesis. Whether it holds is for [`Genesis::check`] to say.
pub(super) fn build(
    config: &Config,
    hub: KeyBytes,
    validator: KeyBytes,
    time: UnixMillis,
    channels: Option<ChannelsReader<impl Read>>,
    funds: &[Fund],
) -> Result<Vec<u8>, Error> {
    let mut writer = GenesisWriter::new(&GenesisHeader {
        params: config.ledger_params(),
        time,
        validator,
        network: NetworkName::new(&config.ledger.network).expect("the name was checked with the configuration"),
    });
    if let Some(mut channels) = channels {
        writer.reserve(channels.count() as usize + funds.len() + 1);
        let mut nonce = 0;
        while let Some(channel) = channels.next_channel()? {
            writer.push(&Output::to_channel(&terms(config, hub, &channel, nonce)));
            nonce += 1;
        }
    }
    let by_default = Fund {
        key: None,
        amount: HUB_FUNDS,
    };
    let says_hub = funds.iter().any(|fund| fund.key.is_none());
    let all = funds.iter().chain((!says_hub).then_some(&by_default));
    for fund in all.filter(|fund| !fund.amount.is_zero()) {
        writer.push(&Output::to_key(fund.amount, fund.key.unwrap_or(hub)));
    }
    Ok(writer.finish())
}

/// What a genesis that was checked leads to. The outputs are only counted: of ten million nobody asks for one yet.
pub(super) fn outcome(genesis: &Genesis<'_>) -> Result<(Tip, Supply), GenesisError> {
    let chain = Chain::from_genesis(genesis, Trust::OwnRecords, Counted::default(), |_, _| {})?;
    Ok((chain.tip(), chain.supply()))
}

/// A store that forgets everything but how much it holds.
#[derive(Debug, Default)]
struct Counted(u64);

impl UtxoStore for Counted {
    fn get(&self, _: &OutPoint) -> Option<Utxo> {
        None
    }

    fn insert(&mut self, _: OutPoint, _: &Utxo) {
        self.0 += 1;
    }

    fn remove(&mut self, _: &OutPoint) -> Option<Utxo> {
        None
    }

    fn len(&self) -> u64 {
        self.0
    }
}

fn terms(config: &Config, hub: KeyBytes, channel: &PlannedChannel, nonce: u32) -> ChannelTerms {
    let (client_reserve, hub_reserve) = config.reserves();
    ChannelTerms {
        client: channel.client,
        hub,
        client_payout: channel.payout,
        hub_payout: hub,
        emergency: KeyBytes::ZERO,
        delegate: channel.delegate,
        capacity: channel.capacity,
        opening_share: channel.opening_share,
        client_reserve,
        hub_reserve,
        dispute_window: Age::new(config.channels.dispute_window_blocks),
        evidence_grace: Age::new(config.channels.evidence_grace_blocks),
        expiry: Height::new(config.channels.lifetime_blocks),
        nonce,
    }
}
