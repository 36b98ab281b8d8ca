"""Bodies that schemathesis cannot make up: session descriptions. A random text is no offer, so some bodies are a real one, and
some a real one with a random piece cut out."""

import pathlib

import schemathesis

OFFERS = [
    pathlib.Path("tests/fixtures/sdp", name).read_text()
    for name in ("chrome-sendonly.sdp", "chrome-recvonly-h264-vp8.sdp")
]
CANDIDATES = "a=ice-ufrag:{ufrag}\r\na=ice-pwd:{ufrag}xxxxxxxxxxxxxxxxxxxxxx\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"


@schemathesis.serializer("application/sdp")
def offer(_, value):
    text = str(value)
    choice = len(text) % 4
    if choice < 2:
        return OFFERS[choice].encode()
    if choice == 2:
        whole = OFFERS[len(text) // 4 % 2]
        at = sum(map(ord, text)) % len(whole)
        return (whole[:at] + whole[at + len(text) :]).encode()
    return text.encode("utf-8", "replace")


@schemathesis.serializer("application/trickle-ice-sdpfrag")
def fragment(_, value):
    text = str(value)
    if len(text) % 2:
        return text.encode("utf-8", "replace")
    return CANDIDATES.format(ufrag=f"u{len(text):03}").encode()
