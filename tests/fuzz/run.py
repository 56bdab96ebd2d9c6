"""Feed entries with what nobody expects, for as long as one likes.

    python tests/fuzz/run.py [TARGET…] --seconds 60
    python tests/fuzz/run.py [TARGET…] --growth

Inputs are samples that were changed at random; one that reaches a line of digest which none reached before
is changed further (from Python 3.12 on; `sys.monitoring` does not slow it down). What raises anything but
digest's own errors, breaks what must hold or takes longer than ten seconds of CPU is made smaller, printed
and kept in `--out`: once it is put right, it belongs into `tests/data/fuzz/TARGET/`, which every test run
tries. The seed is printed, and the same one makes the same inputs.

`--growth` repeats each piece, also within what may hold it, so often that the text is four times as long,
and names what takes more than eight times as long then: what is no worse than linear, with the noise of a
machine.
"""

# ruff: noqa: S311, T201 - numbers that nobody must guess are not wanted, and it talks to a person

from __future__ import annotations

import argparse
import gc
import hashlib
import re
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from types import CodeType, FrameType

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fuzz.mutations import AROUND, PIECES, mutated
from fuzz.targets import DATA, TARGETS, attempt

import digest

_OURS = str(Path(digest.__file__).parent)
_LONGEST = 10.0  # seconds of CPU
_LARGEST = 300_000  # bytes
_KEPT = 5_000  # inputs to go on from


class TooSlowError(Exception):
    """It took longer than anything should."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise TooSlowError after so many seconds of CPU, as soon as Python is asked.

    A regular expression may not ask for hours, and then the run has to be ended from outside.
    """

    def end(_number: int, _frame: FrameType | None) -> None:
        raise TooSlowError(f"more than {seconds:g} seconds of CPU")

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds, 1.0)  # once more, where a destructor swallowed it
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


class Lines:
    """How many lines of digest were reached."""

    def __init__(self) -> None:
        self.count = 0
        monitoring = getattr(sys, "monitoring", None)
        if monitoring is None:
            print("Python 3.12 or later would go on from what reaches new lines.")
            return
        disable = monitoring.DISABLE

        def reached(code: CodeType, _line: int) -> object:
            self.count += code.co_filename.startswith(_OURS)
            return disable

        monitoring.use_tool_id(monitoring.COVERAGE_ID, "fuzz")
        monitoring.register_callback(monitoring.COVERAGE_ID, monitoring.events.LINE, reached)
        monitoring.set_events(monitoring.COVERAGE_ID, monitoring.events.LINE)


def fault(target: str, content: bytes) -> tuple[str, str] | None:
    """What goes wrong with an input, if anything: where, and the whole story."""
    try:
        with within(_LONGEST):
            attempt(target, content)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a fault
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if frame.filename.startswith(_OURS)] or frames
        where = f"{type(error).__name__} at {Path(ours[-1].filename).name}:{ours[-1].lineno}"
        if isinstance(error, TooSlowError):
            where = f"TooSlowError in {target}"
        if isinstance(error, AssertionError):
            where = f"AssertionError: {str(error).partition(' has ')[0][:20]}"
        return where, traceback.format_exc(limit=-4)
    return None


def smaller(target: str, content: bytes, where: str) -> bytes:
    """The input without whatever does not matter to a fault."""
    size = len(content) // 2
    until = time.monotonic() + 20
    while size and time.monotonic() < until:
        at = 0
        while at < len(content) and time.monotonic() < until:
            shorter = content[:at] + content[at + size :]
            found = fault(target, shorter)
            if found and found[0] == where:
                content = shorter
            else:
                at += size
        size //= 2
    return content


def fuzz(target: str, seconds: float, out: Path, seed: int) -> int:
    """Try inputs for so many seconds; gives how many faults there were."""
    random = Random(f"{target} {seed}")
    kept = [seed for seed in TARGETS[target].seeds() if len(seed) < _LARGEST] or [b""]
    kept += [path.read_bytes() for path in sorted((DATA / "fuzz" / target).glob("*"))]
    random.shuffle(kept)
    tried = taken = 0
    slowest = (0.0, 0)
    seen: set[str] = set()
    waiting = list(kept)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        content = waiting.pop() if waiting else mutated(random.choice(kept), random.choice(kept), random)
        content = content[:_LARGEST]
        before, begun = LINES.count, time.process_time()
        found = fault(target, content)
        slowest = max(slowest, (time.process_time() - begun, len(content)))
        tried += 1
        if LINES.count > before and len(kept) < _KEPT:
            kept.append(content)
        if found and found[0] not in seen:
            seen.add(found[0])
            small = smaller(target, content, found[0])
            file = out / target / hashlib.sha256(small).hexdigest()[:12]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(small)
            print(f"  {found[0]}\n{found[1]}  {file}: {small[:200]!r}")
        taken += not found
    print(
        f"{target:24}{tried:9,} inputs {LINES.count:6,} lines {len(kept):5,} kept {len(seen):3} faults"
        f"   slowest {slowest[0]:.2f} s for {slowest[1]:,} bytes",
        flush=True,
    )
    return len(seen)


def growth(target: str) -> int:
    """Name what takes more than eight times as long when it is four times as long."""
    sizes = (20_000, 80_000, 320_000) if TARGETS[target].files else (2_000, 8_000, 32_000)
    seeds = sorted(TARGETS[target].seeds(), key=len)
    random = Random(target)
    faults = 0
    gc.disable()  # it looks through the more the more there is

    def took(build: tuple[bytes, bytes, bytes], size: int) -> float:
        before, piece, after = build
        content = before + piece * (size // len(piece)) + after
        begun = time.process_time()
        fault(target, content)
        return time.process_time() - begun

    took((b"", b"a", b""), 10)
    for opening, piece, closing in (*((b"", piece, b"") for piece in PIECES if piece), *AROUND):
        builds = [(opening, piece, closing)]
        for seed in random.sample(seeds, min(3, len(seeds))):
            at = random.randint(0, min(len(seed), 5_000))
            if opening:  # which means something where an element, a line or a value ends
                at = next((found.end() for found in re.finditer(rb"[>,\n]", seed[at:])), 0) + at
            before, after = seed[:at] + opening, closing + seed[at:]
            builds += [(before, piece, after), (before, piece, b"")]
        for build in builds:
            times = [took(build, sizes[0]), took(build, sizes[1])]
            if times[1] > 0.05 and times[1] > 8 * times[0]:
                times.append(took(build, sizes[2]))
            if (len(times) == 3 and times[-1] > 8 * times[-2]) or times[-1] >= _LONGEST:
                faults += 1
                print(f"  {piece!r} after {build[0][-30:]!r}: {[round(one, 3) for one in times]}")
    print(f"{target:24}{faults:4} grow", flush=True)
    return faults


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"all, or of {', '.join(TARGETS)}")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target")
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir(), "digest-fuzz"))
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    print(f"seed {given.seed}")
    faults = sum(
        growth(target) if given.growth else fuzz(target, given.seconds, given.out, given.seed)
        for target in given.targets or TARGETS
    )
    sys.exit(1 if faults else 0)


LINES = Lines()

if __name__ == "__main__":
    main()
