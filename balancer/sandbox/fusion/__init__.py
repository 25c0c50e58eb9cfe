"""The executor for servers that speak SandboxFusion's API."""
