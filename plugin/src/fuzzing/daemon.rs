//! A model of what dockerd makes of a request: Go's `net/http`, the router, and some handlers.

/// A request as it goes over the wire.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wire<'a> {
    pub(super) is_http2: bool,
    pub(super) method: &'a str,
    pub(super) target: &'a str,
    headers: &'a str,
    body: &'a [u8],
}

/// A request as Go's server hands it to its handlers.
#[derive(Clone, Debug)]
pub(super) struct Received<'a> {
    wire: Wire<'a>,
    headers: Vec<(&'a str, &'a str)>,
    body: &'a [u8],
}

/// What dockerd does because of a request.
#[derive(Clone, Debug)]
pub(super) enum Deed {
    /// Pulls an image. There may have been a form.
    Pull { image: String, has_form: bool },
    /// Imports one.
    Import,
    /// Installs a plugin under a name.
    Install { remote: String, name: String },
    /// Makes an image of a container.
    Commit(String),
}

/// Pairs of a form, decoded; they need not be text.
pub(super) type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

// === impl Wire ===

impl<'a> Wire<'a> {
    /// Reads `h1 POST /target`, lines of headers, an empty line and a body.
    pub(super) fn parse(text: &'a [u8]) -> Option<Self> {
        let end = text.windows(2).position(|pair| pair == b"\n\n")?;
        let head = std::str::from_utf8(text.get(..end)?).ok()?;
        let (line, headers) = head.split_once('\n').unwrap_or((head, ""));
        let mut words = line.splitn(3, ' ');
        let is_http2 = match words.next()? {
            "h1" => false,
            "h2" => true,
            _ => return None,
        };
        Some(Self {
            is_http2,
            method: words.next()?,
            target: words.next()?,
            headers,
            body: text.get(end + 2..)?,
        })
    }

    /// What the server makes of headers and body; `None` if it refuses them.
    pub(super) fn receive(self) -> Option<Received<'a>> {
        let lines = self
            .headers
            .lines()
            .filter_map(|line| line.split_once(": "));
        let mut headers: Vec<(&str, &str)> = lines.collect();
        let lengths: Vec<&str> = values_of(&headers, "Content-Length").collect();
        let number = |text: &str| {
            let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| text.parse::<usize>().ok()).flatten()
        };
        let body = if self.is_http2 {
            // The first length must be that of the body; one that is no number counts as 0.
            match lengths.first() {
                Some(length) if number(length).unwrap_or(0) != self.body.len() => return None,
                Some(_) | None => self.body,
            }
        } else if values_of(&headers, "Transfer-Encoding").next() == Some("chunked") {
            headers.retain(|(name, _)| !matches!(*name, "Transfer-Encoding" | "Content-Length"));
            self.body
        } else {
            if lengths.iter().any(|length| Some(length) != lengths.first()) {
                return None;
            }
            let length = match lengths.first() {
                Some(length) => number(length)?,
                None => 0,
            };
            self.body.get(..length)?
        };
        Some(Received {
            wire: self,
            headers,
            body,
        })
    }
}

// === impl Received ===

