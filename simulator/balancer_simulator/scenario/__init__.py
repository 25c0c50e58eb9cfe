"""A scenario as data: who asks, what the endpoints are like, what goes wrong."""
