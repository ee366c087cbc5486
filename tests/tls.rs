//! The authority, its certificates and their renewal.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use roundtrip::tls::{
    Authority, CA_CERTIFICATE, CA_KEY, Certificates, Given, LeafResolver, TlsError, fingerprint_sha256, server_config,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, ProtocolVersion, RootCertStore, SupportedProtocolVersion};
use time::{Duration, OffsetDateTime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

const NAMES: [&str; 6] =
    ["localhost", "roundtrip.localhost", "bistro.localhost", "bistro.roundtrip.test", "127.0.0.1", "::1"];

fn names() -> Vec<String> {
    NAMES.iter().map(|name| (*name).to_owned()).collect()
}

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

fn authority(directory: &Path) -> Authority {
    Authority::load_or_create(directory, now()).expect("an authority")
}

fn resolver(directory: &Path) -> Arc<LeafResolver> {
    Arc::new(LeafResolver::new(authority(directory), &names(), now()).expect("a certificate"))
}

/// A client that trusts the authority in `directory` and nobody else.
fn client(directory: &Path, versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let pem = fs::read(directory.join(CA_CERTIFICATE)).expect("ca.pem");
    roots.add(CertificateDer::from_pem_slice(&pem).expect("a certificate")).expect("added");
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let builder = builder.with_protocol_versions(versions).expect("versions");
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

const BOTH: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];

/// Shakes hands and exchanges a byte, so that tickets arrive.
async fn shake(
    server: &Arc<rustls::ServerConfig>,
    client: &Arc<ClientConfig>,
    name: &str,
) -> std::io::Result<TlsStream<tokio::io::DuplexStream>> {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let acceptor = TlsAcceptor::from(Arc::clone(server));
    let serving = tokio::spawn(async move {
        let mut stream = acceptor.accept(far).await?;
        stream.write_all(b"x").await?;
        stream.flush().await
    });
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let mut stream = TlsConnector::from(Arc::clone(client)).connect(name, near).await?;
    stream.read_u8().await?;
    serving.await.expect("no panic")?;
    Ok(stream)
}

fn leaf_of(stream: &TlsStream<tokio::io::DuplexStream>) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().expect("a chain")[0].to_vec()
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

#[tokio::test]
async fn the_certificate_is_good_for_its_names_and_for_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server_config(resolver(folder.path()), &[b"h2", b"http/1.1"]).expect("a configuration");
    let client = client(folder.path(), &BOTH);
    for name in NAMES {
        let stream = shake(&server, &client, name).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(stream.get_ref().1.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    }
    for name in ["other.localhost", "example.com", "127.0.0.2"] {
        assert!(shake(&server, &client, name).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn the_older_version_is_spoken_too_and_nothing_below_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server_config(resolver(folder.path()), &[]).expect("a configuration");
    let stream = shake(&server, &client(folder.path(), &[&rustls::version::TLS12]), "localhost").await.expect("shaken");
    assert_eq!(stream.get_ref().1.protocol_version(), Some(ProtocolVersion::TLSv1_2));
    let suite = stream.get_ref().1.negotiated_cipher_suite().expect("a suite").suite().as_str().unwrap_or_default();
    assert!(suite.contains("GCM") || suite.contains("POLY1305"), "{suite}");

    // A ClientHello that offers TLS 1.1 at most (RFC 4346, section 7.4.1.2), with a CBC suite.
    let mut hello = vec![0x16, 3, 1, 0, 45, 1, 0, 0, 41, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0, 0x2f, 1, 0]);
    let (mut near, far) = tokio::io::duplex(64 * 1024);
    let acceptor = TlsAcceptor::from(server);
    let serving = tokio::spawn(async move { acceptor.accept(far).await.map(drop) });
    near.write_all(&hello).await.expect("sent");
    let mut answer = Vec::new();
    near.read_to_end(&mut answer).await.expect("an alert");
    assert_eq!(answer.first(), Some(&0x15), "an alert, not a ServerHello: {answer:?}");
    assert!(serving.await.expect("no panic").is_err());
}

#[tokio::test]
async fn a_second_handshake_resumes_the_first_session() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server_config(resolver(folder.path()), &[]).expect("a configuration");
    for versions in [&[&rustls::version::TLS13], &[&rustls::version::TLS12]] {
        let client = client(folder.path(), versions);
        let kinds = [
            shake(&server, &client, "localhost").await.expect("shaken").get_ref().1.handshake_kind(),
            shake(&server, &client, "localhost").await.expect("shaken").get_ref().1.handshake_kind(),
        ];
        assert_ne!(kinds[0], Some(HandshakeKind::Resumed));
        assert_eq!(kinds[1], Some(HandshakeKind::Resumed));
    }
}

#[tokio::test]
async fn the_certificate_is_remade_when_a_third_of_its_life_is_left_and_swapped_live() {
    let folder = tempfile::tempdir().expect("a folder");
    let resolver = resolver(folder.path());
    let server = server_config(Arc::clone(&resolver) as _, &[]).expect("a configuration");
    // A configuration that remembers no session: a resumed one shows no certificate.
    let mut client = (*client(folder.path(), &BOTH)).clone();
    client.resumption = rustls::client::Resumption::disabled();
    let client = Arc::new(client);
    let before = leaf_of(&shake(&server, &client, "localhost").await.expect("shaken"));

    assert!(!resolver.renew_if_due(now() + Duration::days(19)).expect("looked"));
    assert_eq!(leaf_of(&shake(&server, &client, "localhost").await.expect("shaken")), before);

    assert!(resolver.renew_if_due(now() + Duration::days(21)).expect("renewed"));
    assert!(resolver.not_after() > now() + Duration::days(50));
    assert_eq!(resolver.names().len(), NAMES.len());

    // The new one begins in 21 days; back in the present that makes it due again.
    assert!(resolver.renew_if_due(now()).expect("renewed"));
    let after = leaf_of(&shake(&server, &client, "localhost").await.expect("shaken"));
    assert_ne!(after, before);
}

#[test]
fn the_certificate_is_kept_over_a_restart_and_remade_for_other_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let leaf = folder.path().join("leaf.pem");
    let first = resolver(folder.path());
    let kept = fs::read(&leaf).expect("leaf.pem");
    let second = resolver(folder.path());
    assert_eq!((fs::read(&leaf).expect("leaf.pem"), second.not_after()), (kept.clone(), first.not_after()));

    let more = [names(), vec!["192.168.1.7".to_owned()]].concat();
    let third = LeafResolver::new(authority(folder.path()), &more, now()).expect("remade");
    assert!(third.names().contains(&"192.168.1.7".to_owned()));
    let remade = fs::read(&leaf).expect("leaf.pem");
    assert_ne!(remade, kept);

    fs::write(&leaf, "rubbish").expect("written");
    resolver(folder.path());
    assert!(String::from_utf8_lossy(&fs::read(&leaf).expect("leaf.pem")).contains("BEGIN CERTIFICATE"));
}

