"""The library of grammars lifts the limit of digits of the whole process when it is imported: other tests need it."""

import sys
from importlib import import_module

_most = sys.get_int_max_str_digits()
import_module("checktestdata.lib")
sys.set_int_max_str_digits(_most)
