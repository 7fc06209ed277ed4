//! The codes of messages and errors. Codes are only ever added; none changes its meaning or is used again.

use core::fmt;

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum $name { $($(#[$vdoc])* $variant = $code),* }

        impl $name {
            /// Every value, by code.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The code on the wire.
            #[must_use]
            pub const fn code(self) -> u16 {
                self as u16
            }

            /// The value with this code.
            #[must_use]
            pub const fn from_code(code: u16) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The name in documents, results and metrics.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant)),* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

codes! {
    /// Which message a body is.
    Kind {
        /// First message of either side: what it is and what it offers.
        Hello = 1,
        /// Lends channels to a session of another key.
        Attach = 2,
        /// A client proposes a channel.
        OpenPropose = 3,
        /// The hub has added its part to the funding transaction.
        OpenAccept = 4,
        /// One client state.
        Pay = 5,
        /// The state was refused.
        PayAnswer = 6,
        /// Leaves of one batch.
        Receipt = 7,
        /// A client has checked a leaf.
        Ack = 8,
        /// Asks for, and brings, the proof that a payee has acknowledged a payment.
        AckProof = 9,
        /// Brings a preimage.
        Fulfill = 10,
        /// Gives up an in-lock outside a state.
        Release = 11,
        /// Asks for what was missed.
        Sync = 12,
        /// What was missed.
        SyncAnswer = 13,
        /// Asks for a new leaf.
        Refresh = 14,
        /// Asks for the final leaf.
        CloseRequest = 15,
        /// The completed closing transaction.
        CloseFinal = 16,
        /// Asks for the final leaf of a splice.
        SpliceRequest = 17,
        /// The completed splice.
        SpliceFinal = 18,
        /// A close has begun on the ledger.
        DisputeNotice = 19,
        /// What a watchtower needs, and what it keeps.
        TowerPackage = 20,
        /// Asks about the settlement ledger.
        LedgerQuery = 21,
        /// What the ledger holds.
        LedgerAnswer = 22,
        /// Brings a transaction.
        SubmitTx = 23,
        /// What hubs tell each other of themselves and of others.
        Peers = 24,
        /// Is anyone there?
        Ping = 25,
        /// Not now; the same bytes may be sent again later.
        Busy = 26,
        /// The request was not served.
        Error = 27,
    }
}

codes! {
    /// Why a request was not served.
    ErrorCode {
        /// The session does not carry this channel; whether it exists is not said.
        NotAttached = 1,
        /// The body is no encoding of its kind.
        Malformed = 2,
        /// No message has this kind.
        UnknownKind = 3,
        /// The kind is reserved, or does not travel in this direction.
        Unsupported = 4,
        /// The version of the message is not known.
        UnsupportedVersion = 5,
        /// Something is longer than allowed.
        TooLarge = 6,
        /// The hub's policy says no.
        Refused = 7,
        /// Something came before `Hello`.
        HelloFirst = 8,
        /// What was asked for does not exist.
        NotFound = 9,
        /// A channel's terms are not what this hub opens.
        TermsRefused = 10,
        /// The ledger does not take this transaction.
        TransactionRefused = 11,
        /// An ack names no leaf that waits for one, or its signature does not hold.
        AckRefused = 12,
        /// The channel is closing or closed.
        Closing = 13,
        /// The hub ends.
        ShuttingDown = 14,
        /// The hub has failed; what was asked for may or may not happen.
        Internal = 15,
        /// As many channels are open as the ledger could settle.
        LedgerFull = 16,
        /// Locks are open in the channel, or credits wait for an ack.
        Unsettled = 17,
        /// The shares asked for are not what the channel's balances come to.
        OtherShares = 18,
        /// The channel's own life is at its end.
        Expiring = 19,
        /// A payer owes by the channel's ack, which no final block holds yet: it is brought there, so ask again.
        Unproven = 20,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_frozen() {
        for (code, kind) in (1..).zip(Kind::ALL) {
            assert_eq!((kind.code(), Kind::from_code(code)), (code, Some(*kind)));
        }
        assert_eq!(Kind::ALL.len(), 27);
        assert_eq!((Kind::from_code(0), Kind::from_code(28)), (None, None));
        assert_eq!((Kind::Receipt.code(), Kind::Error.code()), (7, 27));
        for (code, error) in (1..).zip(ErrorCode::ALL) {
            assert_eq!((error.code(), ErrorCode::from_code(code)), (code, Some(*error)));
        }
        assert_eq!((ErrorCode::NotAttached.code(), ErrorCode::Unproven.code()), (1, 20));
    }
}
