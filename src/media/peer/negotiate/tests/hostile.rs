//! Hostile offers: no panic, no line of the client's making, bounded work and answers.

use proptest::prelude::*;

use super::*;

/// A length that no answer to an offer of at most 64 KiB reaches. Only sections grow with the offer: refused ones take less
/// than 400 bytes, accepted ones a few times what was offered. Everything else is bounded by a constant.
const MAX_ANSWER: usize = 256 * 1024;

/// Checks the text of an answer: no control characters, nothing beyond ASCII, no line that is not SDP.
fn assert_well_formed(answer: &str) {
    assert!(answer.len() <= MAX_ANSWER, "{} bytes", answer.len());
    assert!(answer.ends_with("\r\n"));
    for line in answer.split_terminator("\r\n") {
        assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line:?}");
        assert!(
            matches!(
                line.as_bytes(),
                [b'v' | b'o' | b's' | b't' | b'c' | b'm' | b'a', b'=', _, ..]
            ),
            "{line:?}"
        );
    }
    Description::read(answer).offered().expect("an answer is SDP");
}

fn survive(offer: &str) -> bool {
    let offer = &Description::read(offer);
    let mut random = StdRng::seed_from_u64(3);
    let first = [RECEIVING, SENDING, BOTH].map(|role| answer(offer, &local(), role, None, &mut random));
    for answered in &first {
        assert_eq!(check(offer), answered.as_ref().map(|_| ()).map_err(Clone::clone));
    }
    let mut accepted = false;
    for negotiated in first.into_iter().flatten() {
        accepted = true;
        assert_well_formed(&negotiated.answer);
        if let Ok(again) = answer(offer, &local(), BOTH, Some(&negotiated), &mut random) {
            assert_well_formed(&again.answer);
        }
    }
    let previous = answered(CHROME_SENDRECV_DATA, BOTH);
    if let Ok(again) = answer(offer, &local(), BOTH, Some(&previous), &mut random) {
        assert_well_formed(&again.answer);
    }
    accepted
}

#[test]
fn an_offer_of_more_than_64_kib_is_not_read() {
    let long = offer("", &[opus(&"x:y\n".repeat(16 * 1024))]);
    assert_eq!(
        try_answer(&long, BOTH).expect_err("too long"),
        OfferError::TooLong { max: 64 * 1024 }
    );
}

#[test]
fn ten_thousand_lines_are_answered() {
    for line in [
        "a=x",
        "a=ssrc:7 x",
        "a=rtcp-fb:111 nack",
        "a=fmtp:111 stereo=1",
        "a=rid:a send",
        "a=group:BUNDLE 0",
    ] {
        let many = (line.to_owned() + "\r\n").repeat(10_000);
        let offer = offer("", &[opus("")]) + &many[..many.len().min(60 * 1024) / (line.len() + 2) * (line.len() + 2)];
        assert!(survive(&offer), "{line}");
    }
}

#[test]
fn sixty_five_sections_are_too_many() {
    let sections: Vec<String> = (0..65).map(|mid| opus(&format!("mid:{mid}"))).collect();
    let error = try_answer(&offer("", &sections), BOTH).expect_err("too many");
    assert_eq!(error, OfferError::TooManySections { count: 65, max: 64 });
}

#[test]
fn sixty_four_sections_are_answered_within_bounds() {
    let mids: Vec<String> = (0..64).map(|mid| mid.to_string()).collect();
    let sections: Vec<String> = mids.iter().map(|mid| vp8(&format!("mid:{mid}"))).collect();
    let negotiated = answered(&offer(&format!("group:BUNDLE {}", mids.join(" ")), &sections), BOTH);
    assert_eq!(negotiated.sections.len(), 64);
    assert_well_formed(&negotiated.answer);
}

#[test]
fn what_is_not_sdp_is_refused_with_a_short_reason() {
    for text in [
        "",
        "hello",
        "v=0",
        "v=1\r\n",
        "{\"sdp\":1}",
        "v=0\r\no=\r\n",
        "\u{0}\u{1}\u{2}",
        &"é".repeat(20_000),
    ] {
        let error = try_answer(text, BOTH).expect_err("no SDP");
        let text = error.to_string();
        assert!(text.len() < 600 && !text.contains(char::is_control), "{text}");
    }
}

#[test]
fn no_line_of_the_clients_gets_into_an_answer() {
    let injected = "x\ra=injected";
    let unusual = [
        format!("mid:{injected}"),
        format!(
            "mid:a\nrid:{injected} send\nsimulcast:send {injected}\nextmap:5 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
        ),
        format!("mid:a\nfmtp:111 stereo={injected};minptime={injected}"),
        "mid:a\nfmtp:111 stereo=1\ra=injected".to_owned(),
        format!("mid:a\nextmap:1 urn:ietf:params:rtp-hdrext:sdes:mid {injected}"),
        format!("mid:a\nmsid:{injected} {injected}"),
        "mid:a b".to_owned(),
        format!("mid:{}", "m".repeat(41)),
        "mid:\u{fc}".to_owned(),
    ];
    for attributes in unusual {
        survive(&offer("group:BUNDLE a x", &[opus(&attributes), vp8("mid:x")]));
        if let Ok(negotiated) = try_answer(&offer("", &[opus(&attributes)]), BOTH) {
            assert!(!negotiated.answer.contains("injected"), "{attributes:?}");
        }
    }
}

