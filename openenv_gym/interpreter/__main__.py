"""Begins the process of another interpreter: ``PYTHON path/of/this/folder --fd N ...``.

This file alone is written for any Python from 2.7 on, so that one that is too old says so.
"""

import argparse
import importlib
import os
import sys

PACKAGE = "openenv_gym_interpreter"
"""The name of this folder as a package in that process, which has no ``openenv_gym``."""

LEAST_PYTHON, LEAST_NUMPY = (3, 8), (1, 19)


def missing():  # type: () -> str
    """Return what this interpreter lacks, as a sentence; "" where it will do."""
    if sys.version_info < LEAST_PYTHON:
        return "expected Python 3.8 or later, this is Python " + sys.version.split()[0]
    try:
        import numpy
    except ImportError as exc:
        said = "expected numpy 1.19 or later, there is none (" + str(exc) + "); install it with: "
        return said + sys.executable + " -m pip install numpy"
    if tuple(map(int, numpy.__version__.split(".")[:2])) < LEAST_NUMPY:
        return "expected numpy 1.19 or later, this is numpy " + numpy.__version__
    return ""


def load():  # type: () -> None
    """Load this folder as a package, and have modules be found as ``python -m`` finds them."""
    from importlib.util import module_from_spec, spec_from_file_location

    folder = os.path.dirname(os.path.abspath(__file__))
    others = [entry for entry in sys.path if os.path.abspath(entry) != folder]
    try:
        sys.path[:] = [os.getcwd()] + others  # noqa: RUF005  (syntax of any Python)
    except OSError:  # the folder is gone
        sys.path[:] = others
    spec = spec_from_file_location(
        PACKAGE, os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
    )
    assert spec is not None and spec.loader is not None
    package = module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--socket", type=int, required=True, help="inherited descriptor")
    parser.add_argument("--lending", type=int, required=True, help="inherited descriptor")
    parser.add_argument("--lifeline", type=int, required=True, help="inherited descriptor")
    parser.add_argument("--stderr", type=int, required=True, help="where to print errors")
    parser.add_argument("--stderr-copy", type=int, nargs=2, required=True, help="two descriptors")
    options = parser.parse_args()
    lack = missing()
    if lack:
        sys.exit(lack)
    load()
    loop = importlib.import_module(PACKAGE + ".loop")
    loop.main(
        options.socket, options.lending, options.lifeline, options.stderr, options.stderr_copy
    )
