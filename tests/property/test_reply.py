"""The law of the way back: whoever is delivered to can answer."""

import os

from hypothesis import given, settings
from hypothesis import strategies as st

from miniplane.dataplane.cluster import Cluster
from miniplane.dataplane.explain import Destination, Trace, Way
from miniplane.dataplane.packet import Entry, Packet, Source, Verdict
from miniplane.dataplane.reply import reply_hops
from miniplane.dataplane.routes import HopKind
from tests.property.dataplane_strategies import NETWORK, questions, worlds

SCALE = int(os.environ.get("MINIPLANE_EXAMPLES", "1"))
UNTOLD = Trace("delivered", Destination("", "", 0), (), ())


@settings(max_examples=60 * SCALE, deadline=None)
@given(st.data())
def test_every_delivered_packet_can_be_answered(data: st.DataObject) -> None:
    """Whatever the policies, the translation and the nodes in between, the reply arrives as the source expects it."""
    world = data.draw(worlds())
    cluster = Cluster.from_objects(world.objects, NETWORK)
    for question in data.draw(st.lists(questions(world), min_size=6, max_size=6)):
        port = 0 if question.protocol == "ICMP" else question.port
        packet = Packet.of(question.src, question.dst, question.protocol, sport=40000 if port else 0, dport=port)
        entry = (Entry.OUTPUT, Source.NODE) if question.is_from_node else (Entry.FORWARD, Source.EXTERNAL)
        for path in cluster.paths(packet, question.node, *entry):
            if path.verdict is Verdict.ACCEPT and path.hop.kind in (HopKind.POD, HopKind.NODE):
                gets_back, hops = reply_hops(cluster, Way(UNTOLD, path, packet, *entry))
                assert gets_back, (question, [hop.text for hop in hops])
