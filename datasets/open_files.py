"""Files held open for reading, which are closed while nobody else is in the library, or not at all.

A `netCDF4.Dataset` refers to itself, so one that is just dropped is closed by Python's garbage collector: in whichever
thread that runs, while another is reading, and in processes forked since, too. Either ends in a segmentation fault.
"""

import os
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable

from lawbound.datasets.formats import Reader
from lawbound.datasets.netcdf import NETCDF

#: Files held open at a time, in each process. To open one takes as long as to read ten samples, and 1.3 MB of memory.
OPEN_FILES = 64

#: Readers that nobody will use again, to be closed by the next who has the library for itself.
_RETIRED: deque[Reader] = deque()

#: Readers of the process that this one was forked from. They are not ours to close.
_INHERITED: list[Reader] = []


class OpenFiles:
    """The files last used. Whoever calls holds `NETCDF`."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self._files: OrderedDict[int, Reader] = OrderedDict()
        weakref.finalize(self, _retire, self._files, self.process).atexit = False

    def get(self, number: int, opened: Callable[[int], Reader]) -> Reader:
        """The file of this number, opened if it is not open."""
        _close_retired()
        if number not in self._files:
            self._files[number] = opened(number)
            while len(self._files) > OPEN_FILES:
                self._files.popitem(last=False)[1].close()
        self._files.move_to_end(number)
        return self._files[number]


def _retire(files: OrderedDict[int, Reader], process: int) -> None:
    """Runs in any thread at any time: never waits for the library."""
    if process != os.getpid():
        _INHERITED.extend(files.values())
        return
    _RETIRED.extend(files.values())
    if NETCDF.acquire(blocking=False):
        try:
            _close_retired()
        finally:
            NETCDF.release()


def _close_retired() -> None:
    while _RETIRED:
        _RETIRED.popleft().close()
