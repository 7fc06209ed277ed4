//! Calls of a real process that fail, by strace: which there are, and which is to fail next.
//!
//! ```text
//! strace -f -ttt -y -o FILE -e trace=… [-P PATH … -e inject=CALL:error=EIO:when=N]  tidegate start …
//! FILE:  PID TIME pwritev(9</disk/hub/wal/log-0000000000000001.seg>, …) = -1 EIO (Input/output error) (INJECTED)
//! ```
//!
//! A call that is made to fail is not made at all. So a sync that is made to fail has synced nothing, and a power loss after it
//! shows whether somebody took it for done.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The calls by which the hub changes files and folders.
const CALLS: &str =
    "pwritev,pwrite64,write,fdatasync,fsync,ftruncate,fallocate,rename,renameat,renameat2,unlink,unlinkat";

/// A call on a kind of file, as `fdatasync wal/log-*.seg`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Site {
    /// The system call.
    pub call: String,
    /// The file below the data directory, without numbers.
    pub kind: String,
}

/// One failure that is to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injection {
    /// Where.
    pub site: Site,
    /// What happens instead of the call: `error=EIO`, or `retval=0` for a call that says it was done and was not.
    pub instead: &'static str,
    /// Which such calls of each thread, as strace counts: `3` the third alone, `1+` all.
    pub when: String,
}

impl Injection {
    /// All such calls say that they were done, and were not.
    #[must_use]
    pub fn lie(call: &str, kind: &str) -> Self {
        let (call, kind) = (call.to_owned(), kind.to_owned());
        Self {
            site: Site { call, kind },
            instead: "retval=0",
            when: "1+".to_owned(),
        }
    }
}

/// What a trace tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// The calls that were made, each with the files it was made on.
    pub sites: BTreeMap<Site, BTreeSet<PathBuf>>,
    /// How many calls were made to fail.
    pub injected: u64,
    /// Seconds from the first of them to the end of the process, if both were seen.
    pub until_end_s: Option<f64>,
}

/// Whether processes can be traced here; if not, why.
///
/// # Errors
/// In words for whoever reads the test's output.
pub fn available() -> Result<(), String> {
    let strace = Command::new("strace")
        .args(["-qq", "-o", "/dev/null", "true"])
        .stderr(Stdio::null())
        .status();
    match strace {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err("strace may not trace here".to_owned()),
        Err(error) => Err(format!("strace: {error} (apt-get install strace)")),
    }
}

/// The words before a program that is to be traced into `file`; with `injection`, only calls on the files of its site, which are
/// `files`.
#[must_use]
pub fn words(file: &Path, injection: Option<(&Injection, &BTreeSet<PathBuf>)>) -> Vec<String> {
    let calls = injection.map_or(CALLS, |(injection, _)| &injection.site.call);
    let file = file.to_str().expect("a UTF-8 path");
    let mut words: Vec<String> = [
        "strace",
        "-f",
        "--seccomp-bpf",
        "-q",
        "-ttt",
        "-y",
        "-s",
        "0",
        "-o",
        file,
    ]
    .map(str::to_owned)
    .into();
    words.extend([
        "-e".to_owned(),
        format!("trace={calls}"),
        "-e".to_owned(),
        "signal=none".to_owned(),
    ]);
    if let Some((injection, files)) = injection {
        for path in files {
            words.extend(["-P".to_owned(), path.to_str().expect("a UTF-8 path").to_owned()]);
        }
        let Injection { site, instead, when } = injection;
        words.extend(["-e".to_owned(), format!("inject={}:{instead}:when={when}", site.call)]);
    }
    words
}

/// Reads what strace wrote of a process whose data directory is `data`.
///
/// # Panics
/// If the file cannot be read.
#[must_use]
pub fn read(file: &Path, data: &Path) -> Told {
    let bytes = std::fs::read(file).expect("strace wrote it");
    tell(&String::from_utf8_lossy(&bytes), data)
}

