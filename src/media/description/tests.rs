//! The parts of an offer that are kept, and their size.

use super::*;

const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n";
const AUDIO: &str = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n";

/// Text of `line` for each number below `count`.
fn repeated(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect()
}

/// The longest offer: `before`, and then `line` again and again.
fn filled(before: &str, line: impl Fn(usize) -> String) -> String {
    let mut text = before.to_owned();
    for number in 0.. {
        let line = line(number);
        if text.len() + line.len() > text::MAX_OFFER_BYTES {
            break;
        }
        text += &line;
    }
    assert!(text.len() > 60 * 1024, "{} bytes", text.len());
    text
}

#[test]
fn of_a_long_text_that_says_nothing_almost_nothing_is_kept() {
    let audio = format!("{HEAD}{AUDIO}");
    let texts = [
        "nonsense ".repeat(7_000),
        filled(HEAD, |number| format!("a=x-{number}:of no use\r\n")),
        filled(&audio, |number| {
            format!("a=candidate:{number} 1 udp 1 192.0.2.1 9 typ host\r\n")
        }),
        filled(&audio, |_| "a=fmtp:111 stereo=1\r\n".to_owned()),
        filled(&audio, |_| "a=rtcp-fb:111 nack\r\n".to_owned()),
        filled(&audio, |number| format!("a=ssrc:{number} cname:x\r\n")),
        filled(&audio, |number| format!("a=ssrc-group:FID {number} 7\r\n")),
        filled(&audio, |number| format!("a=rid:r{number} send\r\n")),
        filled(&audio, |number| format!("a=extmap:{number} urn:x\r\n")),
        filled(&audio, |number| format!("a=group:BUNDLE {number}\r\n")),
        filled(&audio, |number| format!("a=rtpmap:{number} VP8/90000\r\n")),
        filled(&audio, |_| format!("a=fingerprint:sha-256 {}00\r\n", "00:".repeat(31))),
        format!("{HEAD}m=audio 9 UDP/TLS/RTP/SAVPF{}\r\n", " 111".repeat(16_000)),
        format!(
            "{HEAD}{AUDIO}a=mid:{0}\r\na=ice-ufrag:{0}\r\na=ice-pwd:{0}\r\n",
            "m".repeat(21_000)
        ),
        format!(
            "{HEAD}{AUDIO}a=rtpmap:63 red/48000/2\r\na=fmtp:63 111{}\r\n",
            "/111".repeat(15_000)
        ),
        format!("v=0\r\no={0} {0} 1 IN IP4 127.0.0.1\r\n", "o".repeat(32_000)),
    ];
    for text in texts {
        let bytes = Description::read(&text).bytes();
        let beginning: String = text.chars().skip(HEAD.len()).take(120).collect();
        assert!(bytes < 2_048, "{bytes} bytes are kept of {beginning}");
    }
}

#[test]
fn whatever_an_offer_says_no_more_is_kept_than_a_bound() {
    let numbers = || (0..=63).chain(96..=127);
    let all_formats = |section: usize| {
        let names: String = numbers().map(|number: usize| format!(" {number}")).collect();
        let maps: String = numbers()
            .map(|number| format!("a=rtpmap:{number} VP8/90000\r\n"))
            .collect();
        format!("m=video 9 UDP/TLS/RTP/SAVPF{names}\r\na=rtcp-mux\r\na=mid:{section}\r\n{maps}")
    };
    let credentials = format!("a=ice-ufrag:{0}\r\na=ice-pwd:{0}\r\n", "x".repeat(256));
    let extmaps = repeated(64, |number| {
        format!("a=extmap:{} urn:3gpp:video-orientation\r\n", number % 14 + 1)
    });
    let with_all = |section: usize| format!("{AUDIO}a=mid:{section}\r\n{credentials}");
    let texts = [
        filled(HEAD, all_formats),
        format!("{HEAD}{extmaps}{}", repeated(64, with_all)),
        format!("{HEAD}{}", repeated(64, |_| AUDIO.to_owned())),
    ];
    for text in texts {
        let description = Description::read(&text);
        let bytes = description.bytes();
        assert!(bytes <= BYTES_MAX, "{bytes} bytes are kept of {}", text.len());
    }
}

