use proptest::prelude::*;

use super::*;

/// A ClientHello in one record, with these extensions.
fn hello(extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    record(&message(extensions))
}

fn message(extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.push(0);
    body.extend([0, 2, 0x13, 0x01, 1, 0]);
    let mut list = Vec::new();
    for (kind, content) in extensions {
        list.extend(kind.to_be_bytes());
        list.extend(length(content));
        list.extend(content);
    }
    body.extend(length(&list));
    body.extend(list);
    let mut message = vec![1, 0];
    message.extend(length(&body));
    message.extend(body);
    message
}

fn record(fragment: &[u8]) -> Vec<u8> {
    let mut record = vec![22, 3, 1];
    record.extend(length(fragment));
    record.extend(fragment);
    record
}

fn length(bytes: &[u8]) -> [u8; 2] {
    u16::try_from(bytes.len()).unwrap().to_be_bytes()
}

fn named(name: &str) -> (u16, Vec<u8>) {
    let mut entry = vec![0];
    entry.extend(length(name.as_bytes()));
    entry.extend(name.as_bytes());
    let mut content = length(&entry).to_vec();
    content.extend(entry);
    (0, content)
}

fn read_name(bytes: &[u8]) -> Result<Option<String>, InvalidHello> {
    match Opening::read(bytes)? {
        Some(Opening::Hello(hello)) => Ok(hello.server_name.map(|name| name.to_string())),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_server_name_is_read_and_folded() {
    let read = |name: &str| read_name(&hello(&[(10, vec![0; 4]), named(name)]));
    assert_eq!(read("ghcr.io"), Ok(Some("ghcr.io".to_owned())));
    assert_eq!(read("GHCR.io."), Ok(Some("ghcr.io".to_owned())));
    assert_eq!(read_name(&hello(&[])), Ok(None));
    for name in [
        "",
        "b\u{fc}cher.example",
        "[::1]",
        "a..b",
        "ghcr.io\0.evil.example",
        "ghcr.io:443",
    ] {
        assert_eq!(read(name), Err(InvalidHello::ServerName), "{name}");
    }
}

#[test]
fn two_server_names_are_none() {
    let twice = hello(&[named("ghcr.io"), named("evil.example")]);
    assert_eq!(read_name(&twice), Err(InvalidHello::ServerName));
    let (_, first) = named("ghcr.io");
    let (_, second) = named("evil.example");
    let entries = [&first[2..], &second[2..]].concat();
    let mut content = length(&entries).to_vec();
    content.extend(entries);
    assert_eq!(
        read_name(&hello(&[(0, content)])),
        Err(InvalidHello::ServerName)
    );
    // Of a kind that nobody has defined.
    let (_, mut other) = named("ghcr.io");
    other[2] = 1;
    assert_eq!(
        read_name(&hello(&[(0, other)])),
        Err(InvalidHello::ServerName)
    );
}

#[test]
fn an_encrypted_hello_is_noted() {
    for kind in [0xfe0d, 0xffce] {
        let bytes = hello(&[named("ghcr.io"), (kind, vec![1, 2, 3])]);
        let Ok(Some(Opening::Hello(hello))) = Opening::read(&bytes) else {
            panic!("not read");
        };
        assert!(hello.encrypted && hello.server_name.is_some());
    }
}

#[test]
fn what_is_not_tls_is_plain_from_its_first_byte() {
    for bytes in [
        &b"GET / HTTP/1.1"[..],
        b"S",
        b"\x80\x2e\x01\x03\x01",
        b"\x16\x02",
        b"\x15\x03",
    ] {
        assert_eq!(Opening::read(bytes), Ok(Some(Opening::Plain)), "{bytes:?}");
    }
    assert_eq!(Opening::read(b""), Ok(None));
    assert_eq!(Opening::read(b"\x16"), Ok(None));
}

#[test]
fn a_message_may_be_cut_into_records_but_into_nothing_else() {
    let message = message(&[named("ghcr.io")]);
    let cut: Vec<u8> = message.chunks(1).flat_map(record).collect();
    assert_eq!(read_name(&cut), Ok(Some("ghcr.io".to_owned())));
    let (head, tail) = message.split_at(10);
    let alert = [21, 3, 3, 0, 2, 1, 0];
    let between = [&record(head)[..], &alert, &record(tail)].concat();
    assert_eq!(Opening::read(&between), Err(InvalidHello::Malformed));
    let empty = [&record(head)[..], &record(&[]), &record(tail)].concat();
    assert_eq!(Opening::read(&empty), Err(InvalidHello::Malformed));
}

#[test]
fn what_is_malformed_or_endless_is_refused() {
    // A server's hello.
    assert_eq!(
        Opening::read(&record(&[2, 0, 0, 1, 0])),
        Err(InvalidHello::Malformed)
    );
    // A record longer than records are.
    assert_eq!(
        Opening::read(&[22, 3, 1, 0xff, 0xff]),
        Err(InvalidHello::Malformed)
    );
    // A message of 16 MiB.
    assert_eq!(
        Opening::read(&record(&[1, 0xff, 0xff, 0xff])),
        Err(InvalidHello::TooLong)
    );
    // Extensions that are longer than the message, and shorter.
    let mut short = message(&[named("ghcr.io")]);
    let last = short.len() - 1;
    short.truncate(last);
    short[3] -= 1;
    assert_eq!(Opening::read(&record(&short)), Err(InvalidHello::Malformed));
    let mut long = message(&[named("ghcr.io")]);
    long.push(0);
    long[3] += 1;
    assert_eq!(Opening::read(&record(&long)), Err(InvalidHello::Malformed));
}

#[test]
fn a_real_clients_hello_is_read() {
    let name = rustls_pki_types_name();
    let config = rustls::ClientConfig::builder_with_provider(std::sync::Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_root_certificates(rustls::RootCertStore::empty())
    .with_no_client_auth();
    let mut client = rustls::ClientConnection::new(std::sync::Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    assert_eq!(
        read_name(&bytes),
        Ok(Some("registry.acme.example".to_owned()))
    );
}

fn rustls_pki_types_name() -> rustls::pki_types::ServerName<'static> {
    "registry.acme.example".try_into().unwrap()
}

proptest! {
    #[test]
    fn no_cut_changes_what_is_read(cut in 0usize..70, size in 1usize..40) {
        let message = message(&[named("registry.acme.example")]);
        let bytes: Vec<u8> = message.chunks(size).flat_map(record).collect();
        let part = &bytes[..cut.min(bytes.len() - 1)];
        prop_assert_eq!(Opening::read(part), Ok(None));
        prop_assert_eq!(read_name(&bytes), Ok(Some("registry.acme.example".to_owned())));
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Opening::read(&bytes);
        let _ = Opening::read(&[&[22, 3, 1, 0, 200, 1, 0, 0, 190][..], &bytes].concat());
    }
}
