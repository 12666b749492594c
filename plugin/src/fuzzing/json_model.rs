//! A model of `encoding/json`, after its documentation and `decode.go`, as far as `containers/create` needs it.
//!
//! Bytes are parsed into a tree that keeps every key, and the tree is decoded into structs in the order of its keys, so that
//! what comes later changes what was there, as it does in Go.

/// A container as dockerd finds it in a body, in parts.
#[derive(Clone, Debug, Default)]
pub(super) struct Create {
    pub(super) image: String,
    pub(super) host: Host,
    /// What stands beside `HostConfig`, which engines before 28.0 take if there is none.
    pub(super) beside: Host,
}

/// The part of a `HostConfig` that bears images.
#[derive(Clone, Debug, Default)]
pub(super) struct Host {
    pub(super) mounts: Vec<Mount>,
    pub(super) volumes_from: Vec<String>,
}

/// The part of a mount that bears images.
#[derive(Clone, Debug, Default)]
pub(super) struct Mount {
    pub(super) kind: String,
    pub(super) source: String,
}

/// A value that keeps every key.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Scalar,
    Text(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

/// What dockerd finds in a body; `None` where it refuses it.
pub(super) fn create(body: &[u8]) -> Option<Create> {
    let mut create = Create::default();
    for (key, value) in fields(&parse(body)?)? {
        if folds(key, "Image") {
            text(value, &mut create.image)?;
        } else if folds(key, "HostConfig") {
            host(value, &mut create.host)?;
        } else {
            member(key, value, &mut create.beside)?;
        }
    }
    Some(create)
}

fn host(value: &Value, host: &mut Host) -> Option<()> {
    if matches!(value, Value::Null) {
        // It is a pointer.
        *host = Host::default();
    }
    for (key, value) in fields(value)? {
        member(key, value, host)?;
    }
    Some(())
}

fn member(key: &str, value: &Value, host: &mut Host) -> Option<()> {
    if folds(key, "Mounts") {
        list(value, &mut host.mounts, mount)
    } else if folds(key, "VolumesFrom") {
        list(value, &mut host.volumes_from, text)
    } else {
        Some(())
    }
}

fn mount(value: &Value, mount: &mut Mount) -> Option<()> {
    for (key, value) in fields(value)? {
        if folds(key, "Type") {
            text(value, &mut mount.kind)?;
        } else if folds(key, "Source") {
            text(value, &mut mount.source)?;
        }
    }
    Some(())
}

/// A slice keeps the elements that are there, and decodes into them.
fn list<T: Default>(
    value: &Value,
    list: &mut Vec<T>,
    decode: fn(&Value, &mut T) -> Option<()>,
) -> Option<()> {
    match value {
        Value::Null => list.clear(),
        Value::List(values) => {
            list.resize_with(values.len(), T::default);
            for (value, element) in values.iter().zip(list) {
                decode(value, element)?;
            }
        }
        Value::Scalar | Value::Text(_) | Value::Object(_) => return None,
    }
    Some(())
}

/// `null` leaves a string as it is.
fn text(value: &Value, text: &mut String) -> Option<()> {
    match value {
        Value::Null => {}
        Value::Text(found) => found.clone_into(text),
        Value::Scalar | Value::List(_) | Value::Object(_) => return None,
    }
    Some(())
}

fn fields(value: &Value) -> Option<&[(String, Value)]> {
    match value {
        Value::Null => Some(&[]),
        Value::Object(fields) => Some(fields),
        Value::Scalar | Value::Text(_) | Value::List(_) => None,
    }
}

/// Whether two names are one under simple folding. The orbits that reach into ASCII are `K k U+212A` and `S s U+017F`.
fn folds(key: &str, name: &str) -> bool {
    let orbit = |letter: char| match letter {
        'k' | 'K' | '\u{212a}' => 'K',
        's' | 'S' | '\u{17f}' => 'S',
        'a'..='z' => letter.to_ascii_uppercase(),
        other => other,
    };
    let folded = |text: &str| text.chars().map(orbit).collect::<String>();
    folded(key) == folded(name)
}

/// The first value of a body, whatever stands behind it.
pub(super) fn parse(body: &[u8]) -> Option<Value> {
    let mut scanner = Scanner { rest: body };
    scanner.value(0)
}

struct Scanner<'a> {
    rest: &'a [u8],
}

