# `balancer` in a container, as a user without rights. Two images:
#   docker build -t balancer .                            for serve, proxy, run on servers
#   docker build -t balancer-sandbox --target sandbox .   for `balancer sandbox`: a sandbox server with compilers
ARG PYTHON=python:3.13-slim

FROM ${PYTHON} AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY balancer balancer
COPY strategies strategies
COPY simulator simulator
RUN python3 -m venv /opt/balancer \
    && /opt/balancer/bin/pip install --no-cache-dir '.[serve,proxy,discovery,observe,pipeline]'

FROM ${PYTHON} AS sandbox
COPY --from=build /opt/balancer /opt/balancer
RUN apt-get update \
    && apt-get install -y --no-install-recommends bubblewrap libseccomp2 g++ python3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home balancer
ENV PATH=/opt/balancer/bin:$PATH
USER 10001
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
    CMD ["python3", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8080/v1/ping', timeout=4)"]
ENTRYPOINT ["balancer"]
CMD ["sandbox", "--host", "0.0.0.0"]

FROM ${PYTHON} AS pool
COPY --from=build /opt/balancer /opt/balancer
RUN useradd --system --uid 10001 --create-home balancer \
    && install -d -o balancer /var/lib/balancer
ENV PATH=/opt/balancer/bin:$PATH
USER 10001
EXPOSE 7465 8081
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
    CMD ["python3", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8081/livez', timeout=4)"]
ENTRYPOINT ["balancer"]
CMD ["serve", "/etc/balancer/pool.toml", "--host", "0.0.0.0", "--state", "/var/lib/balancer/pool.state", \
     "--page", "8081", "--page-host", "0.0.0.0"]