fn tell(text: &str, data: &Path) -> Told {
    let mut told = Told::default();
    let (mut first, mut last) = (None, None);
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some((_, time)) = words.next().zip(words.next()) else {
            continue;
        };
        let Ok(time) = time.parse::<f64>() else { continue };
        if line.ends_with("(INJECTED)") {
            told.injected += 1;
            first.get_or_insert(time);
        }
        if line.contains("+++ exited with") || line.contains("+++ killed by") {
            last = Some(time);
        }
        let Some((call, arguments)) = words.next().and_then(|word| word.split_once('(')) else {
            continue;
        };
        // The rest of the line may have blanks in it, but no path here has.
        let path = std::iter::once(arguments)
            .chain(words)
            .find_map(|word| path_in(word, data));
        if let Some(path) = path {
            let site = Site {
                call: call.to_owned(),
                kind: kind(&path),
            };
            told.sites.entry(site).or_default().insert(data.join(path));
        }
    }
    // Threads that had ended before the failure are no answer to it.
    told.until_end_s = first
        .zip(last)
        .map(|(first, last)| last - first)
        .filter(|seconds| *seconds >= 0.0);
    told
}

/// The path below `data` that a word of a line names, as `9</disk/hub/x>,` or `"/disk/hub/x",`.
fn path_in(word: &str, data: &Path) -> Option<PathBuf> {
    let begin = word.find(['<', '"'])? + 1;
    let end = begin + word[begin..].find(['>', '"'])?;
    let below = Path::new(&word[begin..end]).strip_prefix(data).ok()?;
    Some(below.to_owned())
}

/// A file's name below the data directory without its number; all images' pages are of one kind, and all their sums.
fn kind(below: &Path) -> String {
    let text = below.to_str().unwrap_or("?");
    let (folder, name) = text.rsplit_once('/').unwrap_or(("", text));
    let name = match name.split_once('-') {
        Some(("log", rest)) if rest.ends_with(".seg") => "log-*.seg".to_owned(),
        Some(("image", rest)) => match rest.rsplit_once('.') {
            Some((_, ending)) => format!("image-*.{ending}"),
            None => "image-*".to_owned(),
        },
        _ => name.to_owned(),
    };
    if folder.is_empty() {
        name
    } else {
        format!("{folder}/{name}")
    }
}

/// The files that a kind may have: those that were seen, and for a log's segments those that come next.
#[must_use]
pub fn files_to_come(seen: &BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
    const NEXT: u64 = 48;
    let mut files = seen.clone();
    for path in seen {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
        let digits = name.strip_prefix("log-").and_then(|rest| rest.strip_suffix(".seg"));
        let Some(number) = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()) else {
            continue;
        };
        files.extend((number..number + NEXT).map(|number| path.with_file_name(format!("log-{number:016x}.seg"))));
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "\
        7 100.5 pwritev(9</d/hub/wal/log-000000000000000a.seg>, [{iov_base=\"\"...}], 3, 4096) = 8192\n\
        8 100.6 fdatasync(9</d/hub/wal/log-000000000000000a.seg> <unfinished ...>\n\
        7 100.7 rename(\"/d/hub/wal/log-unfinished.tmp\", \"/d/hub/wal/log-000000000000000b.seg\") = 0\n\
        8 100.8 <... fdatasync resumed>)        = -1 EIO (Input/output error) (INJECTED)\n\
        7 100.8 write(2</dev/null>, \"\"..., 5) = 5\n\
        8 101.0 +++ exited with 1 +++\n\
        7 101.25 +++ exited with 1 +++\n";

    #[test]
    fn a_trace_names_calls_and_kinds_of_files() {
        let told = tell(TRACE, Path::new("/d/hub"));
        let names: Vec<String> = told
            .sites
            .keys()
            .map(|site| format!("{} {}", site.call, site.kind))
            .collect();
        assert_eq!(
            names,
            [
                "fdatasync wal/log-*.seg",
                "pwritev wal/log-*.seg",
                "rename wal/log-unfinished.tmp"
            ]
        );
        assert_eq!(told.injected, 1);
        assert_eq!(told.until_end_s.map(|seconds| (seconds * 100.0).round()), Some(45.0));
    }

    #[test]
    fn segments_have_successors() {
        let seen = BTreeSet::from([
            PathBuf::from("/d/wal/log-000000000000000f.seg"),
            PathBuf::from("/d/wal"),
        ]);
        let files = files_to_come(&seen);
        assert!(files.contains(Path::new("/d/wal/log-0000000000000010.seg")));
        assert_eq!(files.len(), 49);
    }
}