impl Received<'_> {
    /// The headers as a plugin is told: of several, the last.
    pub(super) fn told_headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().enumerate().filter_map(|(at, header)| {
            let later = self.headers.iter().skip(at + 1);
            let is_last = later.into_iter().all(|(name, _)| *name != header.0);
            is_last.then_some(*header)
        })
    }

    /// The body as a plugin may be told: if the first type is JSON.
    pub(super) fn told_body(&self) -> Option<&[u8]> {
        let is_json = self.media_type() == Some("application/json".to_owned());
        (is_json && !self.body.is_empty()).then_some(self.body)
    }

    /// What the handler does.
    pub(super) fn deed(&self) -> Option<Deed> {
        if self.wire.method != "POST" {
            return None;
        }
        let (_, path, query) = route(self.wire.target)?;
        let (query, is_whole) = parse_query(query.as_bytes());
        let form = self.form_in_body();
        let multipart = self.multipart();
        let has_form = form.is_some();
        let mime_error = self.first_type().is_some() && self.media_type().is_none();
        // `ParseForm` fails on a mistake in the query, unless the type's own mistake comes first.
        let parses = is_whole || mime_error;
        let mut pairs = form.unwrap_or_default();
        pairs.extend(query);
        let first = |pairs: &Pairs, key: &str| {
            let value = values(pairs, key).next().unwrap_or_default();
            String::from_utf8_lossy(value).into_owned()
        };
        match path.as_str() {
            "/images/create" if parses => {
                let image = first(&pairs, "fromImage");
                Some(if image.is_empty() {
                    Deed::Import
                } else {
                    let image = image.strip_suffix(':').unwrap_or(&image).to_owned();
                    Deed::Pull { image, has_form }
                })
            }
            "/plugins/pull" if parses => {
                // `FormValue` reads multipart as well, behind the rest. Engines before 23.0 do not insist on JSON.
                pairs.extend(multipart);
                let remote = first(&pairs, "remote");
                let name = first(&pairs, "name");
                let name = if name.is_empty() {
                    remote.clone()
                } else {
                    name
                };
                (!has_form && !remote.is_empty()).then_some(Deed::Install { remote, name })
            }
            "/commit" if parses => {
                let untyped = self.first_type().is_none() && self.body.is_empty();
                let is_json = self.media_type() == Some("application/json".to_owned());
                (untyped || is_json).then(|| Deed::Commit(first(&pairs, "container")))
            }
            _ => None,
        }
    }

    fn first_type(&self) -> Option<&str> {
        values_of(&self.headers, "Content-Type").next()
    }

    /// `mime.ParseMediaType`, in short: the type in lower case; `None` if there is none or it or a parameter is malformed.
    fn media_type(&self) -> Option<String> {
        let mut parts = self.first_type()?.split(';');
        let kind = parts.next()?.trim().to_ascii_lowercase();
        let is_token = |text: &str| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&byte))
        };
        let (main, sub) = kind.split_once('/')?;
        let mut rest = parts.clone().map(str::trim).peekable();
        while let Some(part) = rest.next() {
            if part.is_empty() && rest.peek().is_none() {
                break;
            }
            let (name, value) = part.split_once('=')?;
            (is_token(name) && is_token(value)).then_some(())?;
        }
        (is_token(main) && is_token(sub)).then_some(kind)
    }

    /// A urlencoded body, whose type may have a malformed parameter.
    fn form_in_body(&self) -> Option<Pairs> {
        let kind = self.first_type()?.split(';').next()?.trim();
        let is_form = kind.eq_ignore_ascii_case("application/x-www-form-urlencoded");
        is_form.then(|| parse_query(self.body).0)
    }

    /// More than Go would find: whatever looks like a part.
    fn multipart(&self) -> Pairs {
        let kind = self.first_type().unwrap_or_default().to_ascii_lowercase();
        if !kind.starts_with("multipart/") {
            return Pairs::new();
        }
        let body = String::from_utf8_lossy(self.body);
        let parts = body.split("name=\"").skip(1);
        let pair = |part: &str| {
            let (key, rest) = part.split_once('"')?;
            let (_, value) = rest.split_once("\r\n\r\n")?;
            let value = value.split("\r\n--").next()?;
            Some((key.as_bytes().to_owned(), value.as_bytes().to_owned()))
        };
        parts.filter_map(pair).collect()
    }
}

/// Version, path below it and query of a target, as the router sees them; `None` where it redirects or Go refuses it.
pub(super) fn route(target: &str) -> Option<(Option<String>, String, &str)> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = match path.split_once("://") {
        Some((scheme, rest)) if scheme.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
            rest.get(rest.find('/')?..)?
        }
        _ => path,
    };
    let path = String::from_utf8(unescape(path.as_bytes(), false)?).ok()?;
    let mut cleaned: Vec<&str> = Vec::new();
    for component in path.strip_prefix('/')?.split('/') {
        match component {
            "" | "." => {}
            ".." => drop(cleaned.pop()),
            component => cleaned.push(component),
        }
    }
    let slash = if path.ends_with('/') && !cleaned.is_empty() {
        "/"
    } else {
        ""
    };
    if format!("/{}{slash}", cleaned.join("/")) != path {
        return None;
    }
    let is_version = |rest: &&str| {
        !rest.is_empty()
            && rest
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.')
    };
    let versioned = path.strip_prefix("/v").and_then(|rest| {
        let (version, below) = rest.split_once('/')?;
        Some((
            Some(version).filter(is_version)?.to_owned(),
            format!("/{below}"),
        ))
    });
    Some(match versioned {
        Some((version, below)) => (Some(version), below, query),
        None => (None, path, query),
    })
}

/// `url.ParseQuery`: the pairs that decode, and whether that is all of them.
pub(super) fn parse_query(query: &[u8]) -> (Pairs, bool) {
    let mut is_whole = true;
    let mut pairs = Pairs::new();
    for pair in query
        .split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
    {
        let middle = pair.iter().position(|byte| *byte == b'=');
        let (key, value) = match middle {
            Some(at) => (pair.get(..at), pair.get(at + 1..)),
            None => (Some(pair), None),
        };
        let key = unescape(key.unwrap_or_default(), true);
        let value = unescape(value.unwrap_or_default(), true);
        match (pair.contains(&b';'), key, value) {
            (false, Some(key), Some(value)) => pairs.push((key, value)),
            _ => is_whole = false,
        }
    }
    (pairs, is_whole)
}

/// The values of a key.
pub(super) fn values<'a>(pairs: &'a Pairs, key: &str) -> impl Iterator<Item = &'a [u8]> {
    pairs
        .iter()
        .filter(move |(name, _)| name == key.as_bytes())
        .map(|(_, value)| value.as_slice())
}

fn values_of<'a>(headers: &[(&'a str, &'a str)], name: &str) -> impl Iterator<Item = &'a str> {
    headers
        .iter()
        .filter(move |header| header.0 == name)
        .map(|header| header.1)
}

fn unescape(text: &[u8], in_query: bool) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        at += 1;
        match byte {
            b'%' => {
                let digits = std::str::from_utf8(text.get(at..at + 2)?).ok()?;
                at += 2;
                let is_hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
                is_hexadecimal.then_some(())?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
            }
            b'+' if in_query => bytes.push(b' '),
            other => bytes.push(*other),
        }
    }
    Some(bytes)
}
