"""The servers that are compared: how each is installed, configured, started, and ended.

Each is a class with the same few members, so that `run` knows none of them by name. The configurations and
their reasons are here; README.md describes them for people.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

ADDRESS = "10.213.0.1"
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "patchbay-peers"
# Building LiveKit takes minutes on a small machine; a package manager may wait for another one.
INSTALL_TIMEOUT_S = 1800
START_TIMEOUT_S = 20
STOP_TIMEOUT_S = 5


class Skip(Exception):
    """Why a server takes no part: one sentence for people."""


def call(command, timeout_s=INSTALL_TIMEOUT_S, **options):
    """Runs a command to its end; its output is only shown when it fails."""
    try:
        done = subprocess.run(
            command, timeout=timeout_s, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options
        )
    except subprocess.TimeoutExpired:
        raise Skip(f"'{' '.join(map(str, command))}' took longer than {timeout_s} s") from None
    except OSError as error:
        raise Skip(f"'{command[0]}' cannot be run: {error.strerror}") from None
    if done.returncode != 0:
        last = (done.stdout.strip().splitlines() or ["no output"])[-1]
        raise Skip(f"'{' '.join(map(str, command))}' failed: {last}")
    return done.stdout


class Server:
    """One server. `name` is the tester's name for it, `title` is people's."""

    name = ""
    title = ""
    port = 0
    # The value of the tester's `--server`, the server whose signaling it speaks, where that is not the name.
    family = None
    # The text about its configuration.
    configuration = ""

    def install(self):
        """Makes it ready to be started, or raises Skip."""

    def version(self):
        return ""

    def command(self, folder):
        """Writes its configuration into `folder`, and returns the command that starts it."""
        raise NotImplementedError

    def url(self):
        return f"http://{ADDRESS}:{self.port}"

    def environment(self):
        """The tester's arguments beside the URL."""
        return {}

    def start(self, folder, core):
        """Starts it pinned to one core, and waits until it listens."""
        command = self.command(folder)
        # The kernel ends it if this program dies without cleaning up.
        pinned = ["setpriv", "--pdeathsig", "KILL", "taskset", "-c", str(core), *map(str, command)]
        with open(folder / "log", "wb") as log:
            # A group of its own: Ctrl-C reaches this program only, which ends the server when the table is printed.
            process = subprocess.Popen(
                pinned, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        end = time.monotonic() + START_TIMEOUT_S
        try:
            while not self.listens():
                if process.poll() is not None or time.monotonic() > end:
                    lines = (folder / "log").read_text(errors="replace").strip().splitlines() or ["it said nothing"]
                    raise RuntimeError(f"{self.title} did not start: {lines[-1]}")
                time.sleep(0.05)
        except BaseException:
            stop(process)
            raise
        return process

    def listens(self):
        try:
            socket.create_connection((ADDRESS, self.port), timeout=1).close()
            return True
        except OSError:
            return False


def stop(process):
    """Ends a process that was started here, and waits for its end."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Patchbay(Server):
    name = "patchbay"
    title = "patchbay"
    port = 8080
    configuration = "release build, one worker"

    def __init__(self, binary=None):
        self.binary = binary

    def install(self):
        if self.binary is None:
            call(["cargo", "build", "--release", "--locked", "--bin", "patchbay"], cwd=REPOSITORY)
            self.binary = target_directory() / "release" / "patchbay"

    def version(self):
        commit = subprocess.run(
            ["git", "-C", REPOSITORY, "describe", "--always", "--dirty", "--abbrev=10"], capture_output=True, text=True, check=False
        )
        return " ".join([call([self.binary, "--version"]).split()[-1], commit.stdout.strip()]).strip()

    def command(self, folder):
        settings = {
            "listeners": f'[{{address="{ADDRESS}:{self.port}", tls=false}}]',
            "media.workers": 1,
            "media.bind_addresses": f'["{ADDRESS}"]',
            "limits.max_participants_per_room": 10_000,
            "log.filter": "warn,rtc_dtls=error",
        }
        return [self.binary, *(word for key, value in settings.items() for word in ("--set", f"{key}={value}"))]


class Floor(Server):
    """Receive, open once, copy and seal for each subscriber, send with GSO: the work that every server must do."""

    name = "floor"
    family = "patchbay"
    title = "the floor"
    port = 8090
    configuration = "receives, opens once, copies and seals N times, sends with GSO; nothing else"

    def install(self):
        # One JSON object a line; the last with an executable is the bench.
        text = call(["cargo", "bench", "--bench", "floor", "--no-run", "--locked", "--message-format=json"], cwd=REPOSITORY)
        found = [json.loads(line).get("executable") for line in text.splitlines() if line.startswith("{")]
        found = [executable for executable in found if executable and pathlib.Path(executable).name.startswith("floor-")]
        if not found:
            raise Skip("cargo built no program for the bench 'floor'")
        self.binary = found[-1]

    def command(self, folder):
        return [self.binary, "--address", f"{ADDRESS}:{self.port}"]


class Janus(Server):
    name = "janus"
    title = "Janus"
    port = 8188
    configuration = "VideoRoom over WebSocket, ICE-lite, one event loop, no TWCC, logs errors only"

    # The parts of a Debian installation that the comparison needs; the other plugins would only take memory.
    PARTS = {"plugins": "libjanus_videoroom.so", "transports": "libjanus_websockets.so"}

    def install(self):
        if shutil.which("janus") is None:
            if os.geteuid() != 0 or shutil.which("apt-get") is None:
                raise Skip("the Debian package 'janus' is not installed, and only root on Debian could install it")
            environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            call(["apt-get", "install", "-y", "-q", "--no-install-recommends", "janus"], env=environment)
            if pathlib.Path("/run/systemd/system").is_dir():
                # The package starts a service, which would take part in the measurement.
                call(["systemctl", "disable", "--now", "janus"])
        self.folder = self.library_folder()

    @staticmethod
    def library_folder():
        for folder in pathlib.Path("/usr/lib").glob("*/janus"):
            if (folder / "plugins" / Janus.PARTS["plugins"]).exists():
                return folder
        raise Skip("the Debian package 'janus' lacks the VideoRoom plugin")

    def version(self):
        # `janus --version` needs its configuration, and prints the version in its first lines.
        done = subprocess.run(["janus", "--version"], capture_output=True, text=True, timeout=20, check=False)
        found = re.search(r"\(([\d.]+)\)", done.stdout + done.stderr)
        return found.group(1) if found else "unknown"

    def command(self, folder):
        for kind in ("plugins", "transports", "events", "loggers"):
            (folder / kind).mkdir()
        for kind, file in self.PARTS.items():
            (folder / kind / file).symlink_to(self.folder / kind / file)
        # event_loops: without it there are two threads for each handle. On one core one loop is what the manual's comment asks for
        #   ("the correct value according to the available resources").
        # ice_lite: no connectivity checks of its own. full_trickle off: candidates are in the answer.
        # slowlink_threshold 0: no events about loss. session_timeout 0: the tester needs no keepalives.
        (folder / "janus.jcfg").write_text(
            f"""general: {{
    configs_folder = "{folder}"
    plugins_folder = "{folder}/plugins"
    transports_folder = "{folder}/transports"
    events_folder = "{folder}/events"
    loggers_folder = "{folder}/loggers"
    debug_level = 2
    debug_colors = false
    session_timeout = 0
    event_loops = 1
}}
media: {{ ipv6 = false; slowlink_threshold = 0 }}
nat: {{ nice_debug = false; ice_lite = true; full_trickle = false; ice_enforce_list = "{ADDRESS}" }}
"""
        )
        (folder / "janus.transport.websockets.jcfg").write_text(
            f"""general: {{ json = "compact"; ws = true; ws_port = {self.port}; ws_ip = "{ADDRESS}"; wss = false }}
admin: {{ admin_ws = false }}
"""
        )
        (folder / "janus.plugin.videoroom.jcfg").write_text("general: { events = false }\n")
        return ["janus", "-F", folder]

    def url(self):
        return f"ws://{ADDRESS}:{self.port}/janus"


class LiveKit(Server):
    name = "livekit"
    title = "LiveKit"
    port = 7880
    configuration = "one UDP port for each connection, ICE-lite, no Redis, no limits, logs warnings only"

    # The last version that `go install` accepts: from 1.13.6 on its module file replaces modules.
    VERSION = "1.13.5"
    KEY = "load"
    # It guards nothing: the server is reachable inside the comparison's network namespace only. At least 32 characters.
    SECRET = "only-for-a-comparison-on-one-machine"

    def install(self):
        folder = CACHE / f"livekit-{self.VERSION}"
        self.binary = folder / "server"
        if self.binary.exists():
            return
        if shutil.which("go") is None:
            raise Skip("there is no Go to build it with")
        folder.mkdir(parents=True, exist_ok=True)
        package = f"github.com/livekit/livekit-server/cmd/server@v{self.VERSION}"
        call(["go", "install", package], env={**os.environ, "GOBIN": str(folder)})

    def version(self):
        return call([self.binary, "--version"]).split()[-1]

    def command(self, folder):
        # Logging, limits and the default STUN servers apart, these are its defaults. Its own load tests run like this.
        # limit.num_tracks: without it a server takes 400 tracks for each core.
        # allow_pause: with it tracks would be paused instead of delivered late.
        (folder / "livekit.yaml").write_text(
            f"""port: {self.port}
bind_addresses: ["{ADDRESS}"]
keys: {{{self.KEY}: {self.SECRET}}}
logging: {{level: warn, pion_level: error}}
limit: {{num_tracks: -1, bytes_per_sec: -1}}
rtc:
  port_range_start: 50000
  port_range_end: 60000
  tcp_port: 0
  use_external_ip: false
  use_ice_lite: true
  node_ip: {ADDRESS}
  ips: {{includes: ["{ADDRESS}/32"]}}
  stun_servers: ["{ADDRESS}:3478"]
  congestion_control: {{enabled: true, allow_pause: false}}
"""
        )
        return [self.binary, "--config", folder / "livekit.yaml"]

    def environment(self):
        return {"PATCHBAY_LOAD_LIVEKIT_KEY": f"{self.KEY}:{self.SECRET}"}


class WebrtcRsSfu(Server):
    name = "sfu"
    title = "webrtc-rs sfu"
    port = 8443
    configuration = "chat example, one media port (one media thread)"

    VERSION = "0.5.0"

    def install(self):
        folder = CACHE / f"sfu-{self.VERSION}"
        self.binary = folder / "bin" / "chat"
        if not self.binary.exists():
            call(["cargo", "install", "sfu", "--version", self.VERSION, "--example", "chat", "--root", folder])

    def version(self):
        return self.VERSION

    def command(self, folder):
        ports = ["--signal-port", self.port, "--media-port-min", 3478, "--media-port-max", 3478]
        return [self.binary, "--host", ADDRESS, *ports]

    def url(self):
        return f"https://{ADDRESS}:{self.port}"


class Unreachable(Server):
    """A server that cannot be measured; it is named so that nobody wonders where it is."""

    def __init__(self, name, title, why):
        self.name, self.title, self.why = name, title, why

    def install(self):
        raise Skip(self.why)


def all_servers(binary):
    return [
        Floor(),
        Patchbay(binary),
        Janus(),
        LiveKit(),
        WebrtcRsSfu(),
        Unreachable(
            "str0m",
            "str0m chat",
            "its chat example offers tracks to subscribers over a data channel only, and the tester has none",
        ),
        Unreachable("mediasoup", "mediasoup", "its worker cannot be built from package registries alone"),
    ]


def target_directory():
    """Where cargo puts what it builds."""
    text = call(["cargo", "metadata", "--format-version=1", "--no-deps"], cwd=REPOSITORY)
    line = next(line for line in text.splitlines() if line.startswith("{"))
    return pathlib.Path(json.loads(line)["target_directory"])
