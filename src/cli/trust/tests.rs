//! In a folder that stands for the root of a system; its programs are scripts.
#![cfg(unix)]

use std::os::unix::fs::PermissionsExt as _;

use super::plan::{Step, Trouble, plan};
use super::store::Kind;
use super::*;
use crate::tls::Authority;

const DEBIAN: &str = "usr/local/share/ca-certificates";

/// A machine of its own, and an authority.
struct Place {
    folder: tempfile::TempDir,
    machine: Machine,
    ca: Ca,
}

fn authority(folder: &Path) -> Ca {
    Authority::load_or_create(folder, time::OffsetDateTime::now_utc()).expect("an authority");
    Ca::read(&folder.join(CA_CERTIFICATE)).expect("its certificate")
}

impl Place {
    /// With a folder of anchors, and the programs that are named.
    fn new(anchors: &str, programs: &[(&str, &str)]) -> Place {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("root");
        fs::create_dir_all(root.join(anchors)).expect("a folder");
        fs::create_dir_all(root.join("usr/bin")).expect("a folder");
        for (name, script) in programs {
            let path = root.join("usr/bin").join(name);
            fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a script");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
        }
        let ca = authority(&folder.path().join("data"));
        let machine = Machine { home: Some(root.join("home")), root };
        Place { folder, machine, ca }
    }

    fn system(&self) -> Store {
        self.machine.system_store().expect("a known system")
    }

    fn steps(&self, change: Change) -> Vec<Step> {
        plan(change, &self.system(), &self.ca).expect("a plan")
    }

    fn anchors(&self) -> Vec<String> {
        let files = fs::read_dir(self.machine.root.join(DEBIAN)).expect("a folder");
        files.map(|file| file.expect("a file").file_name().into_string().expect("text")).collect()
    }
}

#[cfg(target_os = "linux")]
#[test]
fn each_family_writes_into_its_own_folder_and_gathers_with_its_own_command() {
    for (anchors, command, install, uninstall) in [
        (DEBIAN, "update-ca-certificates", &[][..], &["--fresh"][..]),
        ("etc/pki/ca-trust/source/anchors", "update-ca-trust", &["extract"], &["extract"]),
        ("etc/ca-certificates/trust-source/anchors", "trust", &["extract-compat"], &["extract-compat"]),
    ] {
        let place = Place::new(anchors, &[(command, "")]);
        let path = place.machine.root.join(anchors).join(place.ca.file_name());
        let gather = |arguments: &[&str]| Step::Run {
            program: place.machine.root.join("usr/bin").join(command),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        };
        let write = Step::Write { path: path.clone(), text: place.ca.pem.clone() };
        assert_eq!(place.steps(Change::Install), [write, gather(install)]);
        assert_eq!(place.steps(Change::Uninstall), []);
        fs::write(&path, &place.ca.pem).expect("a file");
        assert_eq!(place.steps(Change::Install), []);
        assert_eq!(place.steps(Change::Uninstall), [Step::Remove { path }, gather(uninstall)]);
    }
    assert!(Place::new("etc", &[("update-ca-certificates", "")]).machine.system_store().is_none());
}

#[cfg(target_os = "linux")]
#[test]
fn what_was_installed_is_removed_and_nothing_else() {
    let gather = "ls \"$(dirname \"$0\")/../../usr/local/share/ca-certificates\" >> \"$(dirname \"$0\")/seen\"";
    let place = Place::new(DEBIAN, &[("update-ca-certificates", gather)]);
    let other = authority(&place.folder.path().join("other"));
    fs::write(place.machine.root.join(DEBIAN).join(other.file_name()), &other.pem).expect("a file");
    let before = place.anchors();
    act::act(&place.steps(Change::Install), |_| {}).expect("installed");
    assert_eq!(place.anchors().len(), 2);
    assert_eq!(place.steps(Change::Install), [], "twice is as good as once");
    // The other one is named, with the way to undo it.
    let notes = place.machine.notes(&place.ca, &[place.system()], Which::System);
    assert!(notes.len() == 1 && notes[0].contains(&other.file_name()), "{notes:?}");
    act::act(&place.steps(Change::Uninstall), |_| {}).expect("uninstalled");
    assert_eq!(place.anchors(), before);
    assert_eq!(place.steps(Change::Uninstall), []);
    // The command ran after each change, and saw it.
    let seen = fs::read_to_string(place.machine.root.join("usr/bin/seen")).expect("it ran");
    assert_eq!(seen.lines().filter(|line| *line == place.ca.file_name()).count(), 1);
    assert_eq!(seen.lines().filter(|line| *line == other.file_name()).count(), 2);
}

