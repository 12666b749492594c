//! ClientHellos that no client at hand sends: whole enough for a server to hear the name in them, and no handshake comes of them.

/// A ClientHello for each of `names` in turn, with an Encrypted Client Hello beside them if asked. Without a name it has none.
#[must_use]
pub fn hello(names: &[&[u8]], encrypted: bool) -> Vec<u8> {
    record(&message(names, encrypted))
}

/// The same in two records of TLS, the second of which begins in the middle.
#[must_use]
pub fn hello_in_records(names: &[&[u8]]) -> Vec<u8> {
    let message = message(names, false);
    let (start, end) = message.split_at(message.len() / 2);
    [record(start), record(end)].concat()
}

fn message(names: &[&[u8]], encrypted: bool) -> Vec<u8> {
    let mut extensions = Vec::new();
    for name in names {
        let entry = [&[0][..], &sized(name)].concat();
        extensions.extend(extension(0, &sized(&entry)));
    }
    // supported_groups: x25519. signature_algorithms: ecdsa_secp256r1_sha256. supported_versions: TLS 1.3.
    extensions.extend(extension(10, &sized(&[0, 0x1d])));
    extensions.extend(extension(13, &sized(&[4, 3])));
    extensions.extend(extension(43, &[2, 3, 4]));
    if encrypted {
        // RFC 9849: an outer one, HKDF-SHA256 and AES-128-GCM, whose key and content nobody can read.
        let (key, content) = (sized(&[7; 32]), sized(&[7; 32]));
        let outer = [&[0, 0, 1, 0, 1, 9][..], &key, &content].concat();
        extensions.extend(extension(0xfe0d, &outer));
    }
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.push(0);
    body.extend(sized(&[0x13, 0x01]));
    body.extend([1, 0]);
    body.extend(sized(&extensions));
    [&[1, 0][..], &sized(&body)].concat()
}

fn record(part: &[u8]) -> Vec<u8> {
    [&[22, 3, 1][..], &sized(part)].concat()
}

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &sized(content)].concat()
}

/// With its length before it, in two bytes.
fn sized(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes()[..], content].concat()
}
