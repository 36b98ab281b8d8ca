//! `multipart/form-data` (RFC 7578, RFC 2046 §5.1), pure: bytes in, parts out, at most one piece and one part's
//! headers in memory however the sender cuts or pads. (The usual crate collects headers, and whatever has arrived,
//! without bound.)

use bytes::{Buf, Bytes, BytesMut};

/// Bytes of all headers of one part. Real ones are two lines.
const MAX_HEAD_BYTES: usize = 8 * 1024;
/// RFC 2046 §5.1.1: at most 70 characters.
const MAX_BOUNDARY_BYTES: usize = 70;
/// Bytes of white space after a boundary; senders need not send any.
const MAX_PADDING_BYTES: usize = 256;

/// A piece of the body, as the parser finds it.
#[derive(Debug, PartialEq, Eq)]
pub enum MultipartEvent {
    Part(Part),
    /// Data of the part begun last.
    Data(Bytes),
    /// The end of the last part.
    End,
}

/// The head of a part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    pub name: String,
    pub file_name: Option<String>,
    pub media_type: Option<String>,
}

/// The reason why the body cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("the Content-Type is not multipart/form-data with a boundary")]
    NoBoundary,
    #[error("a part's headers are too long or not text")]
    Head,
    #[error("a boundary is followed by something else than a new line")]
    Boundary,
}

/// A parser: push bytes, then take events until there are none.
pub struct Parser {
    buffer: BytesMut,
    /// The bytes between two parts: CRLF, two hyphens, the boundary.
    delimiter: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Preamble,
    AfterBoundary,
    Head,
    Data,
    End,
}

impl Parser {
    /// A parser for a request with this Content-Type.
    pub fn new(content_type: &str) -> Result<Parser, Malformed> {
        let boundary = boundary(content_type).ok_or(Malformed::NoBoundary)?;
        Ok(Parser {
            // The first boundary need not follow a line, so parsing begins with the end of one.
            buffer: BytesMut::from(&b"\r\n"[..]),
            delimiter: [b"\r\n--", boundary.as_bytes()].concat(),
            state: State::Preamble,
        })
    }

    pub fn push(&mut self, bytes: &[u8]) {
        if self.state != State::End {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Returns the next event. `None`: push more.
    pub fn poll(&mut self) -> Result<Option<MultipartEvent>, Malformed> {
        loop {
            match self.state {
                State::Preamble => match self.until_delimiter() {
                    (_, true) => self.state = State::AfterBoundary,
                    (_, false) => return Ok(None),
                },
                State::AfterBoundary => match self.after_boundary()? {
                    Some(next) => self.state = next,
                    None => return Ok(None),
                },
                State::Head => match self.head()? {
                    Some(part) => {
                        self.state = State::Data;
                        return Ok(Some(MultipartEvent::Part(part)));
                    }
                    None => return Ok(None),
                },
                State::Data => {
                    let (data, ended) = self.until_delimiter();
                    if ended {
                        self.state = State::AfterBoundary;
                    }
                    if !data.is_empty() {
                        return Ok(Some(MultipartEvent::Data(data)));
                    }
                    if !ended {
                        return Ok(None);
                    }
                }
                State::End => return Ok(Some(MultipartEvent::End)),
            }
        }
    }

    /// Takes the bytes before the delimiter, and returns whether it was found; it is then removed, too. Bytes that
    /// could be its beginning stay in the buffer.
    fn until_delimiter(&mut self) -> (Bytes, bool) {
        match memchr::memmem::find(&self.buffer, &self.delimiter) {
            Some(at) => {
                let data = self.buffer.split_to(at).freeze();
                self.buffer.advance(self.delimiter.len());
                (data, true)
            }
            None => {
                let sure = self.buffer.len().saturating_sub(self.delimiter.len() - 1);
                (self.buffer.split_to(sure).freeze(), false)
            }
        }
    }

    fn after_boundary(&mut self) -> Result<Option<State>, Malformed> {
        let padding = self.buffer.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        let Some(next) = self.buffer.get(padding..padding + 2) else {
            return if padding > MAX_PADDING_BYTES {
                Err(Malformed::Boundary)
            } else {
                Ok(None)
            };
        };
        match next {
            b"--" if padding == 0 => {
                self.buffer.clear();
                Ok(Some(State::End))
            }
            b"\r\n" => {
                // The line's end stays in the buffer: a part without headers begins with an empty line.
                self.buffer.advance(padding);
                Ok(Some(State::Head))
            }
            _ => Err(Malformed::Boundary),
        }
    }

    fn head(&mut self) -> Result<Option<Part>, Malformed> {
        let end = memchr::memmem::find(&self.buffer, b"\r\n\r\n");
        if end.unwrap_or(self.buffer.len()) > MAX_HEAD_BYTES {
            return Err(Malformed::Head);
        }
        let Some(end) = end else { return Ok(None) };
        let head = self.buffer.split_to(end);
        self.buffer.advance(4);
        let text = std::str::from_utf8(&head).map_err(|_| Malformed::Head)?;
        Ok(Some(part(text)))
    }
}

fn boundary(content_type: &str) -> Option<String> {
    let (media_type, parameters) = content_type.split_once(';')?;
    if !media_type.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = parameter(parameters, "boundary")?;
    let fits = (1..=MAX_BOUNDARY_BYTES).contains(&boundary.len()) && boundary.is_ascii();
    fits.then_some(boundary)
}

fn part(head: &str) -> Part {
    let mut part = Part::default();
    for line in head.split("\r\n") {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        if name.trim().eq_ignore_ascii_case("content-disposition") {
            let parameters = value.split_once(';').map_or("", |(_, parameters)| parameters);
            part.name = parameter(parameters, "name").unwrap_or_default();
            part.file_name = parameter(parameters, "filename").map(|name| unescape(&name));
        } else if name.trim().eq_ignore_ascii_case("content-type") {
            part.media_type = Some(value.trim().to_owned());
        }
    }
    part
}

/// The value of one parameter in `name=value; name="value"`. In quotes, `\"` is a quote; other backslashes stay,
/// because old browsers send paths.
fn parameter(mut rest: &str, wanted: &str) -> Option<String> {
    loop {
        let (name, after) = rest.split_once('=')?;
        let (value, next) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => until_quote(quoted)?,
            None => {
                let end = after.find(';').unwrap_or(after.len());
                (after[..end].trim().to_owned(), &after[end..])
            }
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = next.split_once(';')?.1;
    }
}

/// The text up to the closing quote, and the rest after it.
fn until_quote(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = quoted.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' if characters.next_if(|(_, next)| *next == '"').is_some() => value.push('"'),
            _ => value.push(c),
        }
    }
    None
}

