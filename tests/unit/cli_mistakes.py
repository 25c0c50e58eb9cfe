"""Mistakes in configs and packages, and the line that each gets."""

from tests.registered import NAMES

__all__ = ["ENDPOINT", "GOOD", "MISTAKES", "ODD_PACKAGES", "PIPELINE"]

ENDPOINT = '[[endpoints]]\nurl = "fake://1/"\n'
PIPELINE = '[pipeline]\nproblems = "problems"\nresults = "results"\nmax_inputs = 0\n'
GOOD = ENDPOINT + PIPELINE

# In a config: the text, and how the line on it begins. Those of its single values are in test_config.py.
MISTAKES = {
    "not TOML": ("[pool\n", "c.toml: is not TOML: "),
    "unknown key": ('[pool]\nstrategi = "fifo"\n', "c.toml: pool.strategi: unknown key; did you mean 'strategy'? "),
    "unknown strategy": (
        '[pool]\nstrategy = "least_inflight"\n' + GOOD,
        "c.toml: pool: unknown strategy 'least_inflight'; did you mean 'least_in_flight'? "
        f"(there are: {', '.join(NAMES)})",
    ),
    "option out of range": (
        '[pool]\nstrategy = "weighted_health"\noptions = { decay_s = -1.0 }\n' + GOOD,
        "c.toml: pool: strategy 'weighted_health', option decay_s: found -1.0: ",
    ),
    "text for a number": (
        ENDPOINT + 'capacity = "2"\n' + PIPELINE,
        "c.toml: endpoints[0].capacity: found '2': it must be a whole number >= 1; leave out the quotes",
    ),
    "unknown scheme": (
        '[[endpoints]]\nurl = "htpp://a/"\n' + PIPELINE,
        "c.toml: endpoint htpp://a/: unknown endpoint scheme 'htpp'; did you mean 'http'? ",
    ),
    "address that is none": ('[[endpoints]]\nurl = "http://[::1/"\n' + PIPELINE, "endpoint url is 'http://[::1/': "),
    "unknown generator": (
        GOOD + 'generators = ["data", "mutant"]\n',
        "c.toml: pipeline.generators: unknown generator 'mutant'; did you mean 'mutate'? "
        "(there are: data, grammar, llm, mutate, package)",
    ),
    "no generator": (
        GOOD + "generators = []\n",
        "c.toml: pipeline.generators: found []: no input would be made; name at least one of data, grammar, "
        'llm, mutate, package, e.g. ["data"] for the problems\' own data alone, or leave',
    ),
    "problems are nowhere": (
        GOOD.replace('"problems"', '"[/nowhere]"'),
        "[/nowhere]: not a folder; name a problem package or a folder of them",
    ),
}

# In a package: the files that differ from a good one, and how the line begins after its folder.
ODD_PACKAGES: dict[str, tuple[dict[str, str | None], str]] = {
    "no YAML": ({"problem.yaml": "name: [\n"}, "problem.yaml:2: is not YAML "),
    "no data": ({"data/sample/1.in": None, "data/sample/1.ans": None}, "data: no inputs; "),
    "no accepted submission": ({"submissions/accepted/two.py": None}, "submissions/accepted: no usable submission"),
}
