"""What a file, or Python, may tell the balancer: settings that are checked where they are made."""
