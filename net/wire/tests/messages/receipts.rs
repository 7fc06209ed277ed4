//! Receipts that are written leaf by leaf.

use tidegate_wire::frame::{MAX_BODY, MessageReader};
use tidegate_wire::lengths::MAX_RECEIPT_BODY;
use tidegate_wire::messages::{Body, EntryShape, Receipt, ReceiptEntry, ReceiptWriter};
use tidegate_wire::{ToClient, WireError};

use crate::samples::{bare_entry, entry, fill};

/// The entries of each message in `bytes`, by index.
fn indices(bytes: &[u8], header: &[u8; 248]) -> Vec<Vec<u32>> {
    let (mut input, mut reader, mut messages) = (bytes, MessageReader::new(MAX_BODY), Vec::new());
    while let Some((head, body)) = reader.next(&mut input).unwrap() {
        assert!(body.len() <= MAX_RECEIPT_BODY);
        assert_eq!(head.request, 0);
        let ToClient::Receipt(receipt) = ToClient::decode(&head, body).unwrap() else {
            panic!("only receipts were written");
        };
        assert_eq!(receipt.header, header);
        messages.push(receipt.entries.iter().map(|e| e.index).collect());
    }
    messages
}

#[test]
fn a_writer_and_a_body_give_the_same_bytes() {
    let header = fill(1);
    let entries = [entry(), bare_entry()];
    let mut whole = vec![0xee; 3];
    let body = Receipt {
        header: &header,
        entries: (&entries[..]).into(),
    };
    body.append(0, &mut whole).unwrap();
    let mut streamed = vec![0xee; 3];
    let mut writer = ReceiptWriter::new(&mut streamed, &header);
    entries.iter().for_each(|entry| writer.push(entry));
    assert_eq!(whole, streamed);
}

#[test]
fn a_full_message_is_followed_by_another_with_the_same_header() {
    let header = fill(2);
    let credits = vec![fill::<80>(3); 1500];
    let mut out = Vec::new();
    let mut writer = ReceiptWriter::new(&mut out, &header);
    for index in 0..40 {
        writer.push(&ReceiptEntry {
            index,
            credits: &credits,
            ..bare_entry()
        });
    }
    let messages = indices(&out, &header);
    assert_eq!(messages.concat(), (0..40).collect::<Vec<_>>());
    assert_eq!(messages.iter().map(Vec::len).collect::<Vec<_>>(), [8; 5]);
}

#[test]
fn a_path_may_rest_on_the_entry_before_in_the_same_message_alone() {
    let header = fill(6);
    let credits = vec![fill::<80>(3); 1500];
    let mut out = Vec::new();
    let mut writer = ReceiptWriter::new(&mut out, &header);
    let before: Vec<_> = (0..20)
        .map(|index| {
            let entry = ReceiptEntry {
                index,
                credits: &credits,
                ..bare_entry()
            };
            let before = writer.before(&entry.shape());
            writer.push(&ReceiptEntry {
                shared: before.is_some(),
                ..entry
            });
            before
        })
        .collect();
    // Eight to a message.
    let expected: Vec<_> = (0..20_u32).map(|at| (at % 8 != 0).then(|| at - 1)).collect();
    assert_eq!(before, expected);
    assert_eq!(indices(&out, &header).len(), 3);
}

#[test]
fn nothing_is_written_for_no_leaves() {
    let (header, mut out) = (fill(4), Vec::new());
    drop(ReceiptWriter::new(&mut out, &header));
    assert!(out.is_empty());
}

#[test]
#[should_panic(expected = "the entry is as wide as its counts say")]
fn a_leaf_of_another_width_than_announced_stops_the_writer() {
    let (header, mut out) = (fill(5), Vec::new());
    let mut writer = ReceiptWriter::new(&mut out, &header);
    writer.push_with(&EntryShape::default(), |out| out.push(1));
}

#[test]
fn a_receipt_above_a_mebibyte_is_refused_unread() {
    let body = vec![0; MAX_RECEIPT_BODY + 1];
    let error = Receipt::decode(&body).unwrap_err();
    assert!(
        matches!(
            error,
            WireError::TooMany {
                field: "bytes of a receipt",
                ..
            }
        ),
        "{error}"
    );
    let trailing = Receipt::decode(&body[1..]).unwrap_err();
    assert!(matches!(trailing, WireError::Decode(_)), "{trailing}");
}
