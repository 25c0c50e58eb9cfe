"""Parts that strategies are composed of: where nodes stand, how one is drawn, who is due, what a call takes.

For authors of strategies. A part knows nodes and requests, and no strategy, clock or thread.
"""
