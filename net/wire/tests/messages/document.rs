//! The specification in `net/README.md` names what the code has.

use tidegate_wire::lengths::*;
use tidegate_wire::{ErrorCode, Kind};

use crate::samples::{Way, all};

const DOCUMENT: &str = include_str!("../../../README.md");

#[test]
fn every_code_is_documented_under_its_number() {
    for error in ErrorCode::ALL {
        let row = format!("| {} | `{}` |", error.code(), error.name());
        assert!(DOCUMENT.contains(&row), "{row}");
    }
    for kind in Kind::ALL {
        let taken = all().iter().any(|sample| sample.parts().0.kind == kind.code());
        let mention = if taken {
            format!("**{} `{}`", kind.code(), kind.name())
        } else {
            format!("{} `{}`", kind.code(), kind.name())
        };
        assert!(DOCUMENT.contains(&mention), "{mention}");
        let reserved = DOCUMENT
            .split("Reserved, answered by")
            .nth(1)
            .unwrap()
            .split("\n\n")
            .next()
            .unwrap();
        assert_eq!(reserved.contains(&format!("`{}`", kind.name())), !taken, "{kind}");
    }
}

#[test]
fn the_widths_in_the_document_are_those_of_the_bytes() {
    let len = |name: &str| {
        all()
            .iter()
            .find(|s| s.name == name)
            .map(|s| s.parts().1.len())
            .unwrap()
    };
    for (heading, name) in [
        ("**1 `Hello`**, {} bytes", "hello"),
        ("**1 `Hello` (answer)**, {} bytes", "hello-answer"),
        ("**6 `PayAnswer`**, {} or 128 bytes", "pay-answer-without-stored"),
        ("**6 `PayAnswer`**, 64 or {} bytes", "pay-answer"),
        ("**9 `AckProof`**, {} bytes if nothing was found", "ack-proof-not-found"),
    ] {
        let heading = heading.replace("{}", &len(name).to_string());
        assert!(DOCUMENT.contains(&heading), "{heading}");
    }
    assert!(all().iter().any(|s| s.way == Way::ToHub));
}

#[test]
fn the_caps_in_the_document_are_those_of_the_code() {
    for (text, cap) in [
        ("length of the terms, at most {}", MAX_TERMS_LEN),
        ("inputs, at most {}", MAX_OPEN_INPUTS),
        ("length of the operations, at most {}", MAX_OPERATIONS_LEN),
        ("digests of the path, at most {}", MAX_PATH),
        ("credits, at most {}", MAX_CREDITS),
        ("outcomes, at most {}", MAX_OUTCOMES),
        ("answers, at most {}", MAX_ANSWERS),
        ("open locks, at most {}", MAX_OPEN_LOCKS),
        ("leaves, at most {}", MAX_LEAVES),
        ("links, at most {}", MAX_LEAVES),
        ("stored answers, at most {}", MAX_STORED_ANSWERS),
        ("count u32, at most {}", MAX_UTXOS),
        ("count u32, at most {} lock outputs", MAX_LOCK_OUTPUTS),
        ("blocks, at most {}", MAX_BLOCKS),
        ("the pair, at most {} u32", MAX_PAIR_LEN),
        ("reveals, at most {} u8", MAX_TOWER_REVEALS),
        ("piece of a block, at most {} bytes", MAX_BLOCK_PIECE),
        ("length u32, at most {} | text", MAX_ERROR_TEXT),
        ("transaction, at most {} KiB", MAX_TRANSACTION_LEN >> 10),
        ("**7 `Receipt`**, at most {} MiB", MAX_RECEIPT_BODY >> 20),
        ("addresses, at most {}", MAX_PEERS),
        ("headers, at most {}", MAX_PEER_HEADERS),
    ] {
        let text = text.replace("{}", &cap.to_string());
        assert!(DOCUMENT.contains(&text), "{text}");
    }
}
