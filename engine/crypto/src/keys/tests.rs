//! Signing against RFC 8032, registration against every kind of point that rule 3 keeps out.

use core::iter::once;

use curve25519_dalek::constants::EIGHT_TORSION;
use proptest::prelude::*;

use super::*;

/// RFC 8032, section 7.1, TEST 1024: the message of 1023 bytes.
const TEST_1024: &str = "\
    08b8b2b733424243760fe426a4b54908632110a66c2f6591eabd3345e3e4eb98fa6e264bf09efe12ee50f8f54e9f77b1e355f6c50544\
    e23fb1433ddf73be84d879de7c0046dc4996d9e773f4bc9efe5738829adb26c81b37c93a1b270b20329d658675fc6ea534e0810a4432\
    826bf58c941efb65d57a338bbd2e26640f89ffbc1a858efcb8550ee3a5e1998bd177e93a7363c344fe6b199ee5d02e82d522c4feba15\
    452f80288a821a579116ec6dad2b3b310da903401aa62100ab5d1a36553e06203b33890cc9b832f79ef80560ccb9a39ce767967ed628\
    c6ad573cb116dbefefd75499da96bd68a8a97b928a8bbc103b6621fcde2beca1231d206be6cd9ec7aff6f6c94fcd7204ed3455c68c83\
    f4a41da4af2b74ef5c53f1d8ac70bdcb7ed185ce81bd84359d44254d95629e9855a94a7c1958d1f8ada5d0532ed8a5aa3fb2d17ba70e\
    b6248e594e1a2297acbbb39d502f1a8c6eb6f1ce22b3de1a1f40cc24554119a831a9aad6079cad88425de6bde1a9187ebb6092cf67bf\
    2b13fd65f27088d78b7e883c8759d2c4f5c65adb7553878ad575f9fad878e80a0c9ba63bcbcc2732e69485bbc9c90bfbd62481d9089b\
    eccf80cfe2df16a2cf65bd92dd597b0707e0917af48bbb75fed413d238f5555a7a569d80c3414a8d0859dc65a46128bab27af87a7131\
    4f318c782b23ebfe808b82b0ce26401d2e22f04d83d1255dc51addd3b75a2b1ae0784504df543af8969be3ea7082ff7fc9888c144da2\
    af58429ec96031dbcad3dad9af0dcbaaaf268cb8fcffead94f3c7ca495e056a9b47acdb751fb73e666c6c655ade8297297d07ad1ba5e\
    43f1bca32301651339e22904cc8c42f58c30c04aafdb038dda0847dd988dcda6f3bfd15c4b4c4525004aa06eeff8ca61783aacec57fb\
    3d1f92b0fe2fd1a85f6724517b65e614ad6808d6f6ee34dff7310fdc82aebfd904b01e1dc54b2927094b2db68d6f903b68401adebf5a\
    7e08d78ff4ef5d63653a65040cf9bfd4aca7984a74d37145986780fc0b16ac451649de6188a7dbdf191f64b5fc5e2ab47b57f7f7276c\
    d419c17a3ca8e1b939ae49e488acba6b965610b5480109c8b17b80e1b7b750dfc7598d5d5011fd2dcc5600a32ef5b52a1ecc820e308a\
    a342721aac0943bf6686b64b2579376504ccc493d97e6aed3fb0f9cd71a43dd497f01f17c0e2cb3797aa2a2f256656168e6c496afc5f\
    b93246f6b1116398a346f1a641f3b041e989f7914f90cc2c7fff357876e506b50d334ba77c225bc307ba537152f3f1610e4eafe595f6\
    d9d90d11faa933a15ef1369546868a7f3a45a96768d40fd9d03412c091c6315cf4fde7cb68606937380db2eaaa707b4c4185c32eddcd\
    d306705e4dc1ffc872eeee475a64dfac86aba41c0618983f8741c5ef68d3a101e8a3b8cac60c905c15fc910840b94c00a0b9d0";

/// SHA-512 of "abc", the message of TEST SHA(abc).
const SHA_ABC: &str = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
    2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";

/// RFC 8032, section 7.1, all five: seed, public key, message, signature.
const RFC_8032: [[&str; 4]; 5] = [
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
        "f5e5767cf153319517630f226876b86c8160cc583bc013744c6bf255f5cc0ee5",
        "278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e",
        TEST_1024,
        "0aab4c900501b3e24d7cdf4663326a3a87df5e4843b2cbdb67cbf6e460fec350aa5371b1508f9f4528ecea23c436d94b5e8fcd4f681e30a6ac00a9704a188a03",
    ],
    [
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        SHA_ABC,
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ],
];

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).expect("vectors are hex")
}

fn array<const N: usize>(text: &str) -> [u8; N] {
    bytes(text).try_into().expect("vectors have the width of their field")
}

