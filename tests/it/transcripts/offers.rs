//! Short offers of the kind that browsers write.

/// `"@KIND NUMBER"` in a message becomes an offer, as a JSON text.
pub fn fill_in(message: &str) -> String {
    let Some((before, rest)) = message.split_once("\"@") else {
        return message.to_owned();
    };
    let (placeholder, after) = rest.split_once('"').expect("the placeholder ends");
    let mut words = placeholder.split(' ');
    let kind = words.next().unwrap();
    let number: u32 = words.next().expect("a connection's number").parse().unwrap();
    let rest: Vec<&str> = words.collect();
    let formats = rest.iter().find_map(|word| word.strip_prefix("video="));
    let formats: Vec<&str> = formats.unwrap_or("VP8").split(',').collect();
    let offer = offer_of(kind, number, rest.contains(&"again"), &formats);
    let sdp = serde_json::to_string(&offer).unwrap();
    format!("{before}{sdp}{after}")
}

/// An offer of a connection: its session id, certificate and ICE user follow from the number. The next offer of the
/// same connection restarts ICE.
pub fn offer(direction: &str, number: u32, again: bool) -> String {
    offer_of(direction, number, again, &["VP8"])
}

/// The same with these video formats, numbered from 96.
pub fn offer_of(direction: &str, number: u32, again: bool, formats: &[&str]) -> String {
    let numbers: String = (96..)
        .take(formats.len())
        .map(|number: u8| format!(" {number}"))
        .collect();
    let formats: String = (96..)
        .zip(formats)
        .map(|(number, name): (u8, _)| {
            format!("a=rtpmap:{number} {name}/90000\r\na=rtcp-fb:{number} nack\r\na=rtcp-fb:{number} nack pli\r\n")
        })
        .collect();
    let digest = vec![format!("{number:02X}"); 32].join(":");
    let version = if again { 3 } else { 2 };
    let generation = if again { 'b' } else { 'a' };
    let transport = format!(
        "a=ice-ufrag:u{generation}{number:02}\r\na=ice-pwd:passwordpasswordpass{generation}{number:03}\r\n\
        a=ice-options:trickle\r\na=fingerprint:sha-256 {digest}\r\na=setup:actpass\r\na=rtcp-mux\r\na={direction}\r\n"
    );
    format!(
        "v=0\r\no=- 77{number:03} {version} IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n{transport}\
        a=rtpmap:111 opus/48000/2\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF{numbers}\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\n{transport}\
        {formats}"
    )
}
