"""The executor for Judge0 servers."""
