"""How much a server carries without losing a packet."""

# More subscribers than any server carries on one core, so that the search ends.
SUBSCRIBERS_MAX = 3_000
# Above this the tester, not the server, may be what loses packets.
TESTER_BUSY_SHARE = 0.9
# A server that starves a track is not fast, even if the tester cannot tell which packets it should have sent.
SLOWEST_TRACK_SHARE = 0.97


class TesterBusy(Exception):
    """The load is too high for the tester."""


def is_lossless(found):
    if "failed" in found or found["lost_packets"] or found["corrupt_packets"] or found["errors"]:
        return False
    slowest = found.get("delivered_kbps_of_slowest_track", found["delivered_kbps_per_track"])
    return found["delivered_packets"] > 0 and slowest >= SLOWEST_TRACK_SHARE * found["delivered_kbps_per_track"]


def is_tester_busy(found):
    return found.get("tester_cpu_share", 0) >= TESTER_BUSY_SHARE


def highest(lossless, first, precision):
    """The highest load for which `lossless` holds, to `precision` (part of it), and what limited it: "server" or "tester"."""
    good, bad = 0, None
    load = first
    bounded_by = "server"
    while bad is None or bad - good > max(1, precision * good):
        bound = "server"
        try:
            fine = lossless(load)
        except TesterBusy:
            fine, bound = False, "tester"
        if fine:
            good = load
            if load == SUBSCRIBERS_MAX:
                return good, "tester"
        else:
            bad, bounded_by = load, bound
        load = min(2 * good, SUBSCRIBERS_MAX) if bad is None else (good + bad) // 2
        if load == 0:
            break
    return good, bounded_by
