#!/usr/bin/python3
"""A scheduler for Shoal: fills the hosts with the highest `score` label first.

    scheduler.py [--listen 127.0.0.1:7070] [--proto DIRECTORY]

Debian: apt-get install python3-grpcio python3-grpc-tools
"""

import argparse
import pathlib
import sys
import tempfile
from concurrent import futures

import grpc
from grpc_tools import protoc

PROTO = pathlib.Path(__file__).resolve().parents[3] / "proto" / "proto"


def stubs(proto):
    """The messages of scheduler.proto, generated afresh."""
    with tempfile.TemporaryDirectory() as out:
        arguments = [f"-I{proto}", f"--python_out={out}", f"--grpc_python_out={out}"]
        if protoc.main(["protoc", *arguments, str(proto / "shoal/v1/scheduler.proto")]):
            sys.exit("scheduler.proto cannot be compiled")
        sys.path.insert(0, out)
        from shoal.v1 import scheduler_pb2, scheduler_pb2_grpc
    return scheduler_pb2, scheduler_pb2_grpc


def score(host):
    """A host's label `score` as a number; none counts as 0."""
    try:
        return float(host.labels.get("score", 0))
    except ValueError:
        return 0.0


def place(request, pb):
    """A host for every node, or why there is none."""
    most = request.rules.max_per_host
    free = {
        at: [
            host.capacity.cpu_milli - host.reserved.cpu_milli,
            host.capacity.memory_bytes - host.reserved.memory_bytes,
            host.capacity.nodes - host.reserved.nodes,
            most - host.cluster_nodes if most else sys.maxsize,
        ]
        for at, host in enumerate(request.hosts)
    }
    answer = pb.PlaceResponse()
    if request.rules.spread_over:
        answer.refused = "this scheduler does not spread over a label"
        return answer
    for node in request.nodes:
        needs = [node.cpu_milli, node.memory_bytes, 1, 1]
        fits = [
            at
            for at in request.rules.candidates[node.candidates].hosts
            if all(have >= need for have, need in zip(free[at], needs))
        ]
        if not fits:
            answer = pb.PlaceResponse(refused=f"no host has room for {node.name}")
            return answer
        best = min(fits, key=lambda at: (-score(request.hosts[at]), request.hosts[at].name))
        free[best] = [have - need for have, need in zip(free[best], needs)]
        host = request.hosts[best]
        answer.placements.add(node=node.name, host=host.name, why=f"score {score(host):g}")
    return answer


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", default="127.0.0.1:7070", help="address and port; port 0 takes a free one")
    parser.add_argument("--proto", type=pathlib.Path, default=PROTO, help="directory of shoal/v1/scheduler.proto")
    options = parser.parse_args()
    pb, services = stubs(options.proto)

    class Scheduler(services.SchedulerServicer):
        def Place(self, request, context):
            return place(request, pb)

    limit = [("grpc.max_receive_message_length", 64 << 20), ("grpc.max_send_message_length", 64 << 20)]
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4), options=limit)
    services.add_SchedulerServicer_to_server(Scheduler(), server)
    port = server.add_insecure_port(options.listen)
    server.start()
    print(f"listening on port {port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
