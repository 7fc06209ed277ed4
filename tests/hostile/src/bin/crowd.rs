//! A crowd of hostile peers, as a process of its own: `crowd ADDRESS LEDGER NETWORK`, the plan on its standard input.

use tidegate_test_hostile::crowd;

fn main() {
    let mut words = std::env::args().skip(1);
    let mut word = || words.next().expect("crowd ADDRESS LEDGER NETWORK");
    let (address, ledger, network) = (word(), word(), word());
    crowd::play(
        address.parse().expect("a hub's address"),
        ledger.parse().expect("a ledger's id"),
        network.parse().expect("a network's number"),
    );
}
