"""Run a program somewhere: on a SandboxFusion server, or isolated on this machine."""
