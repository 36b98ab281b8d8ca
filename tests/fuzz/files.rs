//! Uploads: `multipart/form-data` in any pieces.

use patchbay::http::files::multipart::{Event, Parser};

use crate::bytes::Bytes;
use crate::engine::fuzz;

#[test]
fn multipart() {
    let body = b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\nabc\r\n--b--\r\n";
    let mut seed = vec![7];
    seed.extend_from_slice(body);
    fuzz("multipart", vec![seed], |input| {
        let mut bytes = Bytes(input);
        let piece = 1 + bytes.below(64);
        let mut parser = Parser::new("multipart/form-data; boundary=b").unwrap();
        let mut data = 0;
        let body = bytes.0.len();
        while !bytes.is_empty() {
            parser.push(bytes.take(piece));
            loop {
                match parser.poll() {
                    Ok(Some(Event::Data(part))) => data += part.len(),
                    Ok(Some(Event::Part(_))) => {}
                    Ok(Some(Event::End) | None) => break,
                    Err(_) => return,
                }
            }
        }
        assert!(data <= body, "{data} bytes of {body}");
    });
    fuzz(
        "multipart-type",
        vec![b"multipart/form-data; boundary=\"b\"".to_vec()],
        |input| {
            let _ = Parser::new(&String::from_utf8_lossy(input));
        },
    );
}
