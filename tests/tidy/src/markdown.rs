//! Links in Markdown files: every relative link must lead to a file or folder of the project, every anchor to a heading.
//!
//! Addresses with a scheme (`https:`) are not followed: the check works without a network.

use std::collections::HashMap;

use crate::Finding;

/// One link of a Markdown text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The line it stands on, from 1.
    pub line: usize,
    /// Where it leads, as written.
    pub target: String,
}

/// The lines of a Markdown text outside fenced code, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let is_fence = line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~");
        fenced ^= is_fence;
        (!fenced && !is_fence).then_some((index + 1, line))
    })
}

/// A line with its `code spans` blanked out.
fn without_code_spans(line: &str) -> String {
    let parts: Vec<&str> = line.split('`').collect();
    let mut out = String::with_capacity(line.len());
    for (index, part) in parts.iter().enumerate() {
        let in_span = index % 2 == 1 && index + 1 < parts.len();
        if in_span {
            out.extend(part.chars().map(|_| ' '))
        } else {
            out.push_str(part)
        }
    }
    out
}

/// All inline links, images and link definitions of a text.
#[must_use]
pub fn links(text: &str) -> Vec<Link> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        let line = without_code_spans(line);
        for (at, _) in line.match_indices("](") {
            let rest = &line[at + 2..];
            let inside = rest.split(')').next().unwrap_or(rest);
            found.push(Link {
                line: number,
                target: target_of(inside),
            });
        }
        if let Some((_, inside)) = line
            .trim_start()
            .strip_prefix('[')
            .and_then(|rest| rest.split_once("]: "))
        {
            found.push(Link {
                line: number,
                target: target_of(inside),
            });
        }
    }
    found
}

/// The address alone, without a title or angle brackets.
fn target_of(inside: &str) -> String {
    let inside = inside.trim();
    match inside.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
        Some((address, _)) => address.to_owned(),
        None => inside.split_whitespace().next().unwrap_or_default().to_owned(),
    }
}

/// The anchors of a text's headings, as GitHub makes them: small letters, blanks to hyphens, other marks dropped,
/// repeated ones numbered.
#[must_use]
pub fn anchors(text: &str) -> Vec<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let headings = prose(text).filter_map(|(_, line)| {
        let title = line.trim_start_matches('#');
        (line.starts_with('#') && title.starts_with(' ')).then(|| title.trim())
    });
    headings
        .map(|title| {
            let slug: String = title
                .to_lowercase()
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect();
            let count = seen.entry(slug.clone()).or_default();
            *count += 1;
            if *count == 1 {
                slug
            } else {
                format!("{slug}-{}", *count - 1)
            }
        })
        .collect()
}

/// A relative address seen from a file: the path from the root of the project, or nothing when it leaves the project.
fn resolve(from: &str, address: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in address.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// Every link of the file `path` that leads nowhere.
///
/// `read` gives the text of a Markdown file; `exists` says whether a file or folder of that path is in the project.
pub fn check(
    path: &str,
    text: &str,
    exists: impl Fn(&str) -> bool,
    read: impl Fn(&str) -> Option<String>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for Link { line, target } in links(text) {
        if target.contains("://") || target.starts_with("mailto:") {
            continue;
        }
        let (file, anchor) = target
            .split_once('#')
            .map_or((target.as_str(), None), |(file, a)| (file, Some(a)));
        let place = if file.is_empty() {
            Some(path.to_owned())
        } else {
            resolve(path, file)
        };
        let Some(place) = place.filter(|place| place.is_empty() || exists(place)) else {
            findings.push(Finding::new(
                path,
                line,
                format!("link to `{target}`, which does not exist"),
            ));
            continue;
        };
        let Some(anchor) = anchor else { continue };
        let text = if place == path {
            Some(text.to_owned())
        } else {
            read(&place)
        };
        if !text.is_some_and(|text| anchors(&text).iter().any(|a| a == anchor)) {
            findings.push(Finding::new(
                path,
                line,
                format!("link to `{target}`: {place} has no such heading"),
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER: &str = "# Other\n## What is *here*?\n## Rows\n## Rows\n";

    fn check_text(text: &str) -> Vec<Finding> {
        let exists = |path: &str| matches!(path, "net" | "net/wire/README.md" | "net/README.md" | "LICENSE");
        check("net/README.md", text, exists, |path| {
            (path == "net/wire/README.md").then(|| OTHER.to_owned())
        })
    }

    #[test]
    fn links_that_lead_somewhere_pass() {
        for good in [
            "[a](wire/README.md)",
            "[a](../LICENSE \"title\")",
            "[a](./wire/README.md#what-is-here) and [b](#title)\n# Title",
            "[a](wire/README.md#rows-1)",
            "[a](https://example.org/x#y)",
            "[a]: ../LICENSE",
            "`[a](gone.md)`",
            "```\n[a](gone.md)\n```",
            "[up](../net)",
        ] {
            assert_eq!(check_text(good), [], "{good}");
        }
    }

    #[test]
    fn links_that_lead_nowhere_are_found() {
        for bad in [
            "[a](gone.md)",
            "![picture](<gone.png>)",
            "[a](wire/README.md#gone)",
            "[a](#gone)",
            "[a](../../LICENSE)",
            "[a]: gone.md",
            "[a](../LICENSE#part)",
            "see `x` and [a](gone.md) and `y`",
        ] {
            let findings = check_text(bad);
            assert_eq!(findings.len(), 1, "{bad}");
            assert_eq!(findings[0].line, 1);
        }
    }
}
