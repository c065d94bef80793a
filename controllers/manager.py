"""The ordered list of controllers, and the program that runs them."""

import contextlib
import platform
import uuid
from collections.abc import Callable

from miniplane.aio import SystemClock
from miniplane.api.meta import Key
from miniplane.client import Client
from miniplane.runtime import Leader, Manager, On, serve

from . import (
    addons,
    admissionpolicies,
    certificates,
    clusterroles,
    cronjob,
    daemonset,
    deployment,
    disruption,
    endpointmirror,
    endpoints,
    endpointslice,
    garbage,
    gateway,
    gatewayroutes,
    horizontalpodautoscaler,
    ingress,
    job,
    loadbalancer,
    namespace,
    nodeipam,
    nodelifecycle,
    podgc,
    replicaset,
    replicationcontroller,
    resourcequota,
    serviceaccount,
    serviceaccounttokens,
    statefulset,
    tainteviction,
    ttlafterfinished,
)
from .scheduler import scheduler
from .settings import Settings

LEASE = Key("kube-system", "miniplane-controllers")

CONTROLLERS: tuple[Callable[[Settings], On], ...] = (
    lambda settings: nodeipam.controller(settings.network),
    lambda _: serviceaccount.on,
    lambda settings: serviceaccounttokens.controller(settings.service_account_key),
    lambda _: clusterroles.on,
    lambda settings: certificates.controller(settings.cluster_signing_cert, settings.cluster_signing_key),
    lambda _: deployment.on,
    lambda _: replicaset.controller(),
    lambda _: replicationcontroller.controller(),
    lambda _: daemonset.controller(),
    lambda _: statefulset.controller(),
    lambda _: job.controller(),
    lambda _: cronjob.controller(),
    lambda _: disruption.on,
    lambda _: horizontalpodautoscaler.controller(),
    lambda _: scheduler.controller(),
    lambda _: endpointslice.on,
    lambda _: endpoints.on,
    lambda _: endpointmirror.on,
    lambda settings: loadbalancer.controller(settings.network),
    lambda _: ingress.controller(),
    lambda _: gateway.controller(),
    lambda _: gatewayroutes.controller(),
    lambda settings: addons.controller(settings.addons, settings.network),
    lambda settings: nodelifecycle.controller(settings.node_monitor_grace_s),
    lambda _: tainteviction.on,
    lambda _: resourcequota.on,
    lambda _: admissionpolicies.on,
    lambda _: ttlafterfinished.on,
    lambda _: namespace.on,
    lambda _: garbage.controller(),
    lambda _: podgc.controller(),
)
"""Every controller, in the order of starting: from what others wait for to what cleans up."""


async def run(settings: Settings, *, ready: Callable[[], None]) -> None:
    """Run all controllers until cancelled; `ready` is called when their caches are in sync."""
    clock = SystemClock()
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client.from_kubeconfig(settings.kubeconfig, clock=clock))
        identity = settings.identity or f"{platform.node()}_{uuid.uuid4()}"
        leader = Leader(client, clock, LEASE, identity) if settings.leader_elect else None
        registrars = [make(settings) for make in CONTROLLERS]
        await serve(Manager(client, registrars, clock, leader=leader), ready, metrics_port=settings.metrics_port)
