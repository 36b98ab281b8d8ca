"""The plot: an SVG that is readable in light and dark."""

import dataclasses
import html
import math

WIDTH = 880
LABEL, GAP = 128, 40
PANEL = (WIDTH - LABEL - GAP) / 2
# Room for the figure behind the longest bar.
FIGURE = 92
ROW, BAR = 26, 14
HEAD, TITLE = 46, 30

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600 }
.quiet { fill: #6e7781 }
.bar { fill: #b6bec8 }
.ours { fill: #2f6feb }
.floor { fill: none; stroke: #6e7781; stroke-dasharray: 3 2 }
.spread { stroke: #24292f; stroke-opacity: .55 }
.axis { stroke: #d0d7de }
.dot { fill: #8c96a1 }
.dot.ours { fill: #2f6feb }
.dot.floor { fill: none; stroke: #6e7781 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .quiet { fill: #8d96a0 }
  .bar { fill: #4a525c }
  .ours, .dot.ours { fill: #5b8ff9 }
  .spread { stroke: #e6edf3 }
  .axis { stroke: #30363d }
  .dot { fill: #8d96a0 }
}
"""


@dataclasses.dataclass
class Bar:
    title: str
    name: str
    # Median, least, most.
    cpu_us: tuple
    p99_ms: tuple
    loss: float

    def kind(self):
        return {"patchbay": "ours", "floor": "floor"}.get(self.name, "")


def svg(panels):
    """Bars of CPU time from zero on the left, dots of delay on a logarithmic scale on the right; a block for each scenario."""
    panels = list(panels)
    bars = [bar for _, block in panels for bar in block]
    cpu_most = max((bar.cpu_us[2] for bar in bars), default=1)
    delays = [value for bar in bars for value in bar.p99_ms if value > 0] or [1]
    # Whole decades.
    low, high = math.floor(math.log10(min(delays))), math.ceil(math.log10(max(delays)) + 1e-9)
    high = max(high, low + 1)
    left, right = LABEL, LABEL + PANEL + GAP
    span = PANEL - FIGURE

    def cpu_x(value):
        return left + span * value / cpu_most

    def delay_x(value):
        return right + span * (math.log10(max(value, 10**low)) - low) / (high - low)

    parts = [
        text(left, 18, "CPU time for each delivered packet (µs)", "title"),
        text(right, 18, "delay, 99th percentile (ms, logarithmic)", "title"),
        text(left, 36, "median; the line spans all rounds; less is better", "quiet"),
    ]
    y = HEAD
    for title, block in panels:
        y += TITLE
        parts.append(text(0, y - 9, title, "quiet"))
        top = y
        for bar in block:
            middle = y + ROW / 2
            parts.append(text(LABEL - 10, middle + 4, bar.title, "title" if bar.kind() == "ours" else "", "end"))
            median, least, most = bar.cpu_us
            parts.append(
                f'<rect class="bar {bar.kind()}" x="{left}" y="{middle - BAR / 2:.1f}" width="{max(1, cpu_x(median) - left):.1f}" height="{BAR}" rx="2"/>'
            )
            parts.append(spread(cpu_x(least), cpu_x(most), middle))
            lost = f", {100 * bar.loss:.2g} % lost" if bar.loss else ""
            parts.append(text(cpu_x(most) + 7, middle + 4, f"{median:.3g}{lost}"))
            median, least, most = bar.p99_ms
            parts.append(spread(delay_x(least), delay_x(most), middle))
            parts.append(f'<circle class="dot {bar.kind()}" cx="{delay_x(median):.1f}" cy="{middle}" r="5"/>')
            parts.append(text(delay_x(most) + 10, middle + 4, f"{median:.3g}"))
            y += ROW
        for decade in range(low, high + 1):
            x = delay_x(10**decade)
            parts.insert(0, f'<line class="axis" x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{y}"/>')
        parts.insert(0, f'<line class="axis" x1="{left}" y1="{top}" x2="{left}" y2="{y}"/>')
    for decade in range(low, high + 1):
        parts.append(text(delay_x(10**decade), y + 18, f"{10.0**decade:g}", "quiet", "middle"))
    height = y + 28
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" height="{height:.0f}" role="img" '
        f'aria-label="CPU time for each delivered packet and delay, by server">\n<style>{STYLE}</style>\n{body}\n</svg>\n'
    )


def spread(x1, x2, y):
    return f'<line class="spread" x1="{x1:.1f}" y1="{y}" x2="{x2:.1f}" y2="{y}"/>'


def text(x, y, words, kind="", anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{html.escape(words)}</text>'