#[test]
fn what_says_more_than_is_kept_is_refused() {
    // The header extensions of the session count in each section.
    let extmaps = repeated(64, |number| {
        format!("a=extmap:{} urn:3gpp:video-orientation\r\n", number % 14 + 1)
    });
    let credentials = format!("a=ice-ufrag:{0}\r\na=ice-pwd:{0}\r\n", "x".repeat(256));
    let section = |number| format!("{AUDIO}a=mid:{number}\r\n{credentials}");
    let text = format!("{HEAD}{extmaps}{}", repeated(64, section));
    assert!(text.len() <= text::MAX_OFFER_BYTES);
    let error = Description::read(&text).offered().err();
    assert_eq!(error, Some(OfferError::TooMuch { max: BYTES_MAX }));
}

#[test]
fn nothing_secret_is_printed() {
    let text = format!("{HEAD}{AUDIO}a=ice-ufrag:user\r\na=ice-pwd:this-password-is-secret\r\n");
    let description = Description::read(&text);
    assert!(description.offered().is_ok());
    assert!(!format!("{description:?}").contains("secret"), "{description:?}");
}

/// An offer with one bundle, whose ICE user is `user`.
fn bundled(user: &str) -> String {
    let transport = format!("a=ice-ufrag:{user}\r\na=ice-pwd:password-of-the-user-{user}\r\n");
    let section = |mid: u8| format!("{AUDIO}a=mid:{mid}\r\n{transport}");
    format!("{HEAD}a=group:BUNDLE 0 1\r\n{}{}", section(0), section(1))
}

#[test]
fn an_ice_restart_by_credentials_alone_is_what_the_whole_offer_would_have_been() {
    let restarted = Description::read(&bundled("old1")).restarted("new1", "password-of-the-user-new1");
    assert!(restarted == Ok(Description::read(&bundled("new1"))));
    let first = Description::read(&bundled("old1"));
    assert!(first.has_ufrag("old1") && !first.has_ufrag("new1"));
}

#[test]
fn ice_is_not_restarted_by_nonsense_nor_for_several_transports_at_once() {
    let offer = Description::read(&bundled("old1"));
    let long = "x".repeat(257);
    for (ufrag, pwd) in [
        ("new", "password-of-the-user-new1"),
        ("new1", "short"),
        ("a:b1", "password-of-the-user-new1"),
        (&*long, &*long),
    ] {
        assert_eq!(offer.restarted(ufrag, pwd), Err(NotRestarted::Credentials), "{ufrag}");
    }
    let another = bundled("old2").split_off(HEAD.len() + "a=group:BUNDLE 0 1\r\n".len());
    let several = Description::read(&format!("{}{another}", bundled("old1")));
    assert!(several.has_ufrag("old1") && several.has_ufrag("old2"));
    for offer in [
        several,
        Description::read("nonsense"),
        Description::read(&format!("{HEAD}{AUDIO}")),
    ] {
        let restarted = offer.restarted("new1", "password-of-the-user-new1");
        assert_eq!(restarted, Err(NotRestarted::SeveralTransports));
    }
}

#[test]
fn whether_a_client_sends_or_receives_is_known_of_what_can_be_accepted() {
    let data = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n";
    for (direction, sends, receives) in [
        ("sendonly", true, false),
        ("recvonly", false, true),
        ("sendrecv", true, true),
        ("inactive", false, false),
    ] {
        let offer = Description::read(&format!("{HEAD}{AUDIO}a={direction}\r\n{data}"));
        assert_eq!(
            (offer.sends(Kind::Audio), offer.sends(Kind::Video), offer.receives()),
            (sends, false, receives)
        );
    }
    let nothing = Description::read(&format!("{HEAD}{data}"));
    assert!(!nothing.sends(Kind::Audio) && !nothing.receives());
}
