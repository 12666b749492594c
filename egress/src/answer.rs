//! Every answer of the gate's own.
//!
//! The text stands in the body and in the reason phrase. After a refused `CONNECT`, Go's client, and so `docker pull`,
//! shows the reason phrase and nothing else.

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, Either, Empty, Full};
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use ramgate_policy::{Denial, Host};
use ramgate_provenance::DecisionId;

use crate::destination::RefusedAddress;
use crate::inspection::InspectedBody;
use crate::invalid_target::InvalidTarget;
use crate::target::Target;
use crate::upstream::UpstreamError;

/// An answer: of the gate's own, or passed on.
pub(crate) type Answer =
    Response<Either<Either<Full<Bytes>, Empty<Bytes>>, Either<Incoming, InspectedBody>>>;

/// The tunnel is open.
pub(crate) fn tunnel_open() -> Answer {
    Response::new(Either::Left(Either::Right(Empty::new())))
}

/// Passed on from the target.
pub(crate) fn forwarded(response: Response<Incoming>) -> Answer {
    response.map(|body| Either::Right(Either::Left(body)))
}

/// From whoever judges what is read.
pub(crate) fn inspected(response: Response<InspectedBody>) -> Answer {
    response.map(|body| Either::Right(Either::Right(body)))
}

/// The policy refused. `id` leads to the line of the audit log, here and below.
pub(crate) fn denied(denial: &Denial, id: DecisionId) -> Answer {
    refused(StatusCode::FORBIDDEN, &denial.to_string(), id)
}

/// The permitted name leads to where no name may lead. In the words of a denial, since to the user it is one.
pub(crate) fn address_refused(target: &Target, address: &RefusedAddress, id: DecisionId) -> Answer {
    let text = format!(
        "Access to {} has been restricted by your administrators (ramgate: {address})",
        target.host()
    );
    refused(StatusCode::FORBIDDEN, &text, id)
}

/// The permitted name leads to a registry that is closed.
pub(crate) fn registry_address(target: &Target, registry: &Host, id: DecisionId) -> Answer {
    let text = format!(
        "Access to {} has been restricted by your administrators (ramgate: it leads to an address of {registry}, which is closed)",
        target.host()
    );
    refused(StatusCode::FORBIDDEN, &text, id)
}

/// Inside of a tunnel that is read, a request is for another host than the tunnel.
pub(crate) fn other_host(id: DecisionId) -> Response<InspectedBody> {
    let text = "ramgate: the request names another host than its tunnel leads to";
    let answer = said(StatusCode::BAD_REQUEST, text, &format!(" (id {id})"));
    answer.map(|body| body.map_err(|never| match never {}).boxed_unsync())
}

/// The daemon came past here, which is all that was to be seen.
pub(crate) fn canary() -> Answer {
    plain(StatusCode::FORBIDDEN, "ramgate: this host is a canary")
}

/// The request was not read.
pub(crate) fn unreadable(invalid: InvalidTarget, id: DecisionId) -> Answer {
    refused(StatusCode::BAD_REQUEST, &format!("ramgate: {invalid}"), id)
}

/// The target was not reached or did not answer.
pub(crate) fn upstream_failed(target: &Target, error: &UpstreamError) -> Answer {
    let status = if error.is_timeout() {
        StatusCode::GATEWAY_TIMEOUT
    } else {
        StatusCode::BAD_GATEWAY
    };
    plain(
        status,
        &format!(
            "{}:{} cannot be reached: {error} (ramgate)",
            target.host(),
            target.port()
        ),
    )
}

/// What goes there is to be read, and nothing here reads.
pub(crate) fn uninspected(target: &Target) -> Answer {
    let text = format!(
        "Access to {} has been restricted by your administrators (ramgate: inspection is not set up)",
        target.host()
    );
    plain(StatusCode::FORBIDDEN, &text)
}

/// There is no room for another tunnel.
pub(crate) fn overloaded(tunnels_max: usize) -> Answer {
    let text = format!(
        "ramgate: {tunnels_max} connections are open already, which is the limit; try again later"
    );
    plain(StatusCode::SERVICE_UNAVAILABLE, &text)
}

fn refused(status: StatusCode, text: &str, id: DecisionId) -> Answer {
    ending(status, text, &format!(" (id {id})"))
}

fn plain(status: StatusCode, text: &str) -> Answer {
    ending(status, text, "")
}

fn ending(status: StatusCode, text: &str, end: &str) -> Answer {
    said(status, text, end).map(|body| Either::Left(Either::Left(body)))
}

fn said(status: StatusCode, text: &str, end: &str) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::from(format!("{text}{end}\n")));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    // Without it the status's usual phrase is sent, which is less help and no harm.
    if let Ok(phrase) = ReasonPhrase::try_from(reason_phrase(text, end)) {
        answer.extensions_mut().insert(phrase);
    }
    answer
}

/// `text` as a reason phrase (RFC 9112, section 4): one line, no control characters, not longer than clients read,
/// and `end`, which is never cut, at its end.
fn reason_phrase(text: &str, end: &str) -> Vec<u8> {
    let line = text
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter });
    let mut phrase = String::new();
    for letter in line {
        if phrase.len() + letter.len_utf8() + end.len() > REASON_PHRASE_MAX_BYTES {
            break;
        }
        phrase.push(letter);
    }
    phrase.push_str(end);
    phrase.into_bytes()
}

/// Go's client reads lines of any length, but others stop at 4 KiB, and some at 1 KiB; a denial has about 300 bytes.
const REASON_PHRASE_MAX_BYTES: usize = 960;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_phrase_is_one_bounded_line() {
        assert_eq!(
            reason_phrase("a\r\nSet-Cookie: b\u{7}", "."),
            b"a  Set-Cookie: b ."
        );
        assert_eq!(
            reason_phrase("kontakt: büro", ""),
            "kontakt: büro".as_bytes()
        );
        let long = reason_phrase(&"ü".repeat(1000), " (id 00c0ffee)");
        assert_eq!(long.len(), REASON_PHRASE_MAX_BYTES);
        assert!(
            String::from_utf8(long)
                .unwrap()
                .ends_with("ü (id 00c0ffee)")
        );
    }

    #[test]
    fn every_answer_has_its_text_as_reason_phrase() {
        let id = DecisionId::new();
        let answer = unreadable(InvalidTarget::PortMissing, id);
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        let phrase = answer.extensions().get::<ReasonPhrase>().unwrap();
        assert_eq!(
            phrase.as_bytes(),
            format!("ramgate: a CONNECT target has a port, as in `ghcr.io:443` (id {id})")
                .as_bytes()
        );
        assert_eq!(answer.headers()[header::CONNECTION], "close");
    }
}