/// Reverses the escapes of browsers in file names (WHATWG HTML, "escape a multipart form data name"), and no others: a
/// name may well contain other percent signs.
fn unescape(name: &str) -> String {
    name.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=XyZ";

    /// All events when `body` is pushed in pieces of `size`, with joined data.
    fn parse(body: &[u8], size: usize) -> Result<Vec<MultipartEvent>, Malformed> {
        let mut parser = Parser::new(TYPE)?;
        let mut events: Vec<MultipartEvent> = Vec::new();
        for piece in body.chunks(size) {
            parser.push(piece);
            while let Some(event) = parser.poll()? {
                match (events.last_mut(), event) {
                    (Some(MultipartEvent::End), MultipartEvent::End) => break,
                    (Some(MultipartEvent::Data(before)), MultipartEvent::Data(more)) => {
                        *before = [&before[..], &more[..]].concat().into()
                    }
                    (_, event) => events.push(event),
                }
            }
            assert!(parser.buffer.len() <= MAX_HEAD_BYTES + size + parser.delimiter.len());
        }
        Ok(events)
    }

    fn file(name: &str, file_name: &str) -> MultipartEvent {
        MultipartEvent::Part(Part {
            name: name.to_owned(),
            file_name: Some(file_name.to_owned()),
            media_type: Some("image/png".to_owned()),
        })
    }

    fn body(content: &[u8]) -> Vec<u8> {
        let head = "preamble\r\n--XyZ\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhi\r\n--XyZ  \r\n\
            content-disposition: form-data; filename=\"a;b \\\"c%22.png\"; name=file\r\nContent-Type: image/png\r\n\r\n";
        [head.as_bytes(), content, b"\r\n--XyZ--\r\nepilogue"].concat()
    }

    fn expected(content: &[u8]) -> Vec<MultipartEvent> {
        let note = MultipartEvent::Part(Part {
            name: "note".to_owned(),
            ..Part::default()
        });
        let mut events = vec![
            note,
            MultipartEvent::Data(Bytes::from_static(b"hi")),
            file("file", "a;b \"c\".png"),
        ];
        if !content.is_empty() {
            events.push(MultipartEvent::Data(Bytes::copy_from_slice(content)));
        }
        events.push(MultipartEvent::End);
        events
    }

    proptest! {
        #[test]
        fn parts_come_out_the_same_however_the_body_is_cut(content: Vec<u8>, size in 1..200_usize) {
            prop_assume!(memchr::memmem::find(&content, b"\r\n--XyZ").is_none());
            prop_assert_eq!(parse(&body(&content), size).unwrap(), expected(&content));
        }

        #[test]
        fn nothing_panics_or_grows(noise: Vec<u8>, size in 1..50_usize) {
            let _ = parse(&noise, size);
            let _ = parse(&[b"--XyZ\r\n", &noise[..]].concat(), size);
            let _ = parse(&[b"--XyZ", &noise[..], b"\r\n\r\n--XyZ--"].concat(), size);
        }

        #[test]
        fn no_header_panics(text: String) {
            let _ = Parser::new(&format!("multipart/form-data; {text}"));
            let _ = part(&format!("Content-Disposition: form-data; {text}"));
        }
    }

    #[test]
    fn what_looks_like_a_boundary_but_is_none_is_content() {
        let content = b"\r\n--XyY\r\n--Xy\r\r\n-\r\n--Xy";
        assert_eq!(parse(&body(content), 3).unwrap(), expected(content));
    }

    #[test]
    fn endless_headers_and_endless_padding_are_refused() {
        let headers = [b"--XyZ\r\nA: ", vec![b'a'; 100_000].as_slice()].concat();
        assert_eq!(parse(&headers, 1_000), Err(Malformed::Head));
        let padding = [b"--XyZ", vec![b' '; 100_000].as_slice()].concat();
        assert_eq!(parse(&padding, 1_000), Err(Malformed::Boundary));
    }

    #[test]
    fn the_boundary_is_needed() {
        assert!(Parser::new("multipart/form-data; charset=utf-8; BOUNDARY=\"a b\"").is_ok());
        for wrong in [
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "text/plain; boundary=a",
        ] {
            assert_eq!(Parser::new(wrong).err(), Some(Malformed::NoBoundary), "{wrong}");
        }
    }
}