// === impl Scanner ===

impl Scanner<'_> {
    fn value(&mut self, depth: usize) -> Option<Value> {
        // Go stops at 10,000; the stack of a test does so earlier, and no accepted body comes near.
        if depth > 1_000 {
            return None;
        }
        self.space();
        match self.peek()? {
            b'n' => self.word("null").map(|()| Value::Null),
            b't' => self.word("true").map(|()| Value::Scalar),
            b'f' => self.word("false").map(|()| Value::Scalar),
            b'"' => self.string().map(Value::Text),
            b'[' => self.list(depth),
            b'{' => self.object(depth),
            _ => self.number(),
        }
    }

    fn list(&mut self, depth: usize) -> Option<Value> {
        self.next()?;
        let mut values = Vec::new();
        self.space();
        if self.takes(b']') {
            return Some(Value::List(values));
        }
        loop {
            values.push(self.value(depth + 1)?);
            self.space();
            match self.next()? {
                b',' => {}
                b']' => return Some(Value::List(values)),
                _ => return None,
            }
        }
    }

    fn object(&mut self, depth: usize) -> Option<Value> {
        self.next()?;
        let mut fields = Vec::new();
        self.space();
        if self.takes(b'}') {
            return Some(Value::Object(fields));
        }
        loop {
            self.space();
            let key = self.string()?;
            self.space();
            if self.next()? != b':' {
                return None;
            }
            fields.push((key, self.value(depth + 1)?));
            self.space();
            match self.next()? {
                b',' => {}
                b'}' => return Some(Value::Object(fields)),
                _ => return None,
            }
        }
    }

    fn number(&mut self) -> Option<Value> {
        self.takes(b'-');
        match self.next()? {
            b'0' => {}
            b'1'..=b'9' => while self.digit() {},
            _ => return None,
        }
        if self.takes(b'.') {
            self.digit().then_some(())?;
            while self.digit() {}
        }
        if self.takes(b'e') || self.takes(b'E') {
            let _ = self.takes(b'+') || self.takes(b'-');
            self.digit().then_some(())?;
            while self.digit() {}
        }
        Some(Value::Scalar)
    }

    /// Unquotes: what is no text, and surrogates without a partner, become U+FFFD.
    fn string(&mut self) -> Option<String> {
        if self.next()? != b'"' {
            return None;
        }
        let mut bytes = Vec::new();
        loop {
            match self.next()? {
                b'"' => return Some(String::from_utf8_lossy(&bytes).into_owned()),
                b'\\' => {
                    let letter = self.escape()?;
                    bytes.extend(letter.encode_utf8(&mut [0; 4]).bytes());
                }
                0..0x20 => return None,
                byte => bytes.push(byte),
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        Some(match self.next()? {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.unit()?;
                let before = self.rest;
                let second = (self.takes(b'\\') && self.takes(b'u')).then(|| self.unit());
                let pair = [first, second.flatten().unwrap_or(0)];
                match char::decode_utf16(pair).next()? {
                    Ok(letter) => {
                        if letter.len_utf16() == 1 {
                            self.rest = before;
                        }
                        letter
                    }
                    Err(_) => {
                        self.rest = before;
                        '\u{fffd}'
                    }
                }
            }
            _ => return None,
        })
    }

    fn unit(&mut self) -> Option<u16> {
        let digits = self.rest.get(..4)?;
        self.rest = self.rest.get(4..)?;
        let digits = std::str::from_utf8(digits).ok()?;
        let is_hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_hexadecimal.then(|| u16::from_str_radix(digits, 16).ok())?
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(word.as_bytes())?;
        Some(())
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            let _ = self.next();
        }
    }

    fn digit(&mut self) -> bool {
        self.peek().is_some_and(|byte| byte.is_ascii_digit()) && self.next().is_some()
    }

    fn takes(&mut self, byte: u8) -> bool {
        self.peek() == Some(byte) && self.next().is_some()
    }

    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }
}