#[cfg(target_os = "linux")]
#[test]
fn a_foreign_file_of_that_name_is_neither_overwritten_nor_removed() {
    let place = Place::new(DEBIAN, &[("update-ca-certificates", "")]);
    let path = place.machine.root.join(DEBIAN).join(place.ca.file_name());
    let other = authority(&place.folder.path().join("other")).pem;
    for foreign in ["rubbish", &other] {
        fs::write(&path, foreign).expect("a file");
        for change in [Change::Install, Change::Uninstall] {
            let trouble = plan(change, &place.system(), &place.ca).expect_err("refused");
            assert!(trouble.reason.contains("left alone"), "{trouble}");
        }
        assert_eq!(fs::read_to_string(&path).expect("a file"), foreign);
    }
    // Nor when it came between the plan and the deed.
    fs::remove_file(&path).expect("removed");
    let steps = place.steps(Change::Install);
    fs::write(&path, "rubbish").expect("a file");
    act::act(&steps, |_| {}).expect_err("refused");
    assert_eq!(fs::read_to_string(&path).expect("a file"), "rubbish");
}

#[cfg(target_os = "linux")]
#[test]
fn an_install_that_fails_halfway_leaves_nothing_and_tells_the_programs_reason() {
    let place = Place::new(DEBIAN, &[("update-ca-certificates", "echo first >&2; echo no space left >&2; exit 3")]);
    let mut done = Vec::new();
    let steps = place.steps(Change::Install);
    let trouble = act::act(&steps, |step| done.push(step.clone())).expect_err("it fails");
    assert!(trouble.reason.ends_with("update-ca-certificates: no space left"), "{trouble}");
    assert_eq!(done, steps[..1]);
    assert_eq!(place.anchors(), [""; 0]);
    assert_eq!(place.steps(Change::Install), steps);
}

#[cfg(target_os = "linux")]
#[test]
fn want_of_rights_ends_in_the_exact_command_that_has_them() {
    let place = Place::new(DEBIAN, &[("update-ca-certificates", "")]);
    let trouble = Trouble { reason: "Permission denied".into(), wants_rights: true };
    let advice = advice(Change::Install, &place.system(), &place.ca, &trouble);
    let ca = place.ca.path.display();
    assert!(advice.contains("run: sudo /"), "{advice}");
    assert!(advice.ends_with(&format!("trust install --store system --ca {ca}")), "{advice}");
    assert_eq!(plan::quoted("/some place/it's.pem"), r"'/some place/it'\''s.pem'");
}

/// A database of one name, as certutil(1) of NSS keeps it.
#[cfg(target_os = "linux")]
const CERTUTIL: &str = r#"
db="${3#sql:}"
case "$1" in
-A) cp "$9" "$db/list";;
-L) if [ -e "$db/list" ]; then cat "$db/list"; else
      echo "certutil: Could not find cert: $5" >&2; exit 255; fi;;
-D) rm "$db/list";;
esac
"#;

#[cfg(target_os = "linux")]
#[test]
fn every_browser_profile_with_a_database_gets_it_and_loses_it() {
    let place = Place::new(DEBIAN, &[("certutil", CERTUTIL)]);
    let home = place.machine.home.clone().expect("a home");
    for folder in [".mozilla/firefox/a.default", ".pki/nssdb"] {
        fs::create_dir_all(home.join(folder)).expect("a folder");
        fs::write(home.join(folder).join("cert9.db"), "").expect("a file");
    }
    fs::create_dir_all(home.join(".mozilla/firefox/Crash Reports")).expect("a folder");
    let stores = place.machine.browser_stores();
    assert_eq!(stores.len(), 2);
    for store in &stores {
        let install = plan(Change::Install, store, &place.ca).expect("a plan");
        let [Step::Run { arguments, .. }] = &install[..] else { panic!("{install:?}") };
        assert_eq!(arguments[3..5], ["-t", "C,,"]);
        act::act(&install, |_| {}).expect("installed");
        assert_eq!(plan(Change::Install, store, &place.ca).expect("a plan"), []);
        let uninstall = plan(Change::Uninstall, store, &place.ca).expect("a plan");
        act::act(&uninstall, |_| {}).expect("uninstalled");
        assert_eq!(plan(Change::Uninstall, store, &place.ca).expect("a plan"), []);
        // What somebody else keeps by that name stays.
        let Kind::Nss { database, .. } = &store.kind else { panic!("{store:?}") };
        let list = Path::new(database.trim_start_matches("sql:")).join("list");
        fs::write(&list, "rubbish").expect("a file");
        plan(Change::Uninstall, store, &place.ca).expect_err("refused");
    }
    fs::remove_file(place.machine.root.join("usr/bin/certutil")).expect("removed");
    assert!(place.machine.browser_stores().is_empty());
    let notes = place.machine.notes(&place.ca, &[], Which::Browsers);
    assert!(notes.len() == 1 && notes[0].contains("2 list(s)"), "{notes:?}");
}

#[test]
fn only_an_authority_that_is_limited_is_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ca.pem");
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut parameters = rcgen::CertificateParams::default();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    for text in [parameters.self_signed(&key).expect("a certificate").pem(), "rubbish".to_owned()] {
        fs::write(&path, text).expect("a file");
        let refused = Ca::read(&path).expect_err("refused");
        assert!(refused.to_string().contains("no authority of Roundtrip's"), "{refused}");
    }
}