#[test]
fn a_name_outside_the_authoritys_limits_is_left_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let some = vec!["localhost".to_owned(), "example.com".to_owned(), "8.8.8.8".to_owned()];
    let resolver = LeafResolver::new(authority(folder.path()), &some, now()).expect("a certificate");
    assert_eq!(resolver.names(), ["localhost"]);
    let none = LeafResolver::new(authority(folder.path()), &["example.com".to_owned()], now());
    assert!(matches!(none, Err(TlsError::NothingPermitted(_))));
}

#[test]
fn the_authority_is_limited_to_this_machine_and_private_networks() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = authority(folder.path());
    let der = CertificateDer::from_pem_slice(authority.ca_pem().as_bytes()).expect("a certificate");
    let (_, certificate) = x509_parser::parse_x509_certificate(&der).expect("parsed");
    let constraints = certificate.name_constraints().expect("read").expect("present");
    assert!(constraints.critical, "RFC 5280, section 4.2.1.10");
    let permitted = constraints.value.permitted_subtrees.as_ref().expect("permitted");
    let shown: Vec<String> = permitted.iter().map(|subtree| format!("{:?}", subtree.base)).collect();
    for name in ["DNSName(\"localhost\")", "DNSName(\"roundtrip.test\")"] {
        assert!(shown.contains(&name.to_owned()), "{name} in {shown:?}");
    }
    let life = certificate.validity().not_after.to_datetime() - now();
    assert!(life > Duration::days(5 * 365 - 1) && life <= Duration::days(5 * 365));
    assert!(certificate.is_ca());
}

