//! A hub that runs out of descriptors. The hub is a process of its own, so that its peers are not in the same straits.

mod support;

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use support::*;
use tidegate_reactor::Config;

const THIS_TEST: &str = "without_descriptors_peers_are_refused_and_the_loop_goes_on";
const IN_CHILD: &str = "TIDEGATE_TEST_HUB_WITH_FEW_DESCRIPTORS";

/// The hub's process: says where it is, and judges itself when its standard input ends.
fn hub_process() {
    let hub = Hub::start(Config::default(), 60_000);
    println!("address={}", hub.address);
    let mut nothing = [0; 1];
    assert_eq!(std::io::stdin().read(&mut nothing).unwrap(), 0);
    let before = hub.stats.turns.get();
    std::thread::sleep(Duration::from_millis(300));
    let turns = hub.stats.turns.get() - before;
    assert!(turns < 20, "{turns} turns while nothing happened");
    assert!(hub.stats.refused.get() > 0, "{:?}", hub.stats);
    hub.stop(50);
}

/// True if the hub has closed this connection.
fn is_refused(mut stream: &TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    match stream.read(&mut [0; 1]) {
        Ok(count) => count == 0,
        Err(error) => !matches!(
            error.kind(),
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
        ),
    }
}

#[test]
fn without_descriptors_peers_are_refused_and_the_loop_goes_on() {
    if std::env::var_os(IN_CHILD).is_some() {
        hub_process();
        return;
    }
    let mut hub = Command::new("sh")
        .args([
            "-c",
            &format!("ulimit -n 32; exec \"$0\" --exact {THIS_TEST} --nocapture"),
        ])
        .arg(std::env::current_exe().unwrap())
        .env(IN_CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(hub.stdout.take().unwrap()).lines();
    let address = output
        .find_map(|line| Some(line.unwrap().split_once("address=")?.1.parse().unwrap()))
        .unwrap();

    let mut known = Blocking::connect(address, 1);
    let strangers: Vec<TcpStream> = (0..60).map(|_| TcpStream::connect(address).unwrap()).collect();
    // 32 descriptors, of which the known peer, the loop and the standard streams have some.
    wait_until("the strangers who are too many are refused", || {
        strangers.iter().filter(|stream| is_refused(stream)).count() >= 30
    });
    assert!(strangers.iter().any(|stream| !is_refused(stream)));
    known.send(ECHO, &[b"still here"]);
    assert_eq!(known.receive().unwrap().1, b"still here");

    drop(strangers);
    let mut late = None;
    wait_until("room again", || {
        late = Blocking::try_connect(address, 2);
        late.is_some()
    });
    let mut late = late.unwrap();
    late.send(ECHO, &[b"room again"]);
    assert_eq!(late.receive().unwrap().1, b"room again");
    drop(hub.stdin.take());
    assert!(hub.wait().unwrap().success());
}
