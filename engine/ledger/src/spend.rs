//! The spend paths: what proves that an input may be spent (rule 29).

use tidegate_channel::ChannelTerms;
use tidegate_crypto::hash::payment_hash;
use tidegate_crypto::keys::KeyError;
use tidegate_crypto::verify::{Verdict, verify};
use tidegate_types::{Amount, Height, KeyBytes, SignatureBytes, Txid};

use crate::chain::Trust;
use crate::check::Checker;
use crate::close::registered;
use crate::condition::{After, Inner, Multi};
use crate::judge::Effects;
use crate::record::stake_outpoint;
use crate::{
    ChannelClose, CloseError, Condition, Event, LockProof, MultiWitness, PreimageRecord, Record, StakeState,
    Transaction, TransactionBody, TransactionError, Utxo, UtxoStore, Witness,
};

/// One input of a transaction that is checked.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    pub(crate) tx: &'a Transaction,
    pub(crate) txid: &'a Txid,
    pub(crate) fee: Amount,
    pub(crate) index: usize,
    pub(crate) utxo: &'a Utxo,
}

impl<S: UtxoStore> Checker<'_, S> {
    /// Checks that an input's witness spends it, and adds what that does beside.
    pub(crate) fn check_witness(&self, input: Input<'_>, effects: &mut Effects) -> Result<(), TransactionError> {
        let index = input.index;
        match (&input.tx.witnesses[index], &input.utxo.output.condition) {
            (Witness::Action, _) if index == 0 && effects.speaks => Ok(()),
            _ if index == 0 && effects.speaks => Err(TransactionError::WrongWitness { input: index }),
            (Witness::Key(signature), Condition::Key(key)) => self.check_key(input, *key, signature),
            (Witness::Multi(multi), Condition::Multi(condition)) => self.check_multi(input, condition, multi),
            (witness, Condition::Timelocked(timelock)) => {
                self.check_time(input, timelock.after)?;
                match (witness, &timelock.inner) {
                    (Witness::Key(signature), Inner::Key(key)) => self.check_key(input, *key, signature),
                    (Witness::Multi(multi), Inner::Multi(condition)) => self.check_multi(input, condition, multi),
                    _ => Err(TransactionError::WrongWitness { input: index }),
                }
            }
            (Witness::LockClaim { proof, signature }, Condition::Lock(terms)) => {
                let claim = self.check_claim(terms, proof);
                claim.map_err(|error| TransactionError::Lock { input: index, error })?;
                if let LockProof::Preimage(preimage) = proof {
                    self.reveal(preimage, effects);
                }
                self.check_key(input, terms.claim, signature)
            }
            (Witness::LockRefund(signature), Condition::Lock(terms)) => {
                let refund = self.check_refund(terms);
                refund.map_err(|error| TransactionError::Lock { input: index, error })?;
                self.check_key(input, terms.refund, signature)
            }
            (Witness::ChannelClose(close), Condition::Channel(terms) | Condition::Closing(terms)) => {
                self.check_close(input, terms, close, effects)
            }
            (Witness::ChannelSplice(close), Condition::Channel(terms) | Condition::Closing(terms)) => {
                self.check_splice(input, terms, close, effects)
            }
            (Witness::Key(signature), Condition::Stake(terms)) => {
                let StakeState::Unbonding(release) = terms.state else {
                    return Err(TransactionError::WrongWitness { input: index });
                };
                self.check_time(input, After::Height(release))?;
                effects.takes.push(stake_outpoint(&terms.hub));
                self.check_key(input, terms.payout, signature)
            }
            _ => Err(TransactionError::WrongWitness { input: index }),
        }
    }

    /// A claim shows its preimage to everyone, maybe in the last block in which it counts: so it meets every other lock on its
    /// hash as a reveal does (rule 26).
    fn reveal(&self, preimage: &[u8; 32], effects: &mut Effects) {
        let record = Record::Preimage(PreimageRecord {
            hash: payment_hash(preimage),
            preimage: *preimage,
        });
        let place = record.outpoint();
        let known = self.store.get(&place).is_some() || effects.puts.iter().any(|(put, ..)| *put == place);
        if !known {
            effects.put(record);
            effects.events.push(Event::PreimageRevealed {
                hash: payment_hash(preimage),
                preimage: *preimage,
                height: self.height,
            });
        }
    }

    fn check_key(&self, input: Input<'_>, key: KeyBytes, signature: &SignatureBytes) -> Result<(), TransactionError> {
        if self.trust == Trust::OwnRecords {
            return Ok(());
        }
        let key = registered(key).map_err(|error| damaged(input.index, error))?;
        match verify(
            &key,
            TransactionBody::message(input.txid, self.ledger).as_slice(),
            signature,
        ) {
            Verdict::Valid => Ok(()),
            Verdict::Invalid => Err(TransactionError::BadSignature { input: input.index }),
        }
    }

    fn check_multi(&self, input: Input<'_>, condition: &Multi, witness: &MultiWitness) -> Result<(), TransactionError> {
        let wrong = TransactionError::WrongWitness { input: input.index };
        let signers = (0..16).filter(|bit| witness.signers >> bit & 1 == 1);
        let signers: Vec<_> = signers.filter_map(|bit| witness.keys.keys().get(bit)).collect();
        let enough = signers.len() == usize::from(condition.threshold) && signers.len() == witness.signatures.len();
        if witness.keys.condition() != *condition || !enough {
            return Err(wrong);
        }
        let mut pairs = signers.into_iter().zip(&witness.signatures);
        pairs.try_for_each(|(key, signature)| self.check_key(input, *key, signature))
    }

    fn check_time(&self, input: Input<'_>, after: After) -> Result<(), TransactionError> {
        let first = match after {
            After::Height(height) => height,
            After::Age(age) => input.utxo.height.plus(age).unwrap_or(Height::MAX),
        };
        if self.height >= first {
            Ok(())
        } else {
            Err(TransactionError::Locked {
                input: input.index,
                first,
            })
        }
    }

    /// A cooperative close. It is signed for the channel as it was opened; where its close has begun meanwhile, each side
    /// bears what it drew since.
    fn check_close(
        &self,
        input: Input<'_>,
        terms: &ChannelTerms,
        close: &ChannelClose,
        effects: &mut Effects,
    ) -> Result<(), TransactionError> {
        let (tx, outpoint) = (input.tx, input.tx.body.inputs[input.index]);
        let refused = |error| TransactionError::Close {
            input: input.index,
            error,
        };
        if tx.body.inputs.len() != 1 || tx.body.action.is_some() {
            return Err(refused(CloseError::NotAlone));
        }
        let channel = terms.channel_id(&outpoint);
        let promised = ChannelClose::body(outpoint, terms, close.terms.client_payout, close.terms.hub_payout);
        let (mut client, mut hub) = (close.terms.client_payout, close.terms.hub_payout);
        if input.utxo.is_closing() {
            let view = self
                .entries()
                .close_view(outpoint)
                .expect("a closing channel has its state beside it");
            (client, hub) = less(client, hub, view.state.drawn_client, view.state.drawn_hub);
            effects.takes.extend(view.records());
        }
        close
            .check_content(
                &channel,
                &tx.body,
                &ChannelClose::body(outpoint, terms, client, hub),
                input.fee,
            )
            .map_err(refused)?;
        if self.trust == Trust::Nothing {
            close
                .check_signatures(self.ledger, terms, &promised.txid())
                .map_err(refused)?;
        }
        effects.exempt = true;
        self.note_end(&channel, terms, hub, effects);
        effects.events.push(Event::ChannelClosed {
            channel,
            txid: *input.txid,
            client_payout: client,
            hub_payout: hub,
            fee: input.fee,
        });
        Ok(())
    }

    fn check_splice(
        &self,
        input: Input<'_>,
        terms: &ChannelTerms,
        splice: &ChannelClose,
        effects: &mut Effects,
    ) -> Result<(), TransactionError> {
        let outpoint = input.tx.body.inputs[input.index];
        let refused = |error| TransactionError::Close {
            input: input.index,
            error,
        };
        let channel = terms.channel_id(&outpoint);
        let mut drawn = Amount::ZERO;
        if input.utxo.is_closing() {
            let view = self
                .entries()
                .close_view(outpoint)
                .expect("a closing channel has its state beside it");
            let both = view.state.drawn_client.add(view.state.drawn_hub);
            drawn = both.map_err(TransactionError::Sum)?;
            effects.takes.extend(view.records());
        }
        let fee = input.fee.add(drawn).map_err(TransactionError::Sum)?;
        splice
            .check_splice(&channel, terms, input.tx, input.txid, fee)
            .map_err(refused)?;
        if self.trust == Trust::Nothing {
            splice
                .check_signatures(self.ledger, terms, input.txid)
                .map_err(refused)?;
        }
        effects.events.push(Event::ChannelSpliced {
            channel,
            txid: *input.txid,
            successor: splice.terms.successor,
        });
        Ok(())
    }

    fn note_end(&self, channel: &tidegate_types::ChannelId, terms: &ChannelTerms, hub: Amount, effects: &mut Effects) {
        if let Some(record) = self.ended(channel, terms, hub) {
            effects.put(record);
        }
    }
}

/// Two payouts less what each side drew; what one cannot bear, the other does.
fn less(client: Amount, hub: Amount, drawn_client: Amount, drawn_hub: Amount) -> (Amount, Amount) {
    let signed = |amount: Amount| i128::from(amount.to_sat());
    let (mut client, mut hub) = (signed(client) - signed(drawn_client), signed(hub) - signed(drawn_hub));
    (client, hub) = (client + hub.min(0), hub.max(0));
    (hub, client) = (hub + client.min(0), client.max(0));
    let amount = |sat: i128| u64::try_from(sat.max(0)).ok().and_then(Amount::from_sat);
    let bounded = "a payout is between zero and the channel's capacity";
    (amount(client).expect(bounded), amount(hub).expect(bounded))
}

fn damaged(input: usize, error: KeyError) -> TransactionError {
    TransactionError::DamagedKey { input, error }
}
