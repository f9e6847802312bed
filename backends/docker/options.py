"""What can be asked of a container, beside its job."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Gt

from worker.params import Params


class DockerOptions(Params):
    """Container."""

    docker_memory: Annotated[float, Gt(0)] | None = None
    """Most memory that the container gets, in GB; none for all there is."""

    docker_cpus: Annotated[float, Gt(0)] | None = None
    """Most CPU cores that the container gets; none for all there are."""

    docker_network: str = "bridge"
    """Network of the container: bridge, host, or the name of one that is there."""

    @property
    def memory_bytes(self) -> int | None:
        return None if self.docker_memory is None else int(self.docker_memory * 1e9)

    @property
    def limits(self) -> list[str]:
        """What a plan says of them."""
        return [
            *([f"at most {self.docker_memory:g} GB"] if self.docker_memory else []),
            *([f"{self.docker_cpus:g} cores"] if self.docker_cpus else []),
            *([f"network {self.docker_network}"] if self.docker_network != "bridge" else []),
        ]
