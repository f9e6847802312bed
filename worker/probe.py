"""Tries this machine's accelerators: `python -m worker.probe` tells what it finds, as it finds it.

A process of its own, because starting CUDA may hang or crash, and so that its parent stays without
torch. It prints one JSON object a line; one that ends early has still told what it knew by then.
"""

from __future__ import annotations

import ctypes
import json
import sys
from importlib.util import find_spec
from typing import Any

_LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
_SIZE = 64


def main() -> None:
    """Tell the driver's CUDA version, torch's, the number of devices, and which of them compute."""
    say(driver=driver_version())
    if find_spec("torch") is None:  # the user's program brings what it computes with
        ask_driver()
        return
    import torch

    say(torch=torch.__version__, cuda=torch.version.cuda)
    try:
        torch.zeros(1, device="cuda")  # says why not, where `is_available` only says no
        devices = torch.cuda.device_count()
        say(devices=devices)
        for number in range(devices):
            multiply(number)
            say(proven=number + 1)
    except Exception as error:  # whatever it is, it is the answer
        say(error=f"{error or type(error).__name__}".strip().split("\n")[0])


def say(**found: Any) -> None:
    """Print one finding, at once."""
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


def driver_version() -> str | None:
    """Return the newest CUDA the driver can run, `12.9`; none where there is no driver."""
    number = ctypes.c_int()
    try:
        failed = ctypes.CDLL(_LIBRARY).cuDriverGetVersion(ctypes.byref(number))
    except (OSError, AttributeError):
        return None
    return None if failed else f"{number.value // 1000}.{number.value % 1000 // 10}"


def ask_driver() -> None:
    """Tell how many devices the driver opens, where there is no torch that could compute on them.

    By CUDA's driver interface: a device is open once its primary context is held.
    """
    count, context = ctypes.c_int(), ctypes.c_void_p()
    try:
        driver = ctypes.CDLL(_LIBRARY)
        failed = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
        say(devices=0 if failed else count.value)
        for number in range(count.value):
            if failed := driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), number):
                break
            say(proven=number + 1)
    except (OSError, AttributeError) as error:
        say(error=f"{error}")
        return
    if failed:
        say(error=f"the driver answers with error {failed}")


def multiply(number: int) -> None:
    """Multiply two small matrices on one device; raises if the product is not what it has to be."""
    import torch

    # Whole numbers this small are exact in every precision that a device may choose.
    matrix = (torch.arange(_SIZE * _SIZE) % 7).reshape(_SIZE, _SIZE).float()
    there = matrix.to(f"cuda:{number}")
    if not torch.equal((there @ there).cpu(), matrix @ matrix):
        raise RuntimeError(f"GPU {number} multiplies two matrices wrongly.")


if __name__ == "__main__":
    main()
