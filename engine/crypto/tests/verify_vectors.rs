//! Published signatures and their verdicts by rules 3 and 4: RFC 8032, Wycheproof, and the twelve of speccheck.

#[allow(dead_code, reason = "each test program uses a part")]
mod paths;

use std::path::Path;

use tidegate_crypto::keys::{KeyError, PublicKey, SecretKey};
use tidegate_crypto::verify::{Item, Verdict, verify};
use tidegate_types::{KeyBytes, SignatureBytes};

/// Rule 3, then rule 4 by every path that this processor has; the paths must agree.
fn judge(key: [u8; 32], message: &[u8], signature: [u8; 64]) -> Result<Verdict, KeyError> {
    let key = PublicKey::register(KeyBytes::from_bytes(key))?;
    let signature = SignatureBytes::from_bytes(signature);
    let verdict = verify(&key, message, &signature);
    for verifier in paths::verifiers(1 << 20) {
        let backend = verifier.backend();
        let item = Item {
            key: verifier.register(&key),
            message,
            signature: &signature,
        };
        for tier in 0..3 {
            assert_eq!(verifier.verify_one(&item), verdict, "{backend}, tier {tier}");
            let mut batch = [Verdict::Invalid; 9];
            verifier.verify_batch(&[item; 9], &mut batch);
            assert_eq!(batch, [verdict; 9], "{backend}, tier {tier}");
            verifier.maintain(usize::MAX);
        }
    }
    Ok(verdict)
}

fn array<const N: usize>(hex_digits: &str) -> [u8; N] {
    hex::decode(hex_digits).expect("hex").try_into().expect("length")
}

/// RFC 8032, section 7.1: secret key, public key, message, signature. TEST 1024 stands in Wycheproof's set too.
const RFC_8032: [[&str; 4]; 4] = [
    [
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ],
    [
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ],
    [
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ],
    [
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ],
];

#[test]
fn rfc_8032_signatures_are_made_and_valid() {
    for [seed, key, message, signature] in RFC_8032 {
        let secret = SecretKey::from_seed(array(seed));
        let (key, message, signature) = (array(key), hex::decode(message).expect("hex"), array(signature));
        assert_eq!(secret.public().bytes().as_bytes(), &key);
        assert_eq!(secret.sign(&message).as_bytes(), &signature);
        assert_eq!(judge(key, &message, signature), Ok(Verdict::Valid));
        let mut bad = signature;
        bad[17] ^= 4;
        assert_eq!(judge(key, &message, bad), Ok(Verdict::Invalid));
    }
}

#[test]
fn wycheproof_verdicts_hold() {
    use wycheproof::TestResult;
    use wycheproof::eddsa::{TestName, TestSet};
    let set = TestSet::load(TestName::Ed25519).expect("the crate carries the set");
    let mut judged = 0;
    for group in &set.test_groups {
        let key: [u8; 32] = group.key.pk.as_ref().try_into().expect("32 bytes");
        for case in &group.tests {
            // A signature of another length never becomes `SignatureBytes`; the set has none that is valid.
            let verdict = match <[u8; 64]>::try_from(case.sig.as_ref()) {
                Ok(signature) => judge(key, &case.msg, signature).expect("the set's keys satisfy rule 3"),
                Err(_) => Verdict::Invalid,
            };
            assert_eq!(
                verdict.is_valid(),
                case.result == TestResult::Valid,
                "case {}: {}",
                case.tc_id,
                case.comment
            );
            judged += 1;
        }
    }
    assert!(judged >= 150, "the set was {judged} cases only");
}

/// What rules 3 and 4 say of the cases of speccheck ("Taming the many EdDSAs", table 5), by index.
const SPECCHECK: [Result<Verdict, KeyError>; 12] = [
    Err(KeyError::SmallOrder),   // S = 0, small A and R
    Err(KeyError::SmallOrder),   // small A, mixed R
    Err(KeyError::Torsion),      // mixed A, small R
    Err(KeyError::Torsion),      // mixed A and R, satisfies the cofactorless equation
    Err(KeyError::Torsion),      // mixed A and R, satisfies only the cofactored equation
    Err(KeyError::Torsion),      // mixed A, prime-order R
    Ok(Verdict::Invalid),        // S > L
    Ok(Verdict::Invalid),        // S far above L
    Err(KeyError::Torsion),      // mixed A, non-canonical small R
    Err(KeyError::Torsion),      // the same, R reduced before it was hashed
    Err(KeyError::NotCanonical), // non-canonical small A
    Err(KeyError::NotCanonical), // the same, A reduced before it was hashed
];

#[test]
fn speccheck_cases_are_judged_by_rules_3_and_4() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/ed25519_speccheck.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("skipped: no ../shared/data");
        return;
    };
    let cases: Vec<serde_json::Value> = serde_json::from_str(&text).expect("JSON");
    assert_eq!(cases.len(), SPECCHECK.len());
    for (index, (case, expected)) in cases.iter().zip(SPECCHECK).enumerate() {
        let field = |name: &str| case[name].as_str().expect("a string");
        let message = hex::decode(field("message")).expect("hex");
        let verdict = judge(array(field("pub_key")), &message, array(field("signature")));
        assert_eq!(verdict, expected, "case {index}");
    }
}