#[test]
fn a_refused_line_repeats_only_tokens() {
    let odd = media("application 9 UDP/\u{e9}/x \u{e9} \"quoted\"", "");
    let negotiated = answered(&offer("", &[odd, opus("")]), BOTH);
    assert_eq!(section(&negotiated.answer, 0)[0], "m=application 0 RTP/AVP 0");
}

/// One change to an offer.
#[derive(Clone, Debug)]
enum Mutation {
    Delete(prop::sample::Index),
    Duplicate(prop::sample::Index, u8),
    Swap(prop::sample::Index, prop::sample::Index),
    /// Other bytes in the place of some bytes of one line.
    Noise(prop::sample::Index, Vec<(prop::sample::Index, char)>),
    /// A line of another client's offer.
    Graft(prop::sample::Index, prop::sample::Index, prop::sample::Index),
    Truncate(prop::sample::Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    use prop::sample::Index;
    let index = any::<Index>;
    let odd = prop_oneof![
        any::<char>(),
        prop::sample::select(vec![' ', ':', '=', '/', ';', ',', '\r', '\n', '0', '9', '-', '~', '*']),
    ];
    prop_oneof![
        index().prop_map(Mutation::Delete),
        (index(), any::<u8>()).prop_map(|(line, times)| Mutation::Duplicate(line, times)),
        (index(), index()).prop_map(|(a, b)| Mutation::Swap(a, b)),
        (index(), prop::collection::vec((index(), odd), 1..4)).prop_map(|(line, chars)| Mutation::Noise(line, chars)),
        (index(), index(), index()).prop_map(|(at, client, line)| Mutation::Graft(at, client, line)),
        index().prop_map(Mutation::Truncate),
    ]
}

fn mutate(lines: &mut Vec<String>, mutation: &Mutation) {
    if lines.is_empty() {
        return;
    }
    let count = lines.len();
    match mutation {
        Mutation::Delete(line) => {
            lines.remove(line.index(count));
        }
        Mutation::Duplicate(line, times) => {
            let at = line.index(count);
            let copies = vec![lines[at].clone(); usize::from(*times)];
            lines.splice(at..at, copies);
        }
        Mutation::Swap(a, b) => lines.swap(a.index(count), b.index(count)),
        Mutation::Noise(line, chars) => {
            let line = &mut lines[line.index(count)];
            for (place, new) in chars {
                let mut old: Vec<char> = line.chars().collect();
                if !old.is_empty() {
                    let place = place.index(old.len());
                    old[place] = *new;
                }
                *line = old.into_iter().collect();
            }
        }
        Mutation::Graft(at, client, line) => {
            let other: Vec<&str> = CLIENTS[client.index(CLIENTS.len())].split_inclusive('\n').collect();
            lines.insert(at.index(count), other[line.index(other.len())].to_owned());
        }
        Mutation::Truncate(line) => lines.truncate(line.index(count)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_offers_of_real_clients_are_survived(
        client in 0..CLIENTS.len(),
        mutations in prop::collection::vec(mutation(), 1..12),
    ) {
        let mut lines: Vec<String> = CLIENTS[client].split_inclusive('\n').map(str::to_owned).collect();
        for one in &mutations {
            mutate(&mut lines, one);
        }
        survive(&lines.concat());
    }

    #[test]
    fn arbitrary_attributes_are_survived(
        lines in prop::collection::vec(
            (
                prop::sample::select(vec![
                    "mid", "extmap", "rtpmap", "fmtp", "rtcp-fb", "ssrc", "ssrc-group", "rid", "simulcast", "setup",
                    "fingerprint", "ice-ufrag", "ice-pwd", "group", "msid", "candidate",
                ]),
                "[ -~é]{0,24}|(96|111|\\*|1|a) [ -~]{0,24}",
            ),
            0..60,
        ),
    ) {
        let attributes: Vec<String> = lines.iter().map(|(key, value)| format!("{key}:{value}")).collect();
        let half = attributes.len() / 2;
        let sections = [opus(&attributes[..half].join("\n")), vp8(&attributes[half..].join("\n"))];
        survive(&offer(&attributes.join("\n"), &sections));
    }

    #[test]
    fn arbitrary_text_is_survived(text in "(v=0\r\n)?[ -~\r\n\t\\PC]{0,400}") {
        survive(&text);
    }
}
