"""Format: one line with 1 to 100000 lowercase letters."""
import re
import sys

if re.fullmatch(rb"[a-z]{1,100000}\n", sys.stdin.buffer.read()):
    sys.exit(42)
sys.exit(43)
