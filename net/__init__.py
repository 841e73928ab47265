"""CMMDL and its blocks, and how to get one: `build`, `load`, `Fuser`."""

from net.cmmdl import CMMDL
from net.files.weights import WeightsError, build, load
from net.fuser import Fuser
from net.methods import METHODS

__all__ = ["CMMDL", "METHODS", "Fuser", "WeightsError", "build", "load"]
