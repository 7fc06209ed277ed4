//! Reveals: preimages and acks that the ledger keeps (rule 26).

use tidegate_channel::Ack;
use tidegate_channel::evidence::{Acknowledged, MandateSubject};
use tidegate_crypto::hash::payment_hash;
use tidegate_crypto::verify::Verdict;
use tidegate_types::OutPoint;

use super::close::keep_closing;
use super::{ActionError, Case, Effects, Subject};
use crate::chain::Trust;
use crate::check::Checker;
use crate::record::{ack_outpoint, preimage_outpoint};
use crate::{AckRecord, Event, LockCondition, LockPlace, Payer, PreimageRecord, Record, UtxoStore};

impl<S: UtxoStore> Checker<'_, S> {
    pub(super) fn reveal_preimage(
        &self,
        case: Case<'_>,
        preimage: &[u8; 32],
        place: Option<&LockPlace>,
        payer: &Payer,
    ) -> Result<Effects, ActionError> {
        let hash = payment_hash(preimage);
        if let Some(known) = self.store.get(&preimage_outpoint(&hash)) {
            return Err(ActionError::Known(known.height));
        }
        let mut effects = Effects::default();
        match (place, payer) {
            (None, Payer::Coins) => {}
            (Some(place), Payer::Side(..)) => {
                let (subject, mut state) = self.closing(case, &place.channel)?;
                let lock = self.entries().open_lock(&subject.id, place.side, place.slot);
                let lock = lock.filter(|lock| lock.condition == LockCondition::Hash(hash));
                let lock = lock.ok_or(ActionError::NoSuchLock)?;
                let draw = self.draw(case, &subject, &mut state, payer, MandateSubject::Lock(lock.lock))?;
                keep_closing(&subject, &state, draw, &mut effects)?;
                effects.speaks = true;
            }
            (None, Payer::Side(..)) | (Some(_), Payer::Coins) => return Err(ActionError::WrongPayer),
        }
        effects.put(Record::Preimage(PreimageRecord {
            hash,
            preimage: *preimage,
        }));
        effects.events.push(Event::PreimageRevealed {
            hash,
            preimage: *preimage,
            height: self.height,
        });
        Ok(effects)
    }

    pub(super) fn reveal_ack(
        &self,
        case: Case<'_>,
        funding: &OutPoint,
        word: &Acknowledged,
        payer: &Payer,
    ) -> Result<Effects, ActionError> {
        let utxo = self.store.get(funding).ok_or(ActionError::OtherInput)?;
        let (id, terms) = utxo.channel(funding).ok_or(ActionError::OtherInput)?;
        let leaf = word.leaf();
        if id != word.channel() {
            return Err(ActionError::OtherChannel);
        }
        let record = AckRecord {
            channel: id,
            counter: leaf.counter,
            digest: leaf.digest,
        };
        if let Some(known) = self.store.get(&ack_outpoint(&record)) {
            return Err(ActionError::Known(known.height));
        }
        if self.trust == Trust::Nothing && word.verify(self.ledger, &self.registered(terms.client)?) == Verdict::Invalid
        {
            return Err(ActionError::AckSignature);
        }
        let mut effects = Effects::default();
        if let Payer::Side(..) = payer {
            let (subject, mut state): (Subject<'_>, _) = self.closing(case, &id)?;
            let draw = self.draw(case, &subject, &mut state, payer, MandateSubject::Ack(leaf.counter))?;
            keep_closing(&subject, &state, draw, &mut effects)?;
            effects.speaks = true;
        }
        effects.put(Record::Ack(record));
        effects.events.push(Event::AckRevealed {
            ack: Ack { channel: id, leaf },
            height: self.height,
        });
        Ok(effects)
    }
}
