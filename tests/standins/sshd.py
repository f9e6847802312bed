"""A login node: a real sshd on loopback, with a key and a configuration of its own."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from localhub.runtime.processes import free_port
from standins.waiting import until

NAME = "login.cluster"
"""What `ssh` calls it, while it is there."""

SERVER = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
"""
CLIENT = """
Host {name}
  HostName 127.0.0.1
  Port {port}
  User {user}
  IdentityFile {folder}/user
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known
"""


class LoginNode:
    """A running sshd."""

    def __init__(self, folder: Path, *environment: str) -> None:
        self.folder, self.port = folder, free_port()
        for name in ("host", "user"):
            make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
            subprocess.run(make, check=True)
        told = {"port": self.port, "folder": folder, "user": getpass.getuser()}
        given = "".join(f"SetEnv {one}\n" for one in environment)
        (folder / "sshd_config").write_text(SERVER.format(**told) + given)
        (folder / "config").write_text(CLIENT.format(name=NAME, **told))
        key = (folder / "host.pub").read_text()
        (folder / "known").write_text(f"[127.0.0.1]:{self.port} {key}")
        program = folder / "bin" / "ssh"
        program.parent.mkdir()
        self.path = os.pathsep.join([str(program.parent), os.environ["PATH"]])
        """The PATH on which `ssh` knows the way."""

        program.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {folder}/config "$@"\n')
        program.chmod(0o755)
        self.start()

    def start(self) -> None:
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # where it locks up what it does not trust
        command = ["/usr/sbin/sshd", "-D", "-e", "-f", str(self.folder / "sshd_config")]
        with (self.folder / "sshd.log").open("ab") as log:
            before = log.tell()
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log)
        until(lambda: b"Server listening" in (self.folder / "sshd.log").read_bytes()[before:])

    def deaf(self) -> str:
        """Return a PATH on which `ssh` does not end when it is asked to."""
        program = self.folder / "deaf" / "ssh"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\ntrap '' TERM\nexec {self.folder}/bin/ssh \"$@\"\n")
        program.chmod(0o755)
        return os.pathsep.join([str(program.parent), self.path])

    def hang_up(self) -> None:
        """End all connections there are."""
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.Error):
                process.kill()

    @contextmanager
    def forwarded(self, socket: str) -> Iterator[str]:
        """Yield an address of this machine at which a socket of the node answers."""
        port = free_port()
        way = ["-nNT", "-L", f"127.0.0.1:{port}:{socket}", "-o", "ExitOnForwardFailure=yes", NAME]
        with subprocess.Popen([self.folder / "bin" / "ssh", *way]) as ssh:
            try:
                until(lambda: _answers(port))
                yield f"127.0.0.1:{port}"
            finally:
                ssh.kill()

    def stop(self) -> None:
        self.hang_up()
        self.process.kill()
        self.process.wait()

    @property
    def logins(self) -> int:
        """How many connections there have been."""
        return (self.folder / "sshd.log").read_text().count("Accepted publickey")


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def login_node(*environment: str) -> Iterator[LoginNode]:
    """Start one whose sessions have what is given, as `NAME=value`; it ends with the block."""
    with tempfile.TemporaryDirectory(prefix="hubtrain-sshd-") as folder:
        node = LoginNode(Path(folder), *environment)
        try:
            yield node
        finally:
            node.stop()