#[cfg(unix)]
#[test]
fn keys_are_for_their_owner_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().join("tls");
    resolver(&folder);
    let modes = ["", CA_CERTIFICATE, CA_KEY, "leaf.pem", "leaf.key"].map(|name| mode(&folder.join(name)));
    assert_eq!(modes.map(|mode| format!("{mode:o}")), ["700", "644", "400", "600", "600"]);
    let left = fs::read_dir(&folder).expect("a folder").count();
    assert_eq!(left, 4, "no temporary file is left");

    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder.join(CA_KEY), fs::Permissions::from_mode(0o444)).expect("changed");
    let error = Authority::load_or_create(&folder, now()).expect_err("a key that all can read");
    assert!(matches!(error, TlsError::KeyExposed { mode: 0o444, .. }), "{error}");
}

#[test]
fn a_damaged_authority_is_refused_and_nothing_is_overwritten() {
    let folder = tempfile::tempdir().expect("a folder");
    let other = tempfile::tempdir().expect("a folder");
    authority(folder.path());
    authority(other.path());
    let (certificate, key) = (folder.path().join(CA_CERTIFICATE), folder.path().join(CA_KEY));
    let (good, good_key) = (fs::read(&certificate).expect("ca.pem"), fs::read(&key).expect("ca.key"));
    let foreign = fs::read(other.path().join(CA_CERTIFICATE)).expect("ca.pem");
    for bad in [&b"rubbish"[..], b"", &[0xff, 0xfe], &good[..good.len() / 2], &foreign] {
        fs::write(&certificate, bad).expect("written");
        let error = Authority::load_or_create(folder.path(), now()).expect_err("damaged");
        assert!(error.to_string().contains("ca.pem"), "{error}");
        assert_eq!(fs::read(&certificate).expect("ca.pem"), bad);
        assert_eq!(fs::read(&key).expect("ca.key"), good_key);
    }
    fs::write(&certificate, &good).expect("written");
    assert!(Authority::load_or_create(folder.path(), now()).is_ok());
    let expired = Authority::load_or_create(folder.path(), now() + Duration::days(6 * 365));
    assert!(matches!(expired, Err(TlsError::Damaged { .. })));

    fs::remove_file(&key).expect("removed");
    let error = Authority::load_or_create(folder.path(), now()).expect_err("no key");
    assert!(matches!(error, TlsError::KeyMissing { .. }), "{error}");
    assert_eq!(fs::read(&certificate).expect("ca.pem"), good);
}

#[test]
fn an_authority_is_made_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = authority(folder.path());
    let second = authority(folder.path());
    assert_eq!(first.ca_pem(), second.ca_pem());
    let print = first.fingerprint();
    assert_eq!(fingerprint_sha256(first.ca_pem()), Some(print.clone()));
    assert_eq!((print.len(), print.split(':').count()), (95, 32));
    assert_eq!(fingerprint_sha256("rubbish"), None);
}

#[test]
fn an_interrupted_creation_is_completed() {
    let folder = tempfile::tempdir().expect("a folder");
    authority(folder.path());
    let key = fs::read(folder.path().join(CA_KEY)).expect("ca.key");
    fs::remove_file(folder.path().join(CA_CERTIFICATE)).expect("removed");
    authority(folder.path());
    assert_eq!(fs::read(folder.path().join(CA_KEY)).expect("ca.key"), key);
}

/// Puts a new file in the place of one that may be there, as tools that renew certificates do.
fn replace(path: &Path, bytes: impl AsRef<[u8]>) {
    let new = path.with_extension("new");
    fs::write(&new, bytes).expect("written");
    #[cfg(unix)]
    fs::set_permissions(&new, std::os::unix::fs::PermissionsExt::from_mode(0o640)).expect("changed");
    fs::rename(new, path).expect("replaced");
}

