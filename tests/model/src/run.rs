//! Runs a model to its end, and says what came of it.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::time::{Duration, Instant};

use stateright::report::{ReportData, ReportDiscovery, Reporter};
use stateright::{Checker, CheckerBuilder, HasDiscoveries, Model};

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// Different states that were visited; symmetric ones count once.
    pub states: usize,
    /// The longest path.
    pub depth: usize,
    /// The property that does not hold, and the moves that lead there.
    pub refuted: Option<(&'static str, String)>,
    /// What should have been possible and was not.
    pub missing: Vec<&'static str>,
    /// Wall time.
    pub took: Duration,
}

/// Visits every state that can be reached, or stops at the first that breaks a property.
pub fn run<M>(checker: CheckerBuilder<M>) -> Report
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + PartialEq + Send + Sync + 'static,
{
    let begin = Instant::now();
    let checker = checker.finish_when(HasDiscoveries::AnyFailures).spawn_dfs();
    let checker = checker.join_and_report(&mut Progress::default());
    let properties = checker.model().properties();
    let mut found = checker.discoveries();
    let is_good = |name: &str| {
        let property = properties.iter().find(|property| property.name == name);
        property.is_some_and(|property| !property.expectation.discovery_is_failure())
    };
    let wanted = properties
        .iter()
        .map(|property| property.name)
        .filter(|name| is_good(name));
    let missing = wanted.filter(|name| !found.contains_key(name)).collect();
    found.retain(|name, _| !is_good(name));
    let refuted = found.into_iter().next();
    Report {
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        missing,
        refuted: refuted.map(|(name, path)| {
            let moves = path.into_actions();
            let lines: Vec<String> = moves.iter().map(|action| format!("    {action:?}")).collect();
            (name, lines.join("\n"))
        }),
        took: begin.elapsed(),
    }
}

/// A line on standard error every ten seconds: a long run is not a stuck one.
#[derive(Default)]
struct Progress {
    /// Lines so far.
    lines: u64,
}

impl<M: Model> Reporter<M> for Progress {
    fn report_checking(&mut self, data: ReportData) {
        if !data.done && data.duration.as_secs() >= 10 * self.lines + 2 {
            self.lines += 1;
            eprintln!("… {} states, depth {}", data.unique_states, data.max_depth);
        }
    }

    fn report_discoveries(&mut self, _: &M, _: BTreeMap<&'static str, ReportDiscovery<M>>) {}

    /// The checker waits this long even when it is done.
    fn delay(&self) -> Duration {
        Duration::from_millis(10)
    }
}
