"""Kubernetes: the pods of a service, by the EndpointSlices of the cluster's API.

All slices are listed, then watched; after `resync_s`, or when the watch ends, they are listed anew.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Annotated, Any, Final

from pydantic import BaseModel, Field, ValidationError

from balancer.discovery.cluster_access import Cluster, cluster_of
from balancer.endpoint import Endpoint
from balancer.hookspecs import hookimpl
from balancer.settings.strategy_options import StrategyOptions
from balancer.source import EndpointTemplate, Source, SourceAnswer, SourceError

__all__ = ["KubernetesSource"]

_WITHIN_S: Final = 15.0
_PAUSE_S: Final = 1.0  # before a new list, so that watches that end at once cost little
_AT_ONCE: Final = 500  # slices of a page of the list
_GONE: Final = 410  # the version is too old to be watched from
_UNKNOWN: Final = "the cluster answers in a form that is not known"


class _Conditions(BaseModel):
    ready: bool | None = None
    terminating: bool | None = None


class _Pod(BaseModel):
    addresses: list[str]
    conditions: _Conditions = _Conditions()
    node: str | None = Field(None, alias="nodeName")
    zone: str | None = None


class _Port(BaseModel):
    name: str | None = None
    port: int | None = None


class _Metadata(BaseModel):
    name: str = ""
    version: str = Field("", alias="resourceVersion")
    cursor: str | None = Field(None, alias="continue")  # of a list that has further pages


class _Slice(BaseModel):
    metadata: _Metadata
    endpoints: list[_Pod] | None = None
    ports: list[_Port] | None = None


class _Slices(BaseModel):
    metadata: _Metadata
    items: list[_Slice]


class _Change(BaseModel):
    type: str
    object: dict[str, Any]


class KubernetesSource(Source):
    """The ready pods of a service. One that terminates is gone; one that is not ready is missing."""

    name = "kubernetes"

    class Options(StrategyOptions):
        """Options.

        Attributes:
            service: the name of the service.
            namespace: absent: that of this pod, or of the kubeconfig.
            port: name or number of the port of the pods; absent: the first.
            kubeconfig: its path; absent: this pod's service account, else KUBECONFIG or ~/.kube/config.
            context: of the kubeconfig; absent: its current one.
            server: the URL of an API that needs no token, e.g. of kubectl proxy: "http://127.0.0.1:8001".
            resync_s: seconds until all is listed anew.
        """

        service: Annotated[str, Field(min_length=1)]
        namespace: Annotated[str, Field(min_length=1)] | None = None
        port: str | int | None = None
        kubeconfig: Annotated[str, Field(min_length=1)] | None = None
        context: Annotated[str, Field(min_length=1)] | None = None
        server: Annotated[str, Field(min_length=1)] | None = None
        resync_s: Annotated[float, Field(ge=1, le=3600)] = 300.0

    options: Options

    def __init__(self, options: Options, template: EndpointTemplate) -> None:
        super().__init__(options, template)
        self._cluster: Cluster | None = None
        self._slices: dict[str, _Slice] = {}
        self._watch = ExitStack()
        self._changes: Iterator[Any] = iter(())
        self._listed = False
        self._closed = False

    def look(self) -> SourceAnswer:
        """Return all pods: first, after each change, and at the end of a watch."""
        try:
            if not self._listed:
                self._list()
                self._listed = True
                return self._answer()
            for change in self._changes:
                if self._took(change):
                    return self._answer()
            self._end_watch()  # its time is over
        except SourceError:
            watched = self._listed
            self._end_watch()
            if not watched or self._closed:
                raise  # nothing is known now; else the list says whether the cluster can be reached
        except ValidationError:
            self._end_watch()
            raise SourceError(_UNKNOWN) from None
        return replace(self._answer(), again_s=_PAUSE_S)

    def close(self) -> None:
        """End a watch."""
        self._closed = True
        if self._cluster is not None:
            self._cluster.api.close()

    def _list(self) -> None:
        """List all slices, and begin to watch them from then on."""
        options = self.options
        if self._cluster is None:
            self._cluster = cluster_of(options.kubeconfig, options.context, options.server, os.environ)
        cluster = self._cluster
        path = f"/apis/discovery.k8s.io/v1/namespaces/{options.namespace or cluster.namespace}/endpointslices"
        chosen: dict[str, str | int] = {"labelSelector": f"kubernetes.io/service-name={options.service}"}
        found: dict[str, _Slice] = {}
        query = {**chosen, "limit": _AT_ONCE}
        while True:
            page = _Slices.model_validate(cluster.api.get(path, query, within_s=_WITHIN_S)[1])
            found |= {each.metadata.name: each for each in page.items}
            if not page.metadata.cursor:
                break
            query["continue"] = page.metadata.cursor
        self._slices = found
        query = {
            **chosen,
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": page.metadata.version,
            "timeoutSeconds": int(options.resync_s),
        }
        lines = cluster.api.lines(path, query, silent_s=options.resync_s + _WITHIN_S)
        self._changes = self._watch.enter_context(lines)

    def _took(self, line: Any) -> bool:
        """Apply a line of the watch. Return whether it says something new. Raises SourceError if all must be listed."""
        change = _Change.model_validate(line)
        if change.type == "ERROR":
            code = change.object.get("code")
            raise SourceError("the version is too old" if code == _GONE else f"the watch ends with status {code}")
        if change.type == "BOOKMARK":
            return False
        of = _Slice.model_validate(change.object)
        if change.type == "DELETED":
            self._slices.pop(of.metadata.name, None)
        else:
            self._slices[of.metadata.name] = of
        return True

    def _end_watch(self) -> None:
        self._listed, self._changes = False, iter(())
        self._watch.close()

    def _answer(self) -> SourceAnswer:
        wanted: dict[str, Endpoint] = {}
        gone = set()
        for each in self._slices.values():
            port = self._port_of(each)
            for pod in each.endpoints or () if port is not None else ():
                assert port is not None
                endpoint = self.template.endpoint(
                    self.template.url(pod.addresses[0], port),
                    labels=[f"zone={pod.zone}"] if pod.zone else (),
                    host=pod.node,
                )
                if pod.conditions.terminating:
                    gone.add(endpoint.name)
                elif pod.conditions.ready is not False:  # absent: the cluster does not know, and asks to use it
                    wanted[endpoint.name] = endpoint
        return SourceAnswer(tuple(wanted[name] for name in sorted(wanted)), frozenset(gone - wanted.keys()))

    def _port_of(self, slices: _Slice) -> int | None:
        """Return the port of the pods of a slice; None: it has no such port."""
        want = self.options.port
        for each in slices.ports or ():
            if want in (None, each.name, each.port) or str(want) == str(each.port):
                return each.port
        return None


@hookimpl
def balancer_sources() -> list[type[Source]]:
    """Offer this source."""
    return [KubernetesSource]
