//! Where two results were measured: what makes two machines of it, and what else is not the same.

use crate::report::Environment;

/// What only two machines can differ in, or one that was changed into another: then a ratio is none of the programs.
pub(super) fn apart(a: &Environment, b: &Environment) -> Vec<String> {
    let [of_a, of_b] = [a, b].map(|place| (&place.cpu, place.cores));
    let mut apart = Vec::new();
    if of_a.0 != of_b.0 {
        apart.push(format!("processor {} and {}", of_a.0, of_b.0));
    }
    if of_a.1 != of_b.1 {
        apart.push(format!("{} and {} cores", of_a.1, of_b.1));
    }
    apart.extend(features(&a.cpu_features, &b.cpu_features));
    apart
}

/// Two generations of a processor may bear one name: what they can do tells them apart.
fn features(a: &[String], b: &[String]) -> Option<String> {
    let only = |these: &[String], those: &[String]| -> Vec<String> {
        let missing = these.iter().filter(|feature| !those.contains(feature));
        missing.cloned().collect()
    };
    let (of_a, of_b) = (only(a, b).join(" "), only(b, a).join(" "));
    match (a.is_empty(), b.is_empty()) {
        _ if of_a.is_empty() && of_b.is_empty() => None,
        (true, _) => Some("A, an older result, does not tell its processor's features".to_owned()),
        (_, true) => Some("B, an older result, does not tell its processor's features".to_owned()),
        _ if of_b.is_empty() => Some(format!("only A's processor has {of_a}")),
        _ if of_a.is_empty() => Some(format!("only B's processor has {of_b}")),
        _ => Some(format!("only A's processor has {of_a}, only B's {of_b}")),
    }
}

/// What else a reader should know: one machine may be set up in many ways.
pub(super) fn differences(a: &Environment, b: &Environment) -> Vec<String> {
    let facts = |place: &Environment| {
        [
            ("clock governor", place.governor.clone()),
            ("memory", memory(place)),
            ("kernel", place.kernel.clone()),
            ("filesystem", place.filesystem.clone()),
            ("allocator", place.allocator.clone()),
            ("build", place.build.clone()),
            ("verifier", place.backend.clone()),
        ]
    };
    let mut all = Vec::new();
    for ((what, of_a), (_, of_b)) in facts(a).into_iter().zip(facts(b)) {
        let [of_a, of_b] = [of_a, of_b].map(|text| if text.is_empty() { "not told".to_owned() } else { text });
        if of_a != of_b {
            all.push(format!("another {what}: A {of_a}, B {of_b}"));
        }
    }
    all
}

/// As a person would say it: a kernel keeps a little more or less for itself.
fn memory(place: &Environment) -> String {
    match place.memory_bytes {
        0 => String::new(),
        bytes => format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Environment {
        Environment {
            cpu: "c".to_owned(),
            cores: 2,
            cpu_features: vec!["avx2".to_owned(), "bmi2".to_owned()],
            memory_bytes: 8 << 30,
            ..Environment::default()
        }
    }

    #[test]
    fn one_machine_is_one_whatever_its_kernel() {
        let other = Environment {
            kernel: "6.18".to_owned(),
            memory_bytes: (8 << 30) - 4_096,
            ..place()
        };
        assert!(apart(&place(), &other).is_empty());
        assert_eq!(differences(&place(), &other), ["another kernel: A not told, B 6.18"]);
    }

    #[test]
    fn processor_cores_and_features_make_two_machines() {
        let mut other = place();
        "d".clone_into(&mut other.cpu);
        assert_eq!(apart(&place(), &other), ["processor c and d"]);
        let other = Environment { cores: 4, ..place() };
        assert_eq!(apart(&place(), &other), ["2 and 4 cores"]);
        let features = |text: &str| Environment {
            cpu_features: text.split_whitespace().map(str::to_owned).collect(),
            ..place()
        };
        assert_eq!(
            apart(&place(), &features("bmi2 avx512f")),
            ["only A's processor has avx2, only B's avx512f"]
        );
        assert_eq!(apart(&place(), &features("bmi2")), ["only A's processor has avx2"]);
        assert_eq!(apart(&place(), &features("bmi2 avx2")), [""; 0]);
        assert!(apart(&place(), &features(""))[0].starts_with("B, an older result"));
    }

    #[test]
    fn how_a_machine_is_set_up_is_told() {
        let mut other = place();
        "powersave".clone_into(&mut other.governor);
        "ext4".clone_into(&mut other.filesystem);
        "system".clone_into(&mut other.allocator);
        other.memory_bytes = 4 << 30;
        let all = differences(&place(), &other).join("\n");
        for part in [
            "governor: A not told, B powersave",
            "memory: A 8.0 GiB, B 4.0 GiB",
            "B ext4",
            "B system",
        ] {
            assert!(all.contains(part), "{all}");
        }
    }
}
