//! Uploads: `multipart/form-data` in any pieces.

use patchbay::http::files::multipart::{MultipartEvent, Parser};

use super::bytes::Bytes;
use super::{Run, Target};

pub const MULTIPART: Target = Target {
    name: "multipart",
    seeds: bodies,
    prepare: || Box::new(body),
};

pub const MULTIPART_TYPE: Target = Target {
    name: "multipart_type",
    seeds: || vec![b"multipart/form-data; boundary=\"b\"".to_vec()],
    prepare: content_type,
};

/// Bodies, each after a byte that decides how it is cut.
fn bodies() -> Vec<Vec<u8>> {
    let one = b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\nabc\r\n--b--\r\n";
    let two = b"--b \t\r\n\r\n\r\n--\r\n--b\r\nContent-Disposition: form-data; filename=\"\\\"%22\\.png\"; name=a\r\n\r\n\r\n--b--";
    vec![[&[7], &one[..]].concat(), [&[0], &two[..]].concat()]
}

/// The contents of a body, however it is cut: its parts with their data, and how it ends.
#[derive(Debug, Default, PartialEq)]
struct Parsed {
    parts: Vec<(String, Vec<u8>)>,
    ended: bool,
    malformed: bool,
}

fn read(body: &[u8], piece: usize) -> Parsed {
    let mut parser = Parser::new("multipart/form-data; boundary=b").unwrap();
    let mut parsed = Parsed::default();
    for piece in body.chunks(piece) {
        parser.push(piece);
        loop {
            match parser.poll() {
                Ok(Some(MultipartEvent::Part(part))) => parsed.parts.push((format!("{part:?}"), Vec::new())),
                Ok(Some(MultipartEvent::Data(data))) => {
                    let (_, all) = parsed.parts.last_mut().expect("data are a part's");
                    all.extend_from_slice(&data);
                }
                Ok(Some(MultipartEvent::End)) => {
                    parsed.ended = true;
                    return parsed;
                }
                Ok(None) => break,
                Err(_) => {
                    parsed.malformed = true;
                    return parsed;
                }
            }
        }
    }
    parsed
}

fn body(input: &[u8]) {
    let mut bytes = Bytes(input);
    let piece = 1 + bytes.below(64);
    let body = bytes.0;
    let cut = read(body, piece);
    let data: usize = cut.parts.iter().map(|(_, data)| data.len()).sum();
    assert!(data <= body.len(), "{data} bytes of {}", body.len());
    assert_eq!(cut, read(body, body.len().max(1)), "as one piece");
}

fn content_type() -> Run {
    Box::new(|input| drop(Parser::new(&String::from_utf8_lossy(input))))
}