/// Writes a self-signed certificate for `name` and its key; what a client trusts then is the certificate.
fn give(folder: &Path, name: &str) {
    let key = KeyPair::generate().expect("a key");
    let parameters = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    fs::write(folder.join(CA_CERTIFICATE), parameters.self_signed(&key).expect("a certificate").pem())
        .expect("written");
    fs::write(folder.join(CA_KEY), key.serialize_pem()).expect("written");
    #[cfg(unix)]
    fs::set_permissions(folder.join(CA_KEY), std::os::unix::fs::PermissionsExt::from_mode(0o640)).expect("changed");
}

#[tokio::test]
async fn an_operators_certificate_is_read_again_when_its_files_change_and_a_broken_one_is_not_used() {
    let (ours, theirs) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (pem, key) = (theirs.path().join(CA_CERTIFICATE), theirs.path().join(CA_KEY));
    give(theirs.path(), "shop.example");
    let given = Arc::new(Given::load(&pem, &key, now()).expect("a pair"));
    let bound = std::net::IpAddr::from([127, 0, 0, 1]);
    let both = Certificates { given: Arc::clone(&given), local: resolver(ours.path()), bound };
    let server = server_config(Arc::new(both), &[]).expect("a configuration");
    let (local, first) = (client(ours.path(), &BOTH), client(theirs.path(), &BOTH));
    // Who is connected stays connected, whatever comes after.
    let (near, far) = tokio::io::duplex(64 * 1024);
    let acceptor = TlsAcceptor::from(Arc::clone(&server));
    let serving = tokio::spawn(async move { acceptor.accept(far).await });
    let shop = ServerName::try_from("shop.example").expect("a name");
    let mut standing = TlsConnector::from(Arc::clone(&first)).connect(shop, near).await.expect("shaken");
    let mut served = serving.await.expect("no panic").expect("shaken");
    assert!(!given.reload_if_changed(now()).expect("looked"));

    // The certificate is there, its key not yet: the old pair serves.
    let old_key = fs::read(&key).expect("a key");
    give(theirs.path(), "other.example");
    let new_key = fs::read(&key).expect("a key");
    replace(&key, old_key);
    let error = given.reload_if_changed(now()).expect_err("a pair that does not fit");
    assert!(matches!(error, TlsError::Unusable { .. }), "{error}");
    assert!(!given.reload_if_changed(now()).expect("told once"));
    shake(&server, &first, "shop.example").await.expect("shaken");

    replace(&key, new_key);
    assert!(given.reload_if_changed(now()).expect("read"));
    let second = client(theirs.path(), &BOTH);
    shake(&server, &second, "other.example").await.expect("shaken");
    // A name that nobody is for gets the operator's, too; this machine's get the local one.
    let error = shake(&server, &second, "third.example").await.expect_err("another name");
    assert!(error.to_string().contains("not valid for name"), "{error}");
    for name in ["localhost", "bistro.roundtrip.test", "127.0.0.1"] {
        shake(&server, &local, name).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    served.write_all(b"x").await.expect("sent");
    served.flush().await.expect("sent");
    assert_eq!(standing.read_u8().await.expect("received"), b'x');

    // A mode that was wrong and is put right is a change, too.
    #[cfg(unix)]
    {
        let set = |mode| {
            fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("changed");
        };
        give(theirs.path(), "fourth.example");
        set(0o644);
        let error = given.reload_if_changed(now()).expect_err("a key for all to read");
        assert!(matches!(error, TlsError::KeyExposed { mode: 0o644, .. }), "{error}");
        assert_eq!(given.names(), ["other.example"]);
        until_the_clock_of_files_moves(&key);
        set(0o600);
        assert!(given.reload_if_changed(now()).expect("read"));
        assert_eq!(given.names(), ["fourth.example"]);
    }
}

/// Linux stamps files by the tick: two changes within one look like one.
#[cfg(unix)]
fn until_the_clock_of_files_moves(path: &Path) {
    use std::os::unix::fs::MetadataExt as _;
    let other = path.with_extension("clock");
    let changed = |path: &Path| fs::metadata(path).map(|file| (file.ctime(), file.ctime_nsec())).expect("a file");
    while {
        fs::write(&other, "x").expect("written");
        changed(&other) <= changed(path)
    } {}
}
