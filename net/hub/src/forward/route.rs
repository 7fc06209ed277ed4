//! Which payments go to which hub, and for how much.

use std::collections::BTreeSet;

use tidegate_client::HubAddress;
use tidegate_types::{Age, Amount, ChannelId, KeyBytes};

/// A next hub.
#[derive(Clone, Debug)]
pub struct Route {
    /// Where it is, and who.
    pub to: HubAddress,
    /// This hub's channel there; `None` for the only one that it has.
    pub channel: Option<ChannelId>,
    /// The payees that it leads to; `None` for all that no other route names.
    pub payees: Option<BTreeSet<KeyBytes>>,
    /// What this hub keeps of a payment.
    pub fee_base: Amount,
    /// The same, in millionths of the amount.
    pub fee_ppm: u32,
    /// Blocks that must be left before the expiry beyond those that the next hub asks for.
    pub margin: Age,
}

impl Route {
    /// What this hub keeps of a payment of `amount`, rounded up.
    pub(crate) fn fee(&self, amount: Amount) -> Amount {
        let share = (u128::from(amount.to_sat()) * u128::from(self.fee_ppm)).div_ceil(1_000_000);
        let share = u64::try_from(share).ok().and_then(Amount::from_sat);
        share
            .and_then(|share| share.add(self.fee_base).ok())
            .unwrap_or(Amount::MAX)
    }
}

/// The route of a payee, if there is one.
pub(crate) fn route_of(routes: &[Route], payee: &KeyBytes) -> Option<usize> {
    let names = |route: &Route| route.payees.as_ref().is_some_and(|payees| payees.contains(payee));
    let named = routes.iter().position(names);
    named.or_else(|| routes.iter().position(|route| route.payees.is_none()))
}
