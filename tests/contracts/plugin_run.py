"""What an installed third party sees: run by `test_example_plugin` in a process of its own.

Prints the config's strategy and, in order, the endpoints of its leases.
"""

import sys

from balancer import Outcome, Pool


def main():
    pool = Pool.from_config(sys.argv[1])
    print(pool.stats().strategy)
    for outcome in (Outcome.SUCCESS, Outcome.FAILURE, Outcome.SUCCESS, Outcome.SUCCESS):
        with pool.lease(timeout=0) as lease:
            lease.outcome = outcome
            print(lease.endpoint.url)


if __name__ == "__main__":
    main()
