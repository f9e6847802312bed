"""One world and the rounds that fall to it: prints one JSON line after each.

`PYTHONPATH` of this process begins with the house, so that the commands it forks are the house's.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from campaign.client import warm
from campaign.rounds import Round
from campaign.world import World


def main(asked: dict[str, object]) -> None:
    """Run the rounds `numbers` of a `seed`, in a world in `folder` that is already built."""
    folder, port = Path(str(asked["folder"])), int(str(asked["port"]))
    slurm = Path(str(asked["slurm"])) if asked["slurm"] else None
    numbers, places = asked["numbers"], asked["places"]
    assert isinstance(numbers, list) and isinstance(places, list)
    world = World(folder, port, slurm).start()
    warm()
    try:
        for number in numbers:
            done = Round.drawn(int(str(asked["seed"])), number, places).run(world)
            sys.stdout.write(json.dumps(done.to_json()) + "\n")
            sys.stdout.flush()
    finally:
        world.hub.stop()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
    sys.stdout.flush()
    os._exit(0)
