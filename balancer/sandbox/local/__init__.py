"""The executor for programs on this machine, isolated."""
