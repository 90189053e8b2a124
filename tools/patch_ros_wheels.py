"""Make the CMake files of the ROS 2 wheels usable on this machine.

Some exported targets name the Python and NumPy headers of the machine that built the wheels, and CMake refuses a
target whose include folders do not exist. This rewrites them to the headers of the interpreter that runs it.
Running it again changes nothing.
"""

import re
import sys
import sysconfig
from pathlib import Path

import numpy

PYTHON_HEADERS = re.compile(r"/opt/python/[^/;\"]+/include/python3\.\d+")
NUMPY_HEADERS = re.compile(r"/opt/python/[^/;\"]+/lib/python3\.\d+/site-packages/numpy/_?core/include")


def patched(text: str) -> str:
    """Return the CMake text with the builder's header folders replaced by this interpreter's."""
    text = NUMPY_HEADERS.sub(lambda _: numpy.get_include(), text)
    return PYTHON_HEADERS.sub(lambda _: sysconfig.get_path("include"), text)


def main() -> int:
    """Patch every exported CMake file below this environment's prefix and say how many changed."""
    changed = 0
    for path in sorted(Path(sys.prefix, "share").glob("*/cmake/*.cmake")):
        before = path.read_text()
        after = patched(before)
        if after != before:
            path.write_text(after)
            changed += 1
    print(f"{changed} CMake files of the ROS 2 wheels now name this machine's headers")
    return 0


if __name__ == "__main__":
    sys.exit(main())
