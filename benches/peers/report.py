"""Tables, the plot, and README.md's section, from the measurements."""

import datetime
import json
import os
import pathlib
import platform
import statistics

import plot
from servers import REPOSITORY

PLOT = REPOSITORY / "docs" / "speed.svg"
RESULTS = pathlib.Path(__file__).with_name("results.json")
README = REPOSITORY / "README.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"

OURS, FLOOR = "patchbay", "floor"
# A server that loses more is not doing the work that the others do.
COMPARABLE_LOSS = 0.01


def machine():
    """The things beside the servers on which the figures depend."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    with open("/proc/meminfo", encoding="utf-8") as file:
        memory_kib = int(file.readline().split()[1])
    return {
        "cpu": names[0] if names else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "memory_gib": round(memory_kib / 1024**2, 1),
        "date": datetime.date.today().isoformat(),
    }


def loss(run):
    return run["lost_packets"] / max(1, run["lost_packets"] + run["delivered_packets"])


def line(run):
    """One run in one line."""
    if "failed" in run:
        return f"failed: {run['failed']}"
    server = run.get("server") or {}
    cpu = server.get("cpu_ns_per_delivered_packet", float("nan")) / 1000
    share = 100 * server.get("cpu_share", float("nan"))
    delay = run["delay_us"]
    text = f"{cpu:7.2f} µs a packet, {share:5.1f} % of a core, {100 * loss(run):6.2f} % lost, delay p50 {delay['p50'] / 1000:.2f} p99 {delay['p99'] / 1000:.2f} ms"
    return text + f", tester {100 * run.get('tester_cpu_share', 0):.0f} %"


class Figures:
    """One server in one scenario, over all rounds."""

    def __init__(self, results, server, scenario):
        runs = [run for run in results["runs"] if run_is(run, server, scenario)]
        self.failures = [run["failed"] for run in runs if "failed" in run]
        self.runs = [run for run in runs if "failed" not in run and run.get("server")]

    def of(self, figure):
        return [figure(run) for run in self.runs]

    def median(self, figure):
        return statistics.median(self.of(figure))

    def cpu(self):
        return {run["seed"]: run["server"]["cpu_ns_per_delivered_packet"] for run in self.runs}

    def cpu_us(self):
        """Median, least and most."""
        values = [value / 1000 for value in self.cpu().values()]
        return statistics.median(values), min(values), max(values)

    def shares(self):
        """The part of a core that the whole load takes. Earlier results may lack it."""
        return {run["seed"]: run["server"].get("cpu_share", 0) for run in self.runs}

    def p99_ms(self):
        values = self.of(lambda run: run["delay_us"]["p99"] / 1000)
        return statistics.median(values), min(values), max(values)


def run_is(run, server, scenario):
    # A run's own "server" key is what the tester found out about the process; "server_name" has the
    # name.
    return run["server_name"] == server and run["scenario"] == scenario


def ratio(ours, theirs):
    """Median of the rounds' ratios: what disturbs a round disturbs both. None without a round that has both."""
    both = [ours[seed] / theirs[seed] for seed in ours.keys() & theirs.keys() if theirs[seed]]
    return statistics.median(both) if both else None


def best_peer(results, scenario, figure):
    """The peer with the least of a figure, among those that deliver; its name and figures, or None."""
    peers = [s["name"] for s in results["servers"] if s["name"] not in (OURS, FLOOR)]
    found = [(name, Figures(results, name, scenario)) for name in peers]
    found = [(name, figures) for name, figures in found if figures.runs]
    delivering = [entry for entry in found if entry[1].median(loss) < COMPARABLE_LOSS] or found
    return min(delivering, key=lambda entry: statistics.median(figure(entry[1]).values()), default=None)


def rows_of(results, scenario):
    """The lines of one scenario's table."""
    floor = Figures(results, FLOOR, scenario)
    best, least_busy = (best_peer(results, scenario, figure) for figure in (Figures.cpu, Figures.shares))
    rows = []
    for server in results["servers"]:
        figures = Figures(results, server["name"], scenario)
        if not figures.runs:
            if figures.failures:
                rows.append([server["title"], "failed"] + [""] * 9)
            continue
        middle, least, most = figures.cpu_us()
        delay = [figures.median(lambda run, key=key: run["delay_us"][key] / 1000) for key in ("p50", "p95", "p99")]
        delay.append(max(figures.of(lambda run: run["delay_us"]["max"] / 1000)))
        to_floor = ratio(figures.cpu(), floor.cpu()) if server["name"] != FLOOR else None
        to_best = ratio(figures.cpu(), best[1].cpu()) if best and server["name"] not in (FLOOR, best[0]) else None
        shares = figures.shares()
        is_compared = least_busy and server["name"] not in (FLOOR, least_busy[0])
        to_least_busy = ratio(shares, least_busy[1].shares()) if is_compared else None
        rss, each = (figures.median(lambda run, key=key: run["server"][key]) for key in ("rss_bytes", "rss_bytes_per_participant"))
        rows.append(
            [
                server["title"],
                f"{middle:.2f} µs ({least:.2f}–{most:.2f})",
                f"{to_floor:.2f}" if to_floor else "",
                f"{to_best:.2f}" if to_best else "",
                f"{100 * statistics.median(shares.values()):.1f} %",
                f"{to_least_busy:.2f}" if to_least_busy else "",
                percent(figures.median(loss)),
                " / ".join(f"{value:.3g}" for value in delay) + " ms",
                f"{rss / 1024**2:.1f} MiB",
                f"{each / 1024:.0f} KiB",
                f"{len(figures.runs)}" + (f", {len(figures.failures)} failed" if figures.failures else ""),
            ]
        )
    return rows


