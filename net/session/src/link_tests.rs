//! Links between hubs: the same promises as those of a client's session, by the other pattern.

use super::*;
use crate::frame::{XX_COOKIE_LEN, XX_FIRST_LEN, XX_SECOND_LEN, XX_THIRD_LEN};

fn own(identity: u8) -> ServerConfig {
    ServerConfig {
        noise: NoiseSecret::from_bytes([identity; 32]),
        identity: SecretKey::from_seed([identity; 32]),
        links: true,
        ..server_config(Limits::default())
    }
}

fn key(identity: u8) -> PublicKey {
    SecretKey::from_seed([identity; 32]).public()
}

fn begin(from: u8, to: u8, cookie: Option<&Cookie>) -> End {
    let config = LinkConfig {
        own: Arc::new(own(from)),
        peer: key(to),
    };
    let mut out = Buffer::new();
    let session = Session::link(Arc::new(config), cookie, START, &mut out).unwrap();
    End::new(session, out)
}

#[test]
fn both_hubs_learn_the_proved_identity_of_the_other() {
    let (mut near, mut far) = (begin(31, 32, None), End::hub(own(32)));
    assert!(!far.session.is_link(), "that is not known yet");
    pump(&mut near, &mut far).unwrap();
    assert_eq!(near.session.poll_event(), Some(Event::Ready { peer: key(32) }));
    assert_eq!(far.session.poll_event(), Some(Event::Ready { peer: key(31) }));
    assert!(near.session.is_link() && far.session.is_link());
    let sealed = near.seal(b"from hub");
    far.feed(&sealed).unwrap();
    let sealed = far.seal(b"to hub");
    near.feed(&sealed).unwrap();
    assert_eq!(
        (far.plain.bytes(), near.plain.bytes()),
        (&b"from hub"[..], &b"to hub"[..])
    );
}

/// What each end says, message by message: the widths are those of the specification.
#[test]
fn a_link_is_made_in_five_frames() {
    let (mut near, mut far) = (begin(31, 32, None), End::hub(own(32)));
    let proof = PROOF_LEN + TAG_LEN;
    let mut said = Vec::new();
    while !near.out.is_empty() || !far.out.is_empty() {
        let bytes = near.take_out();
        said.push(bytes.len());
        far.feed(&bytes).unwrap();
        let bytes = far.take_out();
        said.push(bytes.len());
        near.feed(&bytes).unwrap();
    }
    let frames = [XX_FIRST_LEN, XX_SECOND_LEN, XX_THIRD_LEN, proof, proof].map(|len| len + PREFIX_LEN);
    assert_eq!(said[..5], frames);
}

#[test]
fn byte_by_byte_gives_the_same_link() {
    let (mut near, mut far) = (begin(31, 32, None), End::hub(own(32)));
    while !near.session.is_ready() || !far.session.is_ready() {
        for byte in near.take_out() {
            far.feed(&[byte]).unwrap();
        }
        for byte in far.take_out() {
            near.feed(&[byte]).unwrap();
        }
    }
}

/// Runs a link with the byte at `at` of one end's words changed; true if that was noticed.
fn tampered(from_near: bool, at: usize) -> bool {
    let (mut near, mut far) = (begin(31, 32, None), End::hub(own(32)));
    let mut position = 0;
    let mut deliver = |to: &mut End, mut bytes: Vec<u8>, victim: bool| {
        if victim {
            if let Some(byte) = at.checked_sub(position).and_then(|i| bytes.get_mut(i)) {
                *byte ^= 0x10;
            }
            position += bytes.len();
        }
        to.feed(&bytes)
    };
    for _ in 0..3 {
        let bytes = near.take_out();
        if deliver(&mut far, bytes, from_near).is_err() {
            return true;
        }
        let bytes = far.take_out();
        if deliver(&mut near, bytes, !from_near).is_err() {
            return true;
        }
    }
    !near.session.is_ready() || !far.session.is_ready()
}

#[test]
fn a_changed_byte_of_a_link_is_noticed_wherever_it_is() {
    let total = |parts: &[usize]| parts.iter().map(|len| len + 2).sum::<usize>();
    let proof = PROOF_LEN + TAG_LEN;
    for at in 0..total(&[XX_FIRST_LEN, XX_THIRD_LEN, proof]) {
        assert!(tampered(true, at), "byte {at} from the hub that began");
    }
    for at in 0..total(&[XX_SECOND_LEN, proof]) {
        assert!(tampered(false, at), "byte {at} from the other");
    }
    assert!(!tampered(true, usize::MAX), "the script itself is sound");
}

#[test]
fn who_is_not_the_one_that_was_meant_learns_nothing_and_gets_nothing() {
    let (mut near, mut far) = (begin(31, 32, None), End::hub(own(33)));
    far.feed(&near.take_out()).unwrap();
    near.feed(&far.take_out()).unwrap();
    far.feed(&near.take_out()).unwrap();
    let refused = near.feed(&far.take_out());
    let expected = IdentityError::OtherHub {
        expected: key(32).bytes(),
        found: key(33).bytes(),
    };
    assert_eq!(refused, Err(SessionError::Identity(expected)));
    assert!(near.out.is_empty() && !far.session.is_ready());
}

#[test]
fn a_point_of_small_order_begins_no_link() {
    let mut far = End::hub(own(32));
    let first = [&prefix(XX_FIRST_LEN)[..], &[0; XX_FIRST_LEN]].concat();
    assert_eq!(far.feed(&first), Err(SessionError::Handshake(snow::Error::Dh)));
    assert!(far.out.is_empty());
}

#[test]
fn a_hub_without_links_takes_none() {
    let mut near = begin(31, 22, None);
    let mut far = End::hub(server_config(Limits::default()));
    assert!(matches!(far.feed(&near.take_out()[..2]), Err(SessionError::Length(_))));
}

#[test]
fn only_the_lengths_of_both_patterns_begin_a_session_with_links() {
    let good = [XX_FIRST_LEN, XX_COOKIE_LEN, IK_FIRST_LEN, IK_COOKIE_LEN];
    for len in (0..=u16::MAX).filter(|&len| !good.contains(&usize::from(len))) {
        let mut hub = End::hub(own(32));
        assert!(
            matches!(hub.feed(&len.to_le_bytes()), Err(SessionError::Length(_))),
            "{len}"
        );
    }
}

#[test]
fn a_link_shows_the_cookie_that_it_is_asked_for() {
    let challenge = Cookies::new(&NoiseSecret::from_bytes([32; 32])).challenge([7; 16], START);
    let strict = || {
        let session = Session::server(Arc::new(own(32)), Some(challenge), START);
        End::new(session, Buffer::new())
    };
    let (mut near, mut far) = (begin(31, 32, None), strict());
    far.feed(&near.take_out()).unwrap();
    assert_eq!(far.session.poll_event(), Some(Event::SentAway));
    let Err(SessionError::Retry(retry)) = near.feed(&far.take_out()) else {
        panic!("it is asked to come again")
    };
    let (mut near, mut far) = (begin(31, 32, Some(&retry.cookie)), strict());
    pump(&mut near, &mut far).unwrap();
    assert!(near.session.is_ready() && far.session.is_ready());
}
