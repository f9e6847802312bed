"""How fast and in how much memory files are packed, against reading them with pyarrow and hashing.

    python -m benchmarks.packaging          a CSV and a JSONL file of some 60 MB
    python -m benchmarks.packaging --big    also the peak memory of a CSV of 2 GB

The yardstick reads a file whole with pyarrow and hashes its bytes, in the same run. Packing must
reach half its speed, and must hold 2 GB of CSV within 500 MB.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from pydoc_data.topics import topics

import pyarrow.csv as pa_csv
import pyarrow.json as pa_json

SECONDS = 50
RUNS = 3
MEMORY_MB = 500
LEAST_RATIO = 0.5
SIZE_MB, BIG_MB = 60, 2000


def main() -> None:
    """Print a ratio for each format, and the peak memory with `--big`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--big", action="store_true")
    parser.add_argument("--pack", type=Path, help=argparse.SUPPRESS)
    options, _ = parser.parse_known_args()  # `python -m benchmarks packaging` has a word more
    if options.pack:
        print(json.dumps({"peak_mb": _pack_and_weigh(options.pack)}))
        return
    with tempfile.TemporaryDirectory(prefix="bench-packaging-") as folder:
        for path in (write_csv(Path(folder), SIZE_MB), write_jsonl(Path(folder), SIZE_MB)):
            _compare(path)
            path.unlink()
        if options.big:
            _weigh(write_csv(Path(folder), BIG_MB))


def paragraphs() -> Iterator[str]:
    """Yield texts of one to twenty sentences out of Python's documentation, for ever."""
    chance = random.Random(0)
    sentences = [s.strip() for text in topics.values() for s in text.split(".\n") if s.strip()]
    while True:
        yield ".\n".join(chance.choices(sentences, k=chance.randint(1, 20)))


def write_csv(folder: Path, megabytes: int) -> Path:
    path = folder / "bench.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label", "id"])
        for number, text in enumerate(paragraphs()):
            writer.writerow([text, number % 5, number])
            if number % 1000 == 0 and stream.tell() > megabytes * 1e6:
                return path
    return path


def write_jsonl(folder: Path, megabytes: int) -> Path:
    path = folder / "bench.jsonl"
    texts = paragraphs()
    with path.open("w", encoding="utf-8") as stream:
        while stream.tell() < megabytes * 1e6:
            for asked, said in zip(islice(texts, 100), islice(texts, 100), strict=False):
                turns = [("user", asked[:200]), ("assistant", said)]
                row = {"messages": [{"role": role, "content": text} for role, text in turns]}
                stream.write(json.dumps(row) + "\n")
    return path


def _compare(path: Path) -> None:
    times = [(_seconds(_pack, path), _seconds(_read_and_hash, path)) for _ in range(RUNS)]
    pack, read = (min(column) for column in zip(*times, strict=True))
    size, ratio = path.stat().st_size / 1e6, read / pack
    verdict = "ok" if ratio >= LEAST_RATIO else "TOO SLOW"
    print(
        f"  {path.suffix[1:]:6} {size:.0f} MB  packed {size / pack:.0f} MB/s, "
        f"read and hashed {size / read:.0f} MB/s  ratio {ratio:.2f} (at least {LEAST_RATIO}) "
        f"{verdict}"
    )


def _seconds(run: Callable[[Path], None], path: Path) -> float:
    start = time.perf_counter()
    run(path)
    return time.perf_counter() - start


def _pack(path: Path) -> None:
    from orchestrator.data.package import package
    from orchestrator.data.sources import find
    from worker.common import Data

    params = Data(data_path=str(path))
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        package(find(params, None), params, Path(folder))


def _read_and_hash(path: Path) -> None:
    if path.suffix == ".csv":
        pa_csv.read_csv(path, parse_options=pa_csv.ParseOptions(newlines_in_values=True))
    else:
        pa_json.read_json(path)
    with path.open("rb") as stream:
        hashlib.file_digest(stream, "sha256")


def _weigh(path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.packaging", "--pack", str(path)]
    start = time.perf_counter()
    answer = json.loads(subprocess.check_output(command, text=True))
    took = time.perf_counter() - start
    peak = answer["peak_mb"]
    verdict = "ok" if peak <= MEMORY_MB else "TOO MUCH"
    size = path.stat().st_size
    print(f"  csv    {size / 1e9:.2f} GB in {took:.0f} s, {peak:.0f} MB at most "
          f"(within {MEMORY_MB}) {verdict}")  # fmt: skip


def _pack_and_weigh(path: Path) -> float:
    """Measure and pack a file as a submit does, and return the peak memory in MB."""
    if sys.platform == "win32":
        raise SystemExit("peak memory is measured on Linux and macOS only")
    import resource

    from orchestrator.data.sources import find
    from orchestrator.preflight.data import measure
    from worker.common import Data

    measure(find(Data(data_path=str(path)), None))
    _pack(path)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024**2 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
