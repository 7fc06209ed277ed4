//! What the configuration says of routes: `[[routes]]`, one for each next hub, behind all other sections of the file.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use tidegate_client::HubAddress;
use tidegate_types::{Age, Amount, ChannelId, KeyBytes};

use super::{Breach, Config};
use crate::forward::Route;

/// A next hub, to which hash payments go whose payees are not this hub's.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteEntry {
    /// The next hub's address, `tg1…@HOST:PORT`.
    pub to: String,
    /// This hub's channel there, 64 hex digits; may be left out if there is one alone.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub channel: String,
    /// Keys of the payees that it leads to, 64 hex digits each; left out: all that no other route names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub payees: Vec<String>,
    /// What this hub keeps of a payment, in satoshi.
    #[serde(default)]
    pub fee_base_sat: u64,
    /// The same, in millionths of the amount.
    #[serde(default)]
    pub fee_ppm: u32,
    /// Blocks that must be left before a payment's expiry, beyond three margins.
    #[serde(default)]
    pub margin_blocks: u32,
}

/// How many routes there may be: each has a thread.
const ROUTES_MAX: usize = 64;

impl RouteEntry {
    fn read(&self) -> Result<Route, String> {
        let to: HubAddress = self
            .to
            .parse()
            .map_err(|error| format!("names no hub by `to = \"{}\"`: {error}", self.to))?;
        let id = |text: &str| {
            text.parse::<ChannelId>()
                .map_err(|_| format!("`{text}` is no channel, 64 hexadecimal digits"))
        };
        let channel = Some(self.channel.as_str()).filter(|text| !text.is_empty()).map(id);
        let key = |text: &String| {
            text.parse::<KeyBytes>()
                .map_err(|_| format!("`{text}` is no key, 64 hexadecimal digits"))
        };
        let payees = self.payees.iter().map(key).collect::<Result<BTreeSet<_>, _>>()?;
        Ok(Route {
            to,
            channel: channel.transpose()?,
            payees: (!payees.is_empty()).then_some(payees),
            fee_base: Amount::from_sat(self.fee_base_sat).ok_or("`fee_base_sat` must be at most 2^53 satoshi")?,
            fee_ppm: Some(self.fee_ppm)
                .filter(|ppm| *ppm <= 1_000_000)
                .ok_or("`fee_ppm` must be at most 1000000, which is the whole amount")?,
            margin: Age::new(self.margin_blocks),
        })
    }
}

impl Config {
    pub(super) fn read_routes(&self) -> Result<Vec<Route>, String> {
        self.routes.iter().map(RouteEntry::read).collect()
    }

    /// The first thing that is wrong with the routes.
    pub(super) fn routes_breach(&self) -> Option<Breach> {
        let breach = |rule: String| Some(Breach { key: "routes", rule });
        let routes = match self.read_routes() {
            Ok(routes) => routes,
            Err(rule) => return breach(rule),
        };
        if routes.len() > ROUTES_MAX {
            return breach(format!("must be at most {ROUTES_MAX}"));
        }
        if routes.iter().filter(|route| route.payees.is_none()).count() > 1 {
            return breach("must name payees, all but one".into());
        }
        let hubs: BTreeSet<KeyBytes> = routes.iter().map(|route| route.to.identity.bytes()).collect();
        if hubs.len() < routes.len() {
            return breach("must lead to different hubs".into());
        }
        let mut named = BTreeSet::new();
        let mut payees = routes.iter().flat_map(|route| route.payees.iter().flatten());
        if let Some(twice) = payees.find(|key| !named.insert(**key)) {
            return breach(format!("must name each payee once: {twice} is in two of them"));
        }
        if !routes.is_empty() && self.payments.max_in_locks == 0 {
            return breach("need hash locks: `payments.max_in_locks` is 0".into());
        }
        None
    }

    /// The routes as they stand in a file.
    pub(super) fn routes_toml(&self) -> String {
        let mut text = String::new();
        for route in &self.routes {
            let entry = toml::to_string(route).expect("a route is plain values");
            let _infallible = write!(text, "\n[[routes]]\n{entry}");
        }
        text
    }
}
