"""Transports: unchanged HTTP clients, such as OpenAI's, whose requests go through a pool.

- `wishes`: what a request asks a pool for, and how its course is to run.
- `forwarding`: the request as an endpoint gets it: its URL, its headers, and a body that may be sent again or not.
- `verdicts`: what an answer says of the endpoint, and which error of its own a client gets.
- `reports`: what an answer says of the load of its server, and of the tokens that were used.
- `limits`: how long the steps of an attempt in a thread may take, so that it keeps its deadline.
- `held`: the body of an answer, and the lease that is held until the body ends.
- `sync`, `tasks`: the transports for threads and for tasks, for httpx2 and for httpx alike.
- `adapter`: the same for requests.
- `clients`: clients of OpenAI's, ready made.

Nothing here decides where a request goes or when it is tried again: the course does, as in `Pool.call`.
"""
