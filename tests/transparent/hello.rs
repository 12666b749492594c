//! ClientHellos that no client at hand sends.

/// A ClientHello for `name`, with an Encrypted Client Hello beside it if asked.
pub(crate) fn hello(name: Option<&str>, encrypted: bool) -> Vec<u8> {
    let mut extensions = Vec::new();
    if let Some(name) = name {
        let entry = [&[0][..], &sized(name.as_bytes())].concat();
        extensions.extend(extension(0, &sized(&entry)));
    }
    // supported_versions: TLS 1.3.
    extensions.extend(extension(43, &[2, 3, 4]));
    if encrypted {
        extensions.extend(extension(0xfe0d, &[0; 64]));
    }
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.push(0);
    body.extend(sized(&[0x13, 0x01]));
    body.extend([1, 0]);
    body.extend(sized(&extensions));
    let message = [&[1, 0][..], &sized(&body)].concat();
    [&[22, 3, 1][..], &sized(&message)].concat()
}

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &sized(content)].concat()
}

/// With its length before it, in two bytes.
fn sized(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes()[..], content].concat()
}
