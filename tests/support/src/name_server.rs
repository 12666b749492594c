//! A name server for what would otherwise stand in `/etc/hosts`: IPv4 addresses, asked for over UDP. A name may have another one
//! each time that it is asked for.

use std::collections::{HashMap, VecDeque};
use std::net::Ipv4Addr;

use tokio::net::UdpSocket;

/// The addresses by name, in lower case: one answer after the other, the last for ever.
pub(crate) type Names = HashMap<String, VecDeque<Ipv4Addr>>;

/// Answers queries until the socket fails or the runtime ends.
pub(crate) async fn serve(socket: UdpSocket, mut names: Names) -> std::io::Result<()> {
    let mut query = [0; QUERY_MAX_BYTES];
    loop {
        let (length, client) = socket.recv_from(&mut query).await?;
        if let Some(answer) = query
            .get(..length)
            .and_then(|query| answer(query, &mut names))
        {
            // A client that no longer listens asks again.
            let _ = socket.send_to(&answer, client).await;
        }
    }
}

/// The answer to a query with one question (RFC 1035, 4.1); none to what is no query.
fn answer(query: &[u8], names: &mut Names) -> Option<Vec<u8>> {
    let (id, rest) = (query.get(..2)?, query.get(HEADER_BYTES..)?);
    let (name, end) = name(rest)?;
    let question = rest.get(..end + 4)?;
    let known = names.get_mut(&name);
    let code = if known.is_some() { 0 } else { NO_SUCH_NAME };
    // Of type A and class IN. What has an address has no other record, which is not the same as being unknown.
    let known = known.filter(|_| question.ends_with(&[0, 1, 0, 1]));
    // What changes is not to be remembered, the rest for a minute.
    let turns = known.as_ref().is_some_and(|addresses| addresses.len() > 1);
    let seconds = if turns { 0 } else { 60 };
    let address = known.and_then(|addresses| match addresses.len() {
        0 | 1 => addresses.front().copied(),
        _ => addresses.pop_front(),
    });

    let mut answer = id.to_vec();
    answer.extend([0x81, 0x80 | code, 0, 1, 0, address.is_some().into()]);
    answer.extend([0; 4]);
    answer.extend(question);
    if let Some(address) = address {
        // The name as at the question's offset, type A, class IN, for so long, four bytes.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, seconds, 0, 4]);
        answer.extend(address.octets());
    }
    Some(answer)
}

/// The name at the start of a question, and where it ends.
fn name(question: &[u8]) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    let mut at = 0;
    loop {
        let length = usize::from(*question.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        let label = question.get(at..at + length)?;
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        at += length;
    }
}

const HEADER_BYTES: usize = 12;
const NO_SUCH_NAME: u8 = 3;
/// What a query over UDP has at most, without extensions (RFC 1035, 2.3.4).
const QUERY_MAX_BYTES: usize = 512;
