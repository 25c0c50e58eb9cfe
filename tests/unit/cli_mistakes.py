"""Mistakes in configs and packages, and the line that each gets."""

from tests.registered import NAMES

__all__ = ["ENDPOINT", "GOOD", "MISTAKES", "ODD_PACKAGES", "PIPELINE"]

ENDPOINT = '[[endpoints]]\nurl = "fake://1/"\n'
PIPELINE = '[pipeline]\nproblems = "problems"\nresults = "results"\nmax_inputs = 0\n'
GOOD = ENDPOINT + PIPELINE

# In a config: the text, and how the line on it begins.
MISTAKES = {
    "not TOML": ("[pool\n", "c.toml: is not TOML: "),
    "unknown section": ("[pol]\n", "c.toml: pol: unknown key; did you mean 'pool'? "),
    "unknown key": ('[pool]\nstrategi = "fifo"\n', "c.toml: pool.strategi: unknown key; did you mean 'strategy'? "),
    "unknown key of an endpoint": (
        '[[endpoints]]\nurl = "fake://1/"\ncapasity = 2\n',
        "c.toml: endpoints[0].capasity: unknown key; did you mean 'capacity'? ",
    ),
    "unknown key of the pipeline": (
        GOOD + "max_input = 3\n",
        "c.toml: pipeline.max_input: unknown key; did you mean 'max_inputs'? ",
    ),
    "unknown strategy": (
        '[pool]\nstrategy = "least_inflight"\n' + GOOD,
        "c.toml: pool: unknown strategy 'least_inflight'; did you mean 'least_in_flight'? "
        f"(there are: {', '.join(NAMES)})",
    ),
    "unknown option": (
        '[pool]\nstrategy = "weighted_health"\noptions = { decay = 3 }\n' + GOOD,
        "c.toml: pool: strategy 'weighted_health', option decay: unknown key; did you mean 'decay_s'? ",
    ),
    "option of a strategy without any": (
        "[pool]\noptions = { decay_s = 3 }\n" + GOOD,
        "c.toml: pool: strategy 'least_in_flight', option decay_s: unknown key (known: none)",
    ),
    "option out of range": (
        '[pool]\nstrategy = "weighted_health"\noptions = { decay_s = -1.0 }\n' + GOOD,
        "c.toml: pool: strategy 'weighted_health', option decay_s: found -1.0: ",
    ),
    "text for a number": (
        ENDPOINT + 'capacity = "2"\n' + PIPELINE,
        "c.toml: endpoints[0].capacity: found '2': it must be a whole number >= 1; leave out the quotes",
    ),
    "capacity 0": (
        ENDPOINT + "capacity = 0\n" + PIPELINE,
        "c.toml: endpoints[0].capacity: found 0: it must be a whole number >= 1",
    ),
    "weight that is no number": (ENDPOINT + "weight = nan\n" + PIPELINE, "c.toml: endpoints[0].weight: found nan: "),
    "no endpoint": ("endpoints = []\n" + PIPELINE, "c.toml: endpoints: found a list: it must not be empty"),
    "endpoint without URL": ("[[endpoints]]\ncapacity = 1\n" + PIPELINE, "c.toml: endpoints[0].url: is missing"),
    "URL without scheme": (
        '[[endpoints]]\nurl = "localhost:8080"\n' + PIPELINE,
        "c.toml: endpoints[0].url: found 'localhost:8080': it has a port and no scheme; write 'http://localhost:8080'",
    ),
    "range that runs backwards": (
        '[[endpoints]]\nurl = "fake://{4..1}/"\n' + PIPELINE,
        "c.toml: endpoints[0].url: found 'fake://{4..1}/': 'fake://{4..1}/' has the range {4..1}, "
        "which runs backwards; write {1..4}",
    ),
    "range that is none": (
        '[[endpoints]]\nurl = "fake://{a..b}/"\n' + PIPELINE,
        "c.toml: endpoints[0].url: found 'fake://{a..b}/': ",
    ),
    "URL twice": (
        ENDPOINT + ENDPOINT + PIPELINE,
        "c.toml: endpoints[1].url: 'fake://1/' is in endpoints[0] already (url = \"fake://1/\"); URLs must differ",
    ),
    "URL in two ranges": (
        '[[endpoints]]\nurl = "fake://{1..3}/"\n[[endpoints]]\nurl = "fake://{3..4}/"\n' + PIPELINE,
        "c.toml: endpoints[1].url: 'fake://3/' is in endpoints[0] already (url = \"fake://{1..3}/\"); URLs must differ",
    ),
    "variable that is not set": (
        ENDPOINT + 'headers = { Authorization = "Bearer ${NOT_SET_AT_ALL}" }\n' + PIPELINE,
        "c.toml: endpoints[0].headers.Authorization: ${NOT_SET_AT_ALL} is not set; export NOT_SET_AT_ALL, "
        "or write the value here",
    ),
    "unknown scheme": (
        '[[endpoints]]\nurl = "htpp://a/"\n' + PIPELINE,
        "c.toml: endpoint htpp://a/: unknown endpoint scheme 'htpp'; did you mean 'http'? ",
    ),
    "port that is no number": (
        '[[endpoints]]\nurl = "http://a:b/"\n' + PIPELINE,
        "c.toml: endpoints[0].url: found 'http://a:b/': its port is 'b'; ",
    ),
    "address that is none": ('[[endpoints]]\nurl = "http://[::1/"\n' + PIPELINE, "endpoint url is 'http://[::1/': "),
    "unknown isolation": (
        '[[endpoints]]\nurl = "local://1"\nisolation = "chroot"\n' + PIPELINE,
        "c.toml: endpoints[0].isolation: found 'chroot': ",
    ),
    "unknown generator": (
        GOOD + 'generators = ["data", "mutant"]\n',
        "c.toml: pipeline.generators: unknown generator 'mutant'; did you mean 'mutate'? "
        "(there are: data, exhaustive, llm, mutate, package, slow, stress)",
    ),
    "no workers": (
        GOOD + "sample_level_workers = 0\n",
        "c.toml: pipeline.sample_level_workers: found 0: it must be >= 1",
    ),
    "no problems": (ENDPOINT + "[pipeline]\n", "c.toml: pipeline.problems: is missing"),
    "problems are nowhere": (
        GOOD.replace('"problems"', '"[/nowhere]"'),
        "[/nowhere]: not a folder; name a problem package or a folder of them",
    ),
}

# In a package: the files that differ from a good one, and how the line begins after its folder.
ODD_PACKAGES: dict[str, tuple[dict[str, str | None], str]] = {
    "no YAML": ({"problem.yaml": "name: [\n"}, "problem.yaml:2: is not YAML "),
    "no data": ({"data/sample/1.in": None, "data/sample/1.ans": None}, "data: no inputs; "),
    "no accepted submission": ({"submissions/accepted/two.py": None}, "submissions/accepted: no submission that can "),
    "interactive": ({"problem.yaml": "validation: custom interactive\n"}, "problem.yaml: is an interactive problem "),
    "time limit that is none": (
        {"problem.yaml": "limits: {time_limit: fast}\n"},
        "problem.yaml: limits.time_limit is ",
    ),
    "unknown flag": ({"problem.yaml": "validator_flags: fuzzy\n"}, "problem.yaml: flags of the output validator: "),
    "two output validators": (
        {"output_validators/a.py": "...", "output_validators/b.py": "..."},
        "output_validators: found output_validators/a.py, output_validators/b.py; ",
    ),
}
