"""`python -m balancer`: the `balancer` command, if its script is not on the path."""

from balancer.commands.app import main

if __name__ == "__main__":
    main()
