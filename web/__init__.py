"""HTTP, the page and the command line: the only package that knows all parts."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("openmanager")
except PackageNotFoundError:  # run from a folder that was not installed
    __version__ = "0.0.0"
