"""Language model as a proposer of inputs: questions, costs, and checks of its answers."""