def percent(part):
    return "0" if part == 0 else f"{100 * part:.2g} %"


COLUMNS = [
    "", "CPU time a packet (min–max)", "÷ floor", "÷ best peer", "of a core", "÷ best peer", "lost",
    "delay p50 / p95 / p99 / max", "memory", "a participant", "runs",
]


def aligned(columns, rows):
    """A Markdown table that can be read as it is."""
    widths = [max(len(str(row[i])) for row in [columns, *rows]) for i in range(len(columns))]
    text = lambda row: "| " + " | ".join(str(cell).ljust(width) for cell, width in zip(row, widths)) + " |"
    return "\n".join([text(columns), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(text, rows)])


def limit_rows(results):
    rows = []
    titles = {server["name"]: server["title"] for server in results["servers"]}
    for limit in results["limits"]:
        name = limit["server"]
        at = [r for r in results["runs"] if run_is(r, name, "limit") and r.get("subscribers") == limit["subscribers"] and "failed" not in r]
        rate = max((run["delivered_packets"] / run.get("measured_s", results["seconds"]) for run in at), default=0)
        p99 = min((run["delay_us"]["p99"] / 1000 for run in at), default=float("nan"))
        bound = "at least; the tester's own limit" if limit["bounded_by"] == "tester" else ""
        rows.append([titles[name], limit["subscribers"], f"{rate:,.0f}", f"{p99:.3g} ms", bound])
    return rows


def table(results):
    """All tables, as Markdown."""
    parts = []
    for scenario in results["scenarios"]:
        rows = rows_of(results, scenario["name"])
        if rows:
            parts.append(f"**{scenario['title']}**\n\n{aligned(COLUMNS, rows)}")
        for server in results["servers"]:
            # The same failure in each round is printed once.
            for why in sorted(set(Figures(results, server["name"], scenario["name"]).failures)):
                parts.append(f"{server['title']} failed: {why}")
    if results["limits"]:
        columns = ["", "subscribers", "packets a second", "delay p99", ""]
        parts.append(f"**Highest broadcast without loss, 2.5 Mb/s, one core**\n\n{aligned(columns, limit_rows(results))}")
    half = Figures(results, OURS, "half")
    if half.runs:
        delay = ", ".join(f"{key} {half.median(lambda run, key=key: run['delay_us'][key] / 1000):.3g} ms" for key in ("p50", "p95", "p99", "max"))
        lost, disordered = (sum(half.of(lambda run, key=key: run[key])) for key in ("lost_packets", "reordered_packets"))
        parts.append(
            f"At half of its highest load ({half.runs[0]['subscribers']} subscribers) patchbay's delay is {delay} (medians of {len(half.runs)} runs); "
            f"{lost} packets lost, {disordered} out of order."
        )
    for skipped in results["skipped"]:
        parts.append(f"Not compared: {skipped['title']}: {skipped['why']}.")
    return "\n\n".join(parts)


def section(results):
    """README.md's section."""
    where = results["machine"]
    servers = "\n".join(f"- **{s['title']}** {s['version']}: {s['configuration']}." for s in results["servers"])
    return f"""![CPU time for each delivered packet, and delay]({PLOT.relative_to(REPOSITORY).as_posix()})

{table(results)}

Measured on {where['date']} with [`benches/peers/run`](benches/peers/README.md): {where['cpu']}, {where['cores']} cores, Linux {where['kernel']}; the server pinned to
one core, the load tester to another. Medians of {results['rounds']} interleaved rounds of {results['seconds']} s; CPU time is user and system time of the server's
process for each packet that arrived. Ratios are medians of the rounds' ratios. Only ratios mean something on another machine.

{servers}
"""


def replaced(text, new):
    """`text` with new text between the markers."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"README.md lacks the lines '{BEGIN}' and '{END}'")
    return f"{before}{BEGIN}\n{new.strip()}\n{END}{after}"


def write(results):
    """README.md's section, the plot, and the figures behind them."""
    README.write_text(replaced(README.read_text(), section(results)))
    PLOT.write_text(plot.svg(panels(results)))
    RESULTS.write_text(compact(results))


def panels(results):
    """The data of the plot: each server's CPU time and p99 delay in each scenario."""
    for scenario in results["scenarios"]:
        bars = []
        for server in results["servers"]:
            figures = Figures(results, server["name"], scenario["name"])
            if figures.runs:
                bars.append(plot.Bar(server["title"], server["name"], figures.cpu_us(), figures.p99_ms(), figures.median(loss)))
        if bars:
            yield scenario["title"], bars


def compact(results):
    """JSON with one run a line, so that the differences between two measurements can be read."""
    head = {key: value for key, value in results.items() if key != "runs"}
    lines = ",\n".join(" " + json.dumps(run) for run in results["runs"])
    return json.dumps(head, indent=1)[:-2] + f',\n "runs": [\n{lines}\n ]\n}}\n'