#[test]
fn the_signatures_of_rfc_8032_are_made() {
    assert_eq!(bytes(TEST_1024).len(), 1023);
    for [seed, public, message, signature] in RFC_8032 {
        let secret = SecretKey::from_seed(array(seed));
        assert_eq!(secret.public().bytes(), KeyBytes::from_bytes(array(public)));
        assert_eq!(PublicKey::register(secret.public().bytes()), Ok(secret.public()));
        let expected = SignatureBytes::from_bytes(array(signature));
        assert_eq!(secret.sign(&bytes(message)), expected);
    }
}

#[test]
fn the_eight_points_of_small_order_are_refused() {
    for point in EIGHT_TORSION {
        let encoding = KeyBytes::from_bytes(point.compress().0);
        assert_eq!(PublicKey::register(encoding), Err(KeyError::SmallOrder), "{encoding}");
    }
}

/// All 40 byte strings that are not the encoding of their point: y from p to 2²⁵⁵ − 1 with either sign, and x = 0 with
/// the sign bit set.
fn not_canonical() -> impl Iterator<Item = [u8; 32]> {
    let above_p = (0..19).flat_map(|excess| {
        let mut y = [0xff; 32];
        // p = 2²⁵⁵ − 19
        y[0] = 0xed + excess;
        let mut positive = y;
        positive[31] = 0x7f;
        [positive, y]
    });
    let mut one = [0; 32];
    (one[0], one[31]) = (1, 0x80);
    let mut minus_one = [0xff; 32];
    minus_one[0] = 0xec;
    above_p.chain(once(one)).chain(once(minus_one))
}

#[test]
fn no_encoding_that_is_not_canonical_is_taken() {
    let mut decoded = 0;
    let mut taken_by_dalek = 0;
    for encoding in not_canonical() {
        let key = KeyBytes::from_bytes(encoding);
        let error = match CompressedEdwardsY(encoding).decompress() {
            Some(_) => KeyError::NotCanonical,
            None => KeyError::NotAPoint,
        };
        decoded += usize::from(error == KeyError::NotCanonical);
        taken_by_dalek += usize::from(VerifyingKey::from_bytes(&encoding).is_ok());
        assert_eq!(PublicKey::register(key), Err(error), "{key}");
        assert_eq!(PublicKey::from_registered(key), Err(error), "{key}");
    }
    assert_eq!(not_canonical().count(), 40);
    // Of the 19 values above p about half belong to points: 26 strings, the last two of them with x = 0. Were this zero,
    // the test would prove nothing.
    assert_eq!((decoded, taken_by_dalek), (26, 26));
}

#[test]
fn bytes_that_are_no_point_are_refused() {
    // x² = (y² − 1) / (d y² + 1) has no solution at y = 2.
    let mut two = [0; 32];
    two[0] = 2;
    let two = KeyBytes::from_bytes(two);
    assert_eq!(PublicKey::register(two), Err(KeyError::NotAPoint));
    assert_eq!(PublicKey::from_registered(two), Err(KeyError::NotAPoint));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_key_with_a_torsion_part_is_refused(seed: [u8; 32]) {
        let secret = SecretKey::from_seed(seed);
        let point = secret.public().verifying_key().to_edwards();
        prop_assert_eq!(PublicKey::register(secret.public().bytes()), Ok(secret.public()));
        for torsion in &EIGHT_TORSION[1..] {
            let encoding = (point + torsion).compress().0;
            prop_assert!(VerifyingKey::from_bytes(&encoding).is_ok(), "dalek takes it");
            prop_assert_eq!(PublicKey::register(KeyBytes::from_bytes(encoding)), Err(KeyError::Torsion));
        }
    }

    #[test]
    fn whatever_is_registered_is_a_point_of_prime_order_with_these_bytes(encoding: [u8; 32]) {
        let key = KeyBytes::from_bytes(encoding);
        match PublicKey::register(key) {
            Ok(public) => {
                let point = public.verifying_key().to_edwards();
                prop_assert!(point.is_torsion_free() && !point.is_small_order());
                prop_assert_eq!(point.compress().0, encoding);
                prop_assert_eq!(public.bytes(), key);
                prop_assert_eq!(PublicKey::from_registered(key), Ok(public));
            }
            Err(KeyError::NotAPoint) => prop_assert!(CompressedEdwardsY(encoding).decompress().is_none()),
            Err(KeyError::Torsion) => prop_assert!(PublicKey::from_registered(key).is_ok()),
            Err(KeyError::NotCanonical | KeyError::SmallOrder) => prop_assert!(false, "not among random bytes"),
        }
    }
}

#[test]
fn a_secret_key_does_not_show_its_seed() {
    let seed = [0xa7; 32];
    let secret = SecretKey::from_seed(seed);
    let shown = format!("{secret:?} {secret:#?}");
    assert!(!shown.contains("a7a7") && !shown.contains("167"), "{shown}");
    assert!(shown.contains(&secret.public().bytes().to_string()));
}

#[test]
fn keys_are_equal_by_their_bytes() {
    let [a, b] = [[1; 32], [2; 32]].map(|seed| SecretKey::from_seed(seed).public());
    let set: std::collections::HashSet<_> = [a, b, a].into_iter().collect();
    assert_eq!(set.len(), 2);
    assert_ne!(a, b);
}
