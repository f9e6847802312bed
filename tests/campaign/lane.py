"""One world and the rounds that fall to it: prints one JSON line after each.

`PYTHONPATH` of this process begins with the house, so that the commands it forks are the house's.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from campaign import containers
from campaign.client import warm
from campaign.rounds import Round
from campaign.world import World


def main(asked: dict[str, object]) -> None:
    """Run the rounds `numbers` of a `seed`, in a world in `folder` that is already built."""
    folder, port = Path(str(asked["folder"])), int(str(asked["port"]))
    numbers, places = asked["numbers"], asked["places"]
    seed, only = int(str(asked["seed"])), str(asked["only"])
    assert isinstance(numbers, list) and isinstance(places, list)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    world = World(folder, port, "slurm" in places, containers.PLACE in places)
    try:
        world.start()
        warm()
        for number in numbers:
            done = Round.drawn(seed, number, places, only).run(world)
            sys.stdout.write(json.dumps(done.to_json()) + "\n")
            sys.stdout.flush()
    finally:
        world.stop()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
    sys.stdout.flush()
    os._exit(0)
