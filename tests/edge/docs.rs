//! The table of what the edge does names tests that exist.

#[test]
fn every_rule_in_the_docs_names_a_test_that_exists() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = String::new();
    for folder in ["tests", "src/edge", "src/balancer"] {
        read_all(&root.join(folder), &mut sources);
    }
    let docs = std::fs::read_to_string(root.join("data/docs/edge.md")).unwrap();
    let rows: Vec<&str> = docs.lines().filter(|line| line.starts_with("| ")).collect();
    let is_name = |text: &&str| {
        text.contains('_')
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    let named =
        |text: &'_ str| text.split('`').skip(1).step_by(2).filter(is_name).map(str::to_owned).collect::<Vec<_>>();
    assert!(named(&docs).len() > 60, "{docs}");
    for name in named(&docs) {
        assert!(sources.contains(&format!("fn {name}(")), "no test is called {name}");
    }
    let heads = ["| RFC |", "| what |"];
    for row in rows.iter().filter(|row| !heads.iter().any(|head| row.starts_with(head))) {
        assert!(!named(row).is_empty(), "a rule that no test shows: {row}");
    }
}

fn read_all(folder: &std::path::Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, text);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            text.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}
