#!/usr/bin/python3
"""A program that publishes by WHIP (RFC 9725): GStreamer's webrtcbin, with one BUNDLE group as WHIP asks for.

    whip.py http://HOST:PORT/whip/ROOM?userId=NAME

It publishes sound and a picture until it is asked to end (SIGTERM). Then it ends its session with DELETE, and says how that was
answered. After a line that begins with `error` it ends, too.
"""
import signal
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

PUBLISHED = """
  webrtcbin name=peer latency=100 bundle-policy=max-bundle
  audiotestsrc is-live=true wave=ticks volume=0.8 ! audioconvert ! opusenc ! rtpopuspay pt=97
    ! application/x-rtp,media=audio,encoding-name=OPUS,payload=97 ! peer.
  videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=15/1
    ! vp8enc deadline=1 keyframe-max-dist=30 target-bitrate=300000 ! rtpvp8pay pt=96 picture-id-mode=15-bit
    ! application/x-rtp,media=video,encoding-name=VP8,payload=96 ! peer.
"""


def say(line):
    print(line, flush=True)


def fail(line):
    say(f"error: {line}")
    loop.quit()


def request(method, url, body=None):
    headers = {"Content-Type": "application/sdp"} if body else {}
    asked = urllib.request.Request(url, method=method, data=body and body.encode(), headers=headers)
    return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked)


def on_offer(promise):
    reply = promise.get_reply()
    # Part of the reply, so that is kept.
    offer = reply.get_value("offer")
    peer.emit("set-local-description", offer, Gst.Promise.new())
    threading.Thread(target=exchange, args=(offer.sdp.as_text(),), daemon=True).start()


def exchange(offer):
    global session
    try:
        answer = request("POST", endpoint, offer)
        session = urllib.parse.urljoin(endpoint, answer.headers["Location"])
        say(f"post {answer.status}")
        GLib.idle_add(accept, answer.read().decode())
    except urllib.error.HTTPError as error:
        GLib.idle_add(fail, f"{error.code}: {error.read().decode()}")
    except OSError as error:
        GLib.idle_add(fail, str(error))


def accept(answer):
    _, message = GstSdp.SDPMessage.new_from_text(answer)
    answer = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, message)
    peer.emit("set-remote-description", answer, Gst.Promise.new())


def end():
    if session:
        say(f"delete {request('DELETE', session).status}")
    loop.quit()


Gst.init(None)
endpoint = sys.argv[1]
session = None
loop = GLib.MainLoop()
pipeline = Gst.parse_launch(PUBLISHED)
bus = pipeline.get_bus()
bus.add_signal_watch()
bus.connect("message::error", lambda _, message: fail(f"{message.parse_error()}"))
peer = pipeline.get_by_name("peer")
# Kept: the binding takes over the reference that the peer has (its objects begin as floating).
ice = peer.get_property("ice-agent")
# Without it there are no candidates where the machine has no other network.
ice.emit("add-local-ip-address", "127.0.0.1")
index = 0
while transceiver := peer.emit("get-transceiver", index):
    transceiver.set_property("direction", GstWebRTC.WebRTCRTPTransceiverDirection.SENDONLY)
    index += 1
peer.connect("notify::connection-state", lambda peer, _: say(peer.get_property("connection-state").value_nick))
GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGTERM, end)
pipeline.set_state(Gst.State.PLAYING)
peer.emit("create-offer", None, Gst.Promise.new_with_change_func(on_offer))
loop.run()
