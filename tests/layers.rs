//! Who may import whom. The table is the design; every `use crate::` (and `crate::` path) is held against it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const GROUND: [&str; 6] = ["domain", "policy", "observe", "settings", "faults", "web"];
const HOPS: [&str; 9] = ["client", "dns", "tls", "edge", "balancer", "api", "service", "store", "supplier"];

/// What `module` may import besides itself.
fn allowed(module: &str) -> BTreeSet<&'static str> {
    // The ground: only what is to its left.
    let mut allowed: BTreeSet<&'static str> = GROUND.into_iter().take_while(|other| *other != module).collect();
    let more: &[&str] = match module {
        "edge" => &["tls", "balancer"],
        "api" => &["service"],
        "service" => &["store", "client"],
        "client" | "dns" | "tls" | "balancer" | "store" | "supplier" => &[],
        module if GROUND.contains(&module) => &[],
        "stack" => &HOPS,
        "lab" => &["stack", "client"],
        "course" => &["lab"],
        "workshop" => &["lab", "course"],
        // Of the store, only its own database, the password hasher, the errors of backups and those they share.
        "console" => &["stack", "lab", "course", "workshop", "tls", "store"],
        "cli" => &[
            "client", "dns", "tls", "edge", "balancer", "api", "service", "store", "supplier", "stack", "lab",
            "course", "workshop", "console",
        ],
        other => panic!("src/{other} has no place in the table"),
    };
    allowed.extend(more);
    allowed
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("src is readable") {
        let path = entry.expect("an entry of src").path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
}

/// The top-level module that each `crate::` path in `text` names, and the second part of the path.
fn imports(text: &str) -> Vec<(String, String)> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let paths = code.split("crate::").skip(1).map(|rest| {
        let first = word(rest);
        let second = rest[first.len()..].strip_prefix("::").map(word).unwrap_or_default();
        (first, second)
    });
    paths.collect()
}

fn module_of(file: &Path, src: &Path) -> String {
    let relative = file.strip_prefix(src).expect("below src");
    relative.components().next().expect("a name").as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

#[test]
fn every_import_follows_the_table() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    let mut wrong = BTreeMap::new();
    for file in files {
        let module = module_of(&file, &src);
        if module == "main" || module == "lib" {
            continue;
        }
        let allowed = allowed(&module);
        let text = fs::read_to_string(&file).expect("a source file");
        assert!(
            !text.contains("use crate::{"),
            "{}: name the module after crate:: so that it can be checked",
            file.display()
        );
        for (import, inner) in imports(&text) {
            let console_in_store = module == "console"
                && import == "store"
                && !["control", "hasher", "backup", "StoreError"].contains(&inner.as_str());
            if import != module && (!allowed.contains(import.as_str()) || console_in_store) {
                wrong
                    .entry(file.display().to_string())
                    .or_insert_with(BTreeSet::new)
                    .insert(format!("{import}::{inner}"));
            }
        }
    }
    assert!(wrong.is_empty(), "imports against the table: {wrong:#?}");
}

#[test]
fn sql_stands_in_the_store_alone() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    for file in files {
        let text = fs::read_to_string(&file).expect("a source file");
        let module = module_of(&file, &src);
        assert!(module == "store" || !text.contains("rusqlite"), "{} knows the database", file.display());
        let http = ["hyper::", "actix_web::"].iter().any(|name| text.contains(name));
        let may = ["edge", "balancer", "api", "client", "console", "supplier", "web"].contains(&module.as_str());
        assert!(may || !http, "{} knows HTTP", file.display());
    }
}

#[test]
fn the_root_exports_nothing_again() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).expect("src/lib.rs");
    assert!(!text.contains("pub use"), "a re-export at the root hides who imports whom");
}
