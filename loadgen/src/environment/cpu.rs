//! The processor and the memory.

/// Where the kernel tells how it sets the clock of the first core.
pub(super) const GOVERNOR: &str = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";

/// The instruction sets that the program or its libraries choose by.
const FEATURES: [&str; 14] = [
    "sse4_1",
    "avx",
    "avx2",
    "bmi2",
    "adx",
    "aes",
    "vaes",
    "pclmulqdq",
    "vpclmulqdq",
    "sha_ni",
    "avx512f",
    "avx512bw",
    "avx512vl",
    "avx512ifma",
];

/// The processor's name in `/proc/cpuinfo`.
pub(super) fn name(cpuinfo: &str) -> Option<String> {
    field(cpuinfo, "model name").map(str::to_owned)
}

/// Which of [`FEATURES`] it has.
pub(super) fn features(cpuinfo: &str) -> Vec<String> {
    let flags: Vec<&str> = field(cpuinfo, "flags").unwrap_or_default().split(' ').collect();
    let has = FEATURES.iter().filter(|feature| flags.contains(feature));
    has.map(|feature| (*feature).to_owned()).collect()
}

/// Bytes of memory in `/proc/meminfo`.
pub(super) fn memory(meminfo: &str) -> Option<u64> {
    let kib: u64 = field(meminfo, "MemTotal")?.strip_suffix(" kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// What stands behind the first `name` and its colon.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_named_with_what_it_has() {
        let text =
            "processor : 0\nmodel name\t: Some CPU 3\nflags\t\t: fpu avx avx2x avx512ifma\n\nmodel name\t: other\n";
        assert_eq!(name(text).as_deref(), Some("Some CPU 3"));
        assert_eq!(features(text), ["avx", "avx512ifma"]);
        assert_eq!(name("processor : 0\n"), None);
        assert!(features("").is_empty());
    }

    #[test]
    fn memory_is_told_in_bytes() {
        assert_eq!(
            memory("MemTotal:       24605808 kB\nMemFree: 1 kB\n"),
            Some(24_605_808 << 10)
        );
        assert_eq!(memory("MemFree: 1 kB\n"), None);
    }
}
