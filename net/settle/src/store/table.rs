//! The unspent outputs in a hash table of fixed slots.
//!
//! ```text
//! slot, 320 B     used 8 | txid 32, vout 4 | 0 × 4 | unspent output 264 | 0 × 8
//! ```

use bytemuck::{Pod, Zeroable};
use tidegate_ledger::{Utxo, UtxoStore};
use tidegate_table::{HashTable, HashTableError, Region};
use tidegate_types::{Fixed, OutPoint, Txid};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
struct Key {
    txid: Txid,
    vout: [u8; 4],
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(transparent)]
struct Value([u8; Utxo::LEN]);

const _: () = assert!(HashTable::<Key, Value>::SLOT_BYTES == 320);

impl From<&OutPoint> for Key {
    fn from(outpoint: &OutPoint) -> Self {
        Self {
            txid: outpoint.txid,
            vout: outpoint.vout.to_le_bytes(),
        }
    }
}

/// Unspent outputs in one region of memory.
#[derive(Debug)]
pub struct TableStore {
    table: HashTable<Key, Value>,
}

impl TableStore {
    /// An empty table with address space for `utxos_max` outputs. `seed` makes places unknown to those who choose
    /// outputs; draw it at random.
    ///
    /// # Errors
    /// [`HashTableError`] if the address space cannot be had.
    pub fn new(utxos_max: usize, seed: u64) -> Result<Self, HashTableError> {
        let region = Region::new(HashTable::<Key, Value>::spec("utxos", utxos_max))?;
        Ok(Self {
            table: HashTable::create(region, seed)?,
        })
    }

    /// All unspent outputs, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (OutPoint, Utxo)> {
        self.table.iter().map(|(key, value)| {
            let outpoint = OutPoint {
                txid: key.txid,
                vout: u32::from_le_bytes(key.vout),
            };
            (outpoint, decode(value))
        })
    }
}

fn decode(value: &Value) -> Utxo {
    Utxo::decode(&value.0).expect("the table holds what insert() encoded")
}

impl UtxoStore for TableStore {
    fn get(&self, outpoint: &OutPoint) -> Option<Utxo> {
        self.table.get(&outpoint.into()).map(decode)
    }

    fn insert(&mut self, outpoint: OutPoint, utxo: &Utxo) {
        let mut value = Value([0; Utxo::LEN]);
        utxo.encode_into(&mut value.0);
        let before = self.table.insert((&outpoint).into(), value);
        let before = before.expect("the node takes no more outputs than the table was made for");
        assert!(before.is_none(), "{outpoint} was created before");
    }

    fn remove(&mut self, outpoint: &OutPoint) -> Option<Utxo> {
        self.table.remove(&outpoint.into()).map(|value| decode(&value))
    }

    fn len(&self) -> u64 {
        self.table.len() as u64
    }
}
