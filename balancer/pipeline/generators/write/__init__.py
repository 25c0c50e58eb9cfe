"""Writing of inputs, from a template or as a change of a known one."""
