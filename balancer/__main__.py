"""`python -m balancer`, and the `balancer` script: a signal is minded before the slow imports begin."""

from balancer.commands.stopping import stoppable

__all__ = ["main"]


def main() -> None:
    """Run the command line; see `balancer.commands.app`."""
    stoppable(_command_line)


def _command_line() -> None:
    from balancer.commands.app import command_line

    command_line()


if __name__ == "__main__":
    main()
