"""Values: what a URL, a number, a header or a range may be, and how names, mistakes and secrets are shown."""
