#!/usr/bin/python3
"""A participant whose media are GStreamer's: webrtcbin with the bundle policy that it has by default, which offers each section
a transport of its own.

    gstreamer.py ws://HOST:PORT/groupcall ROOM NAME
    gstreamer.py check          says by its exit code whether all is there that it needs

It joins, publishes sound and a picture, and watches everybody who is there or comes. It prints what it decodes of whom, one line for
each ten buffers: `decoded video of 2: 10`. A line that begins with `error` ends it.
"""
import json
import sys
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402
import websocket  # noqa: E402

PUBLISHED = """
  webrtcbin name=peer latency=100
  audiotestsrc is-live=true wave=ticks volume=0.8 ! audioconvert ! opusenc ! rtpopuspay pt=97
    ! application/x-rtp,media=audio,encoding-name=OPUS,payload=97 ! peer.
  videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=15/1
    ! vp8enc deadline=1 keyframe-max-dist=30 target-bitrate=300000 ! rtpvp8pay pt=96 picture-id-mode=15-bit
    ! application/x-rtp,media=video,encoding-name=VP8,payload=96 ! peer.
"""
WATCHED = [
    "application/x-rtp,media=audio,encoding-name=OPUS,payload=97,clock-rate=48000,encoding-params=(string)2",
    "application/x-rtp,media=video,encoding-name=VP8,payload=96,clock-rate=90000",
]
NEEDED = "webrtcbin nicesink dtlssrtpenc srtpenc rtpbin opusenc opusdec rtpopuspay vp8enc vp8dec rtpvp8pay videotestsrc audiotestsrc"
CONNECTED = GstWebRTC.WebRTCDTLSTransportState.CONNECTED
DECODERS = {"audio": "rtpopusdepay ! opusdec", "video": "rtpvp8depay ! vp8dec"}


def say(line):
    print(line, flush=True)


def fail(line):
    say(f"error: {line}")
    loop.quit()


class Peer:
    """One connection, which offers once."""

    def __init__(self, name, pipeline, peer):
        self.name, self.pipeline, self.peer = name, pipeline, peer
        bus = pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message::error", lambda _, message: fail(f"{name}: {message.parse_error()}"))
        # Kept: the binding takes over the reference that the peer has (its objects begin as floating).
        self.ice = peer.get_property("ice-agent")
        # Without it there are no candidates where the machine has no other network.
        self.ice.emit("add-local-ip-address", "127.0.0.1")
        peer.connect("notify::connection-state", self.on_state)
        peer.connect("pad-added", self.on_pad)

    def start(self):
        self.pipeline.set_state(Gst.State.PLAYING)
        self.peer.emit("create-offer", None, Gst.Promise.new_with_change_func(self.on_offer))

    def on_offer(self, promise):
        reply = promise.get_reply()
        # Part of the reply, so that is kept.
        offer = reply.get_value("offer")
        self.peer.emit("set-local-description", offer, Gst.Promise.new())
        text = offer.sdp.as_text()
        if "a=group:BUNDLE" in text:
            fail("GStreamer bundles by default now; this is to be without")
        send(id="receiveVideoFrom", sender=self.name, sdpOffer=text)

    def accept(self, answer):
        _, message = GstSdp.SDPMessage.new_from_text(answer)
        answer = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, message)
        self.peer.emit("set-remote-description", answer, Gst.Promise.new())

    def on_state(self, peer, _):
        connected = [transport for transport in self.transports() if transport.get_property("state") == CONNECTED]
        state = peer.get_property("connection-state").value_nick
        say(f"for {self.name}: {state}, transports that are: {len(connected)}")

    def transports(self):
        """Each once, however many sections it carries."""
        found = {}
        for transceiver in transceivers(self.peer):
            for end in ("sender", "receiver"):
                transport = transceiver.get_property(end).get_property("transport")
                if transport:
                    found[transport.get_property("session-id")] = transport
        return found.values()

    def on_pad(self, _, pad):
        if pad.direction != Gst.PadDirection.SRC:
            return
        media = pad.get_current_caps().get_structure(0).get_string("media")
        receiver = Gst.parse_bin_from_description(f"{DECODERS[media]} ! fakesink name=sink signal-handoffs=true", True)
        counter = {"buffers": 0}
        receiver.get_by_name("sink").connect("handoff", self.on_decoded, media, counter)
        self.pipeline.add(receiver)
        receiver.sync_state_with_parent()
        pad.link(receiver.get_static_pad("sink"))

    def on_decoded(self, _sink, _buffer, _pad, media, counter):
        counter["buffers"] += 1
        if counter["buffers"] % 10 == 0:
            say(f"decoded {media} of {self.name}: {counter['buffers']}")


def transceivers(peer):
    index = 0
    while transceiver := peer.emit("get-transceiver", index):
        yield transceiver
        index += 1


def publish():
    pipeline = Gst.parse_launch(PUBLISHED)
    peer = pipeline.get_by_name("peer")
    for transceiver in transceivers(peer):
        transceiver.set_property("direction", GstWebRTC.WebRTCRTPTransceiverDirection.SENDONLY)
    return Peer(own_name, pipeline, peer)


def watch(name):
    pipeline = Gst.Pipeline.new(None)
    peer = Gst.ElementFactory.make("webrtcbin", "peer")
    peer.set_property("latency", 100)
    pipeline.add(peer)
    for caps in WATCHED:
        direction = GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY
        peer.emit("add-transceiver", direction, Gst.Caps.from_string(caps))
    return Peer(name, pipeline, peer)


def send(**message):
    socket.send(json.dumps(message))


def begin(name, peer):
    peers[name] = peer
    peer.start()


def take(message):
    kind = message.get("id")
    if kind == "existingParticipants":
        begin(own_name, publish())
        for name in message["data"]:
            begin(name, watch(name))
    elif kind == "newParticipantArrived":
        begin(message["name"], watch(message["name"]))
    elif kind == "receiveVideoAnswer":
        peers[message["name"]].accept(message["sdpAnswer"])
    elif kind == "unrecognizedMessage":
        fail(message["reason"])


def read():
    try:
        while text := socket.recv():
            GLib.idle_add(take, json.loads(text))
    except (OSError, websocket.WebSocketException) as error:
        GLib.idle_add(fail, f"the socket: {error}")
    GLib.idle_add(fail, "the socket is closed")


Gst.init(None)
if sys.argv[1:] == ["check"]:
    sys.exit(0 if all(Gst.ElementFactory.find(name) for name in NEEDED.split()) else 1)
url, room, own_name = sys.argv[1:]
loop = GLib.MainLoop()
peers = {}
socket = websocket.create_connection(url)
threading.Thread(target=read, daemon=True).start()
send(id="joinRoom", name=own_name, room=room)
loop.run()
