//! The client in Python is written from `net/README.md` alone: every name, number and width that it uses stands there.

const DOCUMENT: &str = include_str!("../../../net/README.md");
const WIRE: &str = include_str!("../python/wire.py");
const OBJECTS: &str = include_str!("../python/objects.py");
const CONFORMANCE: &str = include_str!("../python/conformance.py");

/// The document without line breaks, and without the worked example, which shows bytes and not rules.
fn rules() -> String {
    let (before, behind) = DOCUMENT
        .split_once("\n## 7. Worked example")
        .expect("the example is section 7");
    let (_, after) = behind.split_once("\n## 8.").expect("section 8 follows");
    let words: Vec<&str> = before.split_whitespace().chain(after.split_whitespace()).collect();
    words.join(" ")
}

/// What stands between two marks, wherever they occur in a text.
fn between<'a>(text: &'a str, begin: &'a str, end: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(begin).skip(1).filter_map(move |rest| rest.split(end).next())
}

#[test]
fn every_purpose_of_a_hash_is_named() {
    let rules = rules();
    let calls = [WIRE, OBJECTS, CONFORMANCE].map(|text| between(text, "tagged(\"", "\"").collect::<Vec<_>>());
    let trees = [
        "outcome node",
        "outcome root",
        "list node",
        "list root",
        "receipt node",
        "receipt root",
    ];
    assert!(
        trees
            .iter()
            .all(|name| (WIRE.to_owned() + OBJECTS).contains(&format!("\"{name}\"")))
    );
    let names: Vec<&str> = calls.concat().into_iter().chain(trees).collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        let named = rules.contains(&format!("\"{name}\"")) || rules.contains(&format!("`{name}`"));
        assert!(named, "the document does not name the hash `{name}`");
    }
    assert!(OBJECTS.contains("\"tidegate v1 \"") && rules.contains("\"tidegate v1 \""));
}

#[test]
fn every_code_is_the_documents() {
    let rules = rules();
    let mut codes = 0;
    for line in WIRE
        .lines()
        .filter(|line| line.contains(" = ") && line.starts_with(char::is_uppercase))
    {
        let (names, numbers) = line.split_once(" = ").expect("filtered");
        for (name, number) in names.split(", ").zip(numbers.split(", ")) {
            let row = format!("| {number} | `{}` |", camel_of(name));
            let entry = format!("{number} `{}`", camel_of(name));
            if matches!(name, "CLIENT" | "HUB" | "PLAIN_MAX") {
                continue;
            }
            codes += 1;
            assert!(
                rules.contains(&row) || rules.contains(&entry),
                "{name} = {number}: no `{row}`"
            );
        }
    }
    assert!(codes >= 14, "{codes}");
    for (kind, name) in [
        (1, "client state"),
        (2, "ack"),
        (3, "batch header"),
        (4, "transaction"),
        (5, "session"),
        (7, "attach"),
    ] {
        assert!(rules.contains(&format!("{kind} {name}")), "{kind} {name}");
    }
    assert!(OBJECTS.contains("STATE, ACK, HEADER, TRANSACTION, SESSION, ATTACH = 1, 2, 3, 4, 5, 7"));
    assert!(
        WIRE.contains("CLIENT, HUB = 1, 2") && rules.contains("role 1 for the end that connected, 2 for the other")
    );
}

fn camel_of(name: &str) -> String {
    name.split('_')
        .map(|word| word[..1].to_owned() + &word[1..].to_lowercase())
        .collect()
}

/// Widths that the client cuts by, each beside the words that give it.
#[test]
fn every_width_is_the_documents() {
    let rules = rules();
    for (code, text) in [
        (
            "take(216), take(96)",
            "| 24 | 216 | private part of the leaf, *signed* |",
        ),
        ("take(32) for _ in range(path)", "p × 32 | path, from the leaf up"),
        ("take(80) for _ in range(credits)", "k × 80 | credits"),
        ("take(96) for _ in range(outcomes)", "o × 96 | outcomes"),
        ("take(16)", "a × 16 | request u64, c u64"),
        ("take(104) for _ in range(changes)", "i × 104 | change to an in-lock"),
        ("\"<IIIIIHH\"", "the leaf's index in the batch"),
        ("\"<IHHQ\"", "length u32 | kind u16 | version u16 | request u64"),
        ("PLAIN_MAX = 16384", "1 … 16 384 bytes of plaintext"),
        ("padded(self.private, 256)", "`hash(\"leaf private\", pad 256)`"),
        ("padded(self.public, 128)", "`hash(\"leaf public\", pad 128)`"),
        ("padded(self.encode(), 192)", "`hash(\"client state\", pad 192)`"),
        ("padded(outcome, 128)", "`hash(\"outcome\", outcome, pad 128)`"),
        ("padded(credit[:48], 64)", "lock 32, salt 16, pad 64"),
        (
            "self.raw[:184], self.raw[184:]",
            "184 bytes and the hub's signature 64 of kind 3",
        ),
        ("struct.pack(\"<II8x\", 1, 0)", "flags; bit 0: push `AckProof`"),
        ("\"<IIIIIIQQQQIIQI\", body, 64", "key that signs batches"),
        (
            "8 + i * 48 : 56 + i * 48",
            "count × (outpoint 36, kind u8, 0 × 3, amount u64)",
        ),
        ("struct.pack(\"<IIQ\", 240, 1, change)", "**Channel terms**, 240 bytes"),
        ("{1: 32, 5: 240}", "1, a key 32; 5, channel terms 240"),
    ] {
        let used = [WIRE, OBJECTS, CONFORMANCE].iter().any(|file| file.contains(code));
        assert!(used, "the client does not say `{code}` any more");
        assert!(rules.contains(text), "the document does not say `{text}`");
    }
}
